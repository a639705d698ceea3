"""Comparing: runs against each other, and the effect over time. Pure."""
