"""The lab's own key pair: ed25519, private half in the state folder, readable by its owner alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from enaxp.errors import StateError
from enaxp.files import write_whole


@dataclass(frozen=True, kw_only=True)
class KeyPairFile:
    """A key pair. private_pem: OpenSSH private key text. public_key: one OpenSSH line."""

    private_pem: str
    public_key: str

    def __repr__(self) -> str:  # never in a log or a traceback
        return f"KeyPairFile(public_key={self.public_key!r})"


def load_or_generate(path: Path) -> KeyPairFile:
    """The key pair whose private half is at `path`, or a new one (not yet saved). Raises StateError when the file is not such a key."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key: object
    if path.exists():
        try:
            key = serialization.load_ssh_private_key(path.read_bytes(), password=None)
        except (OSError, ValueError) as error:
            raise StateError(
                f"{path} is not a readable private key", said=str(error), todo="remove it: `enaxp up` makes a new one"
            ) from None
    else:
        key = Ed25519PrivateKey.generate()
    if not isinstance(key, Ed25519PrivateKey):
        raise StateError(f"{path} is not an ed25519 key", todo="remove it: `enaxp up` makes a new one")
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return KeyPairFile(private_pem=private.decode("ascii"), public_key=f"{public.decode('ascii')} enaxp")


def save(key: KeyPairFile, path: Path) -> None:
    """Writes the private half with mode 0600, unless the file exists."""
    if not path.exists():
        write_secret(path, key.private_pem)


def write_secret(path: Path, text: str) -> None:
    """Replaces the file with this text, readable by its owner alone at every moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text.encode("ascii"))
