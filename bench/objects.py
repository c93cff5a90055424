"""Instances for the benches: well-formed, of real sizes, made in microseconds.

Explicit VR Little Endian, written directly. Patients carry Skatteverket's test numbers (serials 980 to 999), so
that every server files them as ordinary people.
"""

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Final

import numpy as np

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
US_MULTIFRAME_IMAGE = "1.2.840.10008.5.1.4.1.1.3.1"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"

_PATIENTS: Final = 8
"""Different bodies, each drawn once."""
_ORGANS: Final = 12
_NOISE: Final = 20.0
"""Standard deviation, in stored values."""
_LONG = ("OB", "OW", "UN", "SQ", "UT")
_FIRST_DAY = date(2023, 1, 1)


@dataclass(frozen=True, slots=True)
class Shape:
    """What one kind of instance looks like; 16 bits are allocated for each pixel."""

    sop_class: str
    modality: str
    rows: int
    columns: int
    private_bytes: int
    """Vendor's block, which gives the header its real size."""


MR = Shape(MR_IMAGE, "MR", 256, 256, 2_000)
"""A slice of 136 kB."""
CT = Shape(CT_IMAGE, "CT", 512, 512, 2_000)
"""A slice of 527 kB."""
NOTE = Shape(MR_IMAGE, "MR", 8, 8, 0)
"""Hardly more than a header: for filling an index with studies."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance, ready to be sent."""

    sop_class: str
    sop_uid: str
    data: bytes
    transfer_syntax: str = EXPLICIT_LITTLE

    def file(self) -> bytes:
        """As a file with meta information (PS3.10 7.1)."""
        meta = b"".join(
            (
                encoded(0x00020001, "OB", b"\0\1"),
                encoded(0x00020002, "UI", self.sop_class),
                encoded(0x00020003, "UI", self.sop_uid),
                encoded(0x00020010, "UI", self.transfer_syntax),
                encoded(0x00020012, "UI", "2.25.280472905719483"),
            )
        )
        head = encoded(0x00020000, "UL", struct.pack("<I", len(meta)))
        return bytes(128) + b"DICM" + head + meta + self.data


@dataclass(frozen=True, slots=True)
class Study:
    """What the instances of one study share."""

    study_uid: str
    series_uid: str
    patient_id: str
    accession: str
    day: str
    """YYYYMMDD"""


def uid(source: random.Random) -> str:
    """A fresh UID below 2.25 (PS3.5 B.2), always of the same length."""
    return f"2.25.{source.randrange(10**37, 10**38)}"


