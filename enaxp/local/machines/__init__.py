"""The hosts of the local target: small machines made of namespaces, or of process groups where namespaces are not allowed."""

from typing import Literal

IsolationName = Literal["namespaces", "processes"]
