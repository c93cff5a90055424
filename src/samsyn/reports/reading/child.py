"""The child that reads messages: `python -m samsyn.reports.reading.child`, over its standard input and output.

It knows no file, no store and no state: the same bytes, profile and sender mean the same here as in the parent. What it
can not read, for whatever reason, the parent reads once more, so that a refusal is told in one place.
"""

import os
from collections.abc import Iterator

from samsyn.errors import SamsynError
from samsyn.hl7v2.interpret import read_message
from samsyn.hl7v2.meaning import Interpretation
from samsyn.hl7v2.profile import Profile, read_profile
from samsyn.reports.reading import words
from samsyn.reports.reading.words import Wanted

_READ_BYTES = 1 << 20


def main() -> None:
    """Answers until the parent closes the pipe."""
    answers = os.dup(1)
    os.dup2(2, 1)
    blocks = _blocks(0)
    beginning: words.Beginning = words.read(next(blocks))
    profiles = {
        name: read_profile(text).knowing_units(beginning.units) for name, text in beginning.profiles.items()
    }
    for block in blocks:
        read: list[Interpretation | None] = [_read(profiles, wanted) for wanted in words.read(block)]
        _write(answers, words.written(read))


def _read(profiles: dict[str, Profile], wanted: Wanted) -> Interpretation | None:
    profile = profiles.get(wanted.profile)
    if profile is None:
        return None
    try:
        return read_message(wanted.raw, profile, wanted.sender)
    except SamsynError:
        return None


def _blocks(descriptor: int) -> Iterator[bytes]:
    buffer = bytearray()
    head = words.HEAD.size
    while data := os.read(descriptor, _READ_BYTES):
        buffer += data
        while len(buffer) >= head and len(buffer) >= (end := head + words.HEAD.unpack_from(buffer)[0]):
            yield bytes(buffer[head:end])
            del buffer[:end]


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


if __name__ == "__main__":
    main()
