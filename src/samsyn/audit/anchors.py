"""Anchors: how far the chain went and with which hash, told in one line that is kept elsewhere.

The chain alone finds what was changed inside it. Who cuts off its end, restores yesterday's folder or writes it
anew from some entry on leaves a chain that fits; an anchor that lies outside the folder (another disk, a log that
cannot be changed, a sheet of paper) does not fit it. With a key the line is signed (Ed25519), so that nobody who
can write where anchors lie can invent one.
"""

import base64
import binascii
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from samsyn.errors import BadInput, ConfigurationError

_LINE: Final = re.compile(
    r"samsyn-anchor journal=([0-9a-f]{16}) entry=([0-9]{1,18}) time=([0-9T:.+Z-]{10,40})"
    r" hash=([0-9a-f]{64})(?: signature=([A-Za-z0-9+/=]{88}))?"
)
_TAIL_BYTES: Final = 4_096
"""The newest line lies within so many bytes of a file's end: a line has some 260."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """Entry `sequence` of the journal that began with `journal` had this hash at this time."""

    journal: str
    """The first 16 digits of the first entry's hash: tells one installation's journal from another's."""
    sequence: int
    time: str
    hash: str
    signature: str = ""

    @property
    def covered(self) -> str:
        """What the signature covers: the line without it."""
        return f"samsyn-anchor journal={self.journal} entry={self.sequence} time={self.time} hash={self.hash}"

    @property
    def line(self) -> str:
        """The line as it is kept."""
        return f"{self.covered} signature={self.signature}" if self.signature else self.covered


def parse(line: str) -> Anchor:
    """The anchor of a line, however it was spaced when it was copied. BadInput when it is none."""
    found = _LINE.fullmatch(" ".join(line.split()))
    if found is None:
        raise BadInput("this is no anchor line")
    journal, sequence, time, digest, signature = found.groups()
    return Anchor(journal, int(sequence), time, digest, signature or "")


def read_file(file: Path) -> Iterator[tuple[int, Anchor | None]]:
    """(line number, anchor) of each line; None for one that is no anchor. OSError when it can not be read."""
    with file.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                try:
                    yield number, parse(line)
                except BadInput:
                    yield number, None


def newest_in(file: Path) -> Anchor | None:
    """The last whole anchor of a file, None when there is no file or no anchor in its end."""
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        size = os.fstat(descriptor).st_size
        tail = os.pread(descriptor, _TAIL_BYTES, max(0, size - _TAIL_BYTES))
    finally:
        os.close(descriptor)
    for line in reversed(tail.decode("utf-8", "replace").splitlines()):
        try:
            return parse(line)
        except BadInput:
            continue
    return None


def append_to(file: Path, anchor: Anchor) -> None:
    """Adds the line to the file, durably. OSError when the place does not take it."""
    descriptor = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        os.write(descriptor, f"{chr(10) if torn else ''}{anchor.line}\n".encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def signing_key(file: Path) -> Ed25519PrivateKey:
    """The key in a PEM file. ConfigurationError: not readable, no Ed25519 key, or readable for others."""
    try:
        if file.stat().st_mode & 0o077:
            raise ConfigurationError(
                f"[audit] anchor_key_file {file} can be read by others; run: chmod 600 {file}"
            )
        key = load_pem_private_key(file.read_bytes(), None)
    except OSError as problem:
        raise ConfigurationError(f"[audit] anchor_key_file {file}: {problem.strerror}") from problem
    except (ValueError, TypeError) as problem:
        raise ConfigurationError(f"[audit] anchor_key_file {file} holds no plain PEM key") from problem
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(f"[audit] anchor_key_file {file} holds no Ed25519 key")
    return key


def public_key(file: Path) -> Ed25519PublicKey:
    """The public key in a PEM file, for those who check elsewhere. ConfigurationError as above."""
    try:
        key = load_pem_public_key(file.read_bytes())
    except OSError as problem:
        raise ConfigurationError(f"{file}: {problem.strerror}") from problem
    except ValueError as problem:
        raise ConfigurationError(f"{file} holds no PEM public key") from problem
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigurationError(f"{file} holds no Ed25519 key")
    return key


def signed(anchor: Anchor, key: Ed25519PrivateKey | None) -> Anchor:
    """The anchor with its signature; unchanged without a key."""
    if key is None:
        return anchor
    return replace(anchor, signature=base64.b64encode(key.sign(anchor.covered.encode())).decode("ascii"))


def is_signed_by(anchor: Anchor, key: Ed25519PublicKey) -> bool:
    """Whether the anchor bears a signature of this key."""
    try:
        key.verify(base64.b64decode(anchor.signature, validate=True), anchor.covered.encode())
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True
