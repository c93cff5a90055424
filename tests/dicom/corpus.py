"""Other people's public test objects (pydicom's own and pydicom-data's), and small ones made by hand."""

import io
import struct
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pydicom
from pydicom.filereader import _read_file_meta_info

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))


def files() -> Iterator[Path]:
    """Every file of the two packages."""
    folders = [Path(pydicom.__file__).parent / "data"]
    spec = find_spec("data_store")
    if spec is not None and spec.submodule_search_locations:
        folders.append(Path(next(iter(spec.submodule_search_locations))))
    for folder in folders:
        yield from sorted(path for path in folder.rglob("*") if path.is_file())


def data_sets() -> Iterator[tuple[Path, str, bytes]]:
    """(path, transfer syntax UID, data set) of every file with file meta information."""
    for path in files():
        content = path.read_bytes()
        if content[128:132] != b"DICM" or path.name.startswith("DICOMDIR"):
            continue
        stream = io.BytesIO(content)
        stream.seek(132)
        try:
            syntax = _read_file_meta_info(stream).get("TransferSyntaxUID")
        except Exception:
            continue
        if syntax:
            yield path, str(syntax), content[stream.tell() :]


def element(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """One explicit VR little endian element; `length` lies when given."""
    size = len(value) if length is None else length
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr)
    return head + (struct.pack("<HI", 0, size) if vr in LONG else struct.pack("<H", size)) + value


def implicit(tag: int, value: bytes, length: int | None = None) -> bytes:
    """One implicit VR little endian element."""
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value) if length is None else length) + value


def item(value: bytes, length: int | None = None) -> bytes:
    """One sequence item or fragment."""
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(value) if length is None else length) + value


ITEM_END = struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
SEQUENCE_END = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
UNDEFINED = 0xFFFFFFFF


def pad(text: bytes, filler: bytes = b" ") -> bytes:
    """Even length."""
    return text if len(text) % 2 == 0 else text + filler


SOP_CLASS = element(0x00080016, b"UI", b"1.2.840.10008.5.1.4.1.1.7\0")
SOP_INSTANCE = element(0x00080018, b"UI", b"2.25.11\0")
STUDY = element(0x0020000D, b"UI", b"2.25.22\0")
SERIES = element(0x0020000E, b"UI", b"2.25.33\0")


def minimal(before: bytes = b"", after: bytes = b"", charset: bytes | None = None) -> bytes:
    """A small legal data set; `before` goes between the SOP UIDs and the study, `after` to the end."""
    head = b"" if charset is None else element(0x00080005, b"CS", pad(charset))
    return head + SOP_CLASS + SOP_INSTANCE + before + STUDY + SERIES + after