def test_number(index: int) -> str:
    """The index-th of some 600,000 different test numbers: a birth date, a serial from 980 to 999, the check digit."""
    day = date(1930, 1, 1) + timedelta(days=index // 20)
    digits = f"{day:%y%m%d}{980 + index % 20}"
    total = 0
    for place, digit in enumerate(digits):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled // 10 + doubled % 10
    return f"{day:%Y%m%d}{digits[6:]}{-total % 10}"


def study(source: random.Random, index: int, patient: int) -> Study:
    """The index-th study; its day moves on by one for each, over four years."""
    day = f"{_FIRST_DAY + timedelta(days=index % 1460):%Y%m%d}"
    return Study(uid(source), uid(source), test_number(patient), f"B{index:07d}", day)


def instances(source: random.Random, shape: Shape, of: Study, count: int) -> Iterator[Instance]:
    """`count` slices of one series."""
    pixels = _pixels(shape, source.randrange(_PATIENTS))
    private = source.randbytes(shape.private_bytes)
    for number in range(1, count + 1):
        sop_uid = uid(source)
        turned = pixels[-2 * number :] + pixels[: -2 * number]
        yield Instance(shape.sop_class, sop_uid, _data_set(shape, of, sop_uid, number, turned, private))


@cache
def _pixels(shape: Shape, patient: int) -> bytes:
    """A body with organs, and the noise of a detector, in 12 bits: what is clinical compresses like this (by half
    without loss), and its pictures are neither flat nor noise alone."""
    from_seed = np.random.default_rng(patient)
    down, across = np.mgrid[-1 : 1 : shape.rows * 1j, -1 : 1 : shape.columns * 1j]
    level = np.where((across / 0.8) ** 2 + (down / 0.65) ** 2 < 1, 500.0, 20.0)
    for _ in range(_ORGANS):
        (left, top), (wide, high) = from_seed.uniform(-0.5, 0.5, 2), from_seed.uniform(0.05, 0.3, 2)
        inside = ((across - left) / wide) ** 2 + ((down - top) / high) ** 2 < 1
        level[inside] += from_seed.uniform(-200, 300)
    noisy = level + from_seed.normal(0, _NOISE, level.shape)
    values: bytes = np.clip(noisy, 0, 4095).astype("<u2").tobytes()
    return values


def clip(
    source: random.Random, of: Study, frames: list[bytes], rows: int, columns: int, jpeg: bool
) -> Instance:
    """A multi-frame ultrasound of grey 8-bit frames: JPEG in fragments without offset table, or uncompressed."""
    sop_uid = uid(source)
    elements: list[tuple[int, str, str | int | bytes]] = [
        (0x00080005, "CS", "ISO_IR 192"),
        (0x00080016, "UI", US_MULTIFRAME_IMAGE),
        (0x00080018, "UI", sop_uid),
        (0x00080020, "DA", of.day),
        (0x00080030, "TM", "101500"),
        (0x00080050, "SH", of.accession),
        (0x00080060, "CS", "US"),
        (0x00100010, "PN", f"Testsson^Nr{of.patient_id[-4:]}"),
        (0x00100020, "LO", of.patient_id),
        (0x00100030, "DA", of.patient_id[:8]),
        (0x0020000D, "UI", of.study_uid),
        (0x0020000E, "UI", of.series_uid),
        (0x00200011, "IS", "1"),
        (0x00200013, "IS", "1"),
        (0x00280002, "US", 1),
        (0x00280004, "CS", "MONOCHROME2"),
        (0x00280008, "IS", str(len(frames))),
        (0x00280010, "US", rows),
        (0x00280011, "US", columns),
        (0x00280100, "US", 8),
        (0x00280101, "US", 8),
        (0x00280102, "US", 7),
        (0x00280103, "US", 0),
    ]
    data = b"".join(encoded(*each) for each in elements)
    if not jpeg:
        return Instance(US_MULTIFRAME_IMAGE, sop_uid, data + encoded(0x7FE00010, "OB", b"".join(frames)))
    fragments = b"".join(_item(frame + b"\0" * (len(frame) % 2)) for frame in frames)
    pixels = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF) + _item(b"") + fragments
    data += pixels + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    return Instance(US_MULTIFRAME_IMAGE, sop_uid, data, JPEG_BASELINE)


_ACQUISITION: Final = (
    (0x00180020, "CS", "SE"),
    (0x00180021, "CS", "SK\\SP"),
    (0x00180022, "CS", "PFP\\SFS"),
    (0x00180023, "CS", "2D"),
    (0x00180024, "SH", "*tse2d1_9"),
    (0x00180025, "CS", "N"),
    (0x00180050, "DS", "5"),
    (0x00180080, "DS", "4000"),
    (0x00180081, "DS", "90"),
    (0x00180083, "DS", "2"),
    (0x00180084, "DS", "63.687303"),
    (0x00180085, "SH", "1H"),
    (0x00180086, "IS", "1"),
    (0x00180087, "DS", "1.5"),
    (0x00180088, "DS", "6"),
    (0x00180089, "IS", "218"),
    (0x00180091, "IS", "9"),
    (0x00180093, "DS", "100"),
    (0x00180094, "DS", "84.375"),
    (0x00180095, "DS", "130"),
    (0x00181000, "LO", "26340"),
    (0x00181020, "LO", "bench 1.0"),
    (0x00181030, "LO", "Hjärna rutin"),
    (0x00181251, "SH", "Body"),
    (0x00181312, "CS", "ROW"),
    (0x00181314, "DS", "150"),
    (0x00181315, "CS", "N"),
    (0x00181316, "DS", "0.0876"),
    (0x00181318, "DS", "0"),
    (0x00185100, "CS", "HFS"),
)
_PRIVATE_ELEMENTS: Final = 30
"""Small elements in a vendor's block."""


