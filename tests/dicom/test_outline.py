"""An outline answers like the data set itself, with nothing of the large values read."""

import random
import struct
from collections.abc import Callable

import pytest

from samsyn import limits
from samsyn.dicom.json import to_dicom_json
from samsyn.dicom.outline import Outline
from samsyn.dicom.reading import summarize
from samsyn.errors import BadInput, LimitExceeded, SamsynError
from samsyn.store.blank import blank
from tests.dimse.stage import encoded, image

EXPLICIT, IMPLICIT, JPEG_LS = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.4.80"
DEFLATED = "1.2.840.10008.1.2.1.99"


def element(group: int, number: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    return struct.pack("<HH2sxxI", group, number, vr, len(value) if length is None else length) + value


def item(value: bytes) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(value)) + value


DELIMITER = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
LARGE = bytes(range(256)) * 8192
HEAD = encoded(image(PixelData=None, NumberOfFrames=3))
FRAGMENTS = item(struct.pack("<3I", 0, 108, 3_000_000)) + b"".join(
    item(random.Random(size).randbytes(size)) for size in (100, 2_999_884, 9_000)
)
CASES = {
    "native": (EXPLICIT, HEAD + element(0x7FE0, 0x10, b"OW", LARGE)),
    "with a tail": (
        EXPLICIT,
        HEAD + element(0x7FE0, 0x10, b"OW", LARGE) + element(0xFFFC, 0xFFFC, b"OB", bytes(8)),
    ),
    "private and native": (
        EXPLICIT,
        HEAD
        + struct.pack("<HH2sH", 0x7FD1, 0x10, b"LO", 4)
        + b"HERE"
        + element(0x7FD1, 0x1010, b"OB", LARGE * 2)
        + element(0x7FE0, 0x10, b"OW", LARGE),
    ),
    "encapsulated": (
        JPEG_LS,
        HEAD
        + element(0x7FE0, 0x10, b"OB", FRAGMENTS + DELIMITER, 0xFFFFFFFF)
        + element(0xFFFC, 0xFFFC, b"OB", bytes(8)),
    ),
    "without a fragment": (JPEG_LS, HEAD + element(0x7FE0, 0x10, b"OB", item(b"") + DELIMITER, 0xFFFFFFFF)),
    "implicit": (
        IMPLICIT,
        encoded(image(PixelData=None), implicit=True) + struct.pack("<HHI", 0x7FE0, 0x10, len(LARGE)) + LARGE,
    ),
    "a long sequence": (
        EXPLICIT,
        HEAD
        + element(
            0x5200,
            0x9230,
            b"SQ",
            b"".join(item(element(0x9, 0x1001, b"UN", bytes(n))) for n in range(3000)) + DELIMITER,
            0xFFFFFFFF,
        )
        + element(0x7FE0, 0x10, b"OW", LARGE),
    ),
}


def outlined(data: bytes, syntax: str) -> tuple[bytes, Outline, int]:
    """The outline's bytes, the outline, and how many bytes were read for it."""
    read = [0]

    def reading(offset: int, length: int) -> bytes:
        found = data[offset : offset + length]
        read[0] += len(found)
        return found

    with blank(len(data)) as pages, memoryview(pages) as view:
        outline = Outline(reading, view, syntax)
        return bytes(view), outline, read[0]


@pytest.mark.parametrize("name", CASES)
def test_an_outline_tells_what_the_data_set_tells(name: str) -> None:
    syntax, data = CASES[name]
    drawn, outline, read = outlined(data, syntax)
    assert summarize(drawn, syntax) == summarize(data, syntax)
    assert to_dicom_json(drawn, syntax, "p") == to_dicom_json(data, syntax, "p")
    left_out = sum(length for _, length in outline.left_out.values())
    # Behind a sequence of undefined length it is looked further than it reaches.
    assert read <= len(data) - left_out + (200_000 if name != "a long sequence" else left_out)
    for offset, length in outline.left_out.values():
        assert data[offset - 4 : offset] in (struct.pack("<I", length), b"\xff\xff\xff\xff")


@pytest.mark.parametrize("name", CASES)
def test_what_is_torn_is_refused_like_the_data_set_itself(name: str) -> None:
    syntax, data = CASES[name]
    source = random.Random(name)
    for _ in range(40):
        cut = data[: source.randrange(1, len(data))]
        assert told(cut, syntax) == told(cut, syntax, outlined)


def told(
    data: bytes, syntax: str, draw: Callable[[bytes, str], tuple[bytes, Outline, int]] | None = None
) -> str:
    try:
        return repr(summarize(draw(data, syntax)[0] if draw else data, syntax))
    except SamsynError as error:
        return error.code


def test_what_can_not_be_left_out_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LimitExceeded, match="MAX_INSTANCE_IN_MEMORY_BYTES"):
        outlined(HEAD, DEFLATED)
    with pytest.raises(BadInput, match="longer than any such value"):
        outlined(element(0x0010, 0x0020, b"UN", LARGE) + HEAD, EXPLICIT)
    text = HEAD + element(0x0040, 0xA160, b"UT", b"x" * (limits.MAX_HEADER_BYTES + 2))
    with pytest.raises(LimitExceeded, match="MAX_HEADER_BYTES"):
        outlined(text, EXPLICIT)