def _data_set(shape: Shape, of: Study, sop_uid: str, number: int, pixels: bytes, private: bytes) -> bytes:
    """About 115 elements at the top level and 140 in all, as slices of real scanners have."""
    series_mates = [(shape.sop_class, f"{of.series_uid}.{n}") for n in (1, 2, 3)]
    elements: list[tuple[int, str, str | int | bytes]] = [
        (0x00080005, "CS", "ISO_IR 192"),
        (0x00080008, "CS", "ORIGINAL\\PRIMARY\\OTHER"),
        (0x00080012, "DA", of.day),
        (0x00080013, "TM", "101700"),
        (0x00080016, "UI", shape.sop_class),
        (0x00080018, "UI", sop_uid),
        (0x00080020, "DA", of.day),
        (0x00080021, "DA", of.day),
        (0x00080022, "DA", of.day),
        (0x00080023, "DA", of.day),
        (0x00080030, "TM", "101500"),
        (0x00080031, "TM", "101530"),
        (0x00080032, "TM", f"1016{number % 60:02d}"),
        (0x00080033, "TM", f"1016{number % 60:02d}"),
        (0x00080050, "SH", of.accession),
        (0x00080060, "CS", shape.modality),
        (0x00080070, "LO", "Bench Instruments"),
        (0x00080080, "LO", "Nordsjukhuset"),
        (0x00080090, "PN", "Läkare^Lena"),
        (0x00081010, "SH", "BENCH1"),
        (0x00081030, "LO", "Hjärna utan kontrast"),
        (0x00081032, "SQ", _code("AA0MR", "1.2.752.116.1.3.2.1.4", "MR hjärna")),
        (0x0008103E, "LO", "Axial T2"),
        (0x00081040, "LO", "Röntgen"),
        (0x00081090, "LO", "Model B"),
        (0x00081140, "SQ", b"".join(_reference(*mate) for mate in series_mates)),
        (0x00100010, "PN", f"Testsson^Nr{of.patient_id[-4:]}"),
        (0x00100020, "LO", of.patient_id),
        (0x00100030, "DA", of.patient_id[:8]),
        (0x00100040, "CS", "M" if int(of.patient_id[10]) % 2 else "F"),
        (0x00101010, "AS", "045Y"),
        (0x00101030, "DS", "72"),
        (0x00180015, "CS", "BRAIN"),
        *_ACQUISITION,
        (0x0020000D, "UI", of.study_uid),
        (0x0020000E, "UI", of.series_uid),
        (0x00200010, "SH", of.accession),
        (0x00200011, "IS", "1"),
        (0x00200012, "IS", "1"),
        (0x00200013, "IS", str(number)),
        (0x00200032, "DS", f"-125\\-125\\{number * 5}"),
        (0x00200037, "DS", "1\\0\\0\\0\\1\\0"),
        (0x00200052, "UI", of.series_uid + ".9"),
        (0x00201041, "DS", str(number * 5)),
        (0x00280002, "US", 1),
        (0x00280004, "CS", "MONOCHROME2"),
        (0x00280010, "US", shape.rows),
        (0x00280011, "US", shape.columns),
        (0x00280030, "DS", "0.97\\0.97"),
        (0x00280100, "US", 16),
        (0x00280101, "US", 12),
        (0x00280102, "US", 11),
        (0x00280103, "US", 0),
        (0x00280106, "US", 0),
        (0x00280107, "US", 4095),
        (0x00281050, "DS", "600"),
        (0x00281051, "DS", "1200"),
    ]
    if private:
        elements.append((0x00290010, "LO", "BENCH HEADER"))
        elements += [(0x00291000 + place, "LO", f"value {place}") for place in range(_PRIVATE_ELEMENTS)]
        elements.append((0x002910F0, "OB", private))
    elements += [
        (0x00400244, "DA", of.day),
        (0x00400245, "TM", "101500"),
        (0x00400253, "SH", of.accession),
        (0x00400254, "LO", "MR hjärna"),
        (
            0x00400275,
            "SQ",
            _item(encoded(0x00400007, "LO", "MR hjärna") + encoded(0x00401001, "SH", of.accession)),
        ),
        (0x7FE00010, "OW", pixels),
    ]
    return b"".join(encoded(tag, vr, value) for tag, vr, value in elements)


def _item(content: bytes) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(content)) + content


def _code(value: str, scheme: str, meaning: str) -> bytes:
    return _item(
        encoded(0x00080100, "SH", value)
        + encoded(0x00080102, "SH", scheme[:16])
        + encoded(0x00080104, "LO", meaning)
    )


def _reference(sop_class: str, sop_uid: str) -> bytes:
    return _item(encoded(0x00081150, "UI", sop_class) + encoded(0x00081155, "UI", sop_uid))


def encoded(tag: int, vr: str, value: str | int | bytes) -> bytes:
    """One element in explicit VR little endian."""
    if isinstance(value, int):
        value = struct.pack("<H", value)
    elif isinstance(value, str):
        value = value.encode()
    if len(value) % 2:
        value += b"\0" if vr in ("UI", "OB") else b" "
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    if vr in _LONG:
        return head + struct.pack("<HI", 0, len(value)) + value
    return head + struct.pack("<H", len(value)) + value
