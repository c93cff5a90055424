"""Odd but legal objects: those of pydicom and pydicom-data, and generated ones with a seed, as raw data sets.

The generated ones are written byte by byte here, by PS3.5, so that no library tidies them up.
"""

import random
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pydicom

from tests.dicom.corpus import data_sets
from tests.dicom.test_reading import REFUSED

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
DEFLATED, BIG = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"
JPEG, JPEG_LOSSLESS, JPEG_LS = (f"1.2.840.10008.1.2.4.{last}" for last in (50, 70, 80))
JPEG_2000, HTJ2K, MPEG_4, RLE = (f"1.2.840.10008.1.2.{last}" for last in ("4.90", "4.201", "4.102", "5"))
NATIVE = (IMPLICIT, EXPLICIT, DEFLATED, BIG)
ENCAPSULATED = (JPEG, JPEG_LOSSLESS, JPEG_LS, JPEG_2000, HTJ2K, RLE, MPEG_4)
CLASSES = tuple(
    f"1.2.840.10008.5.1.4.1.1.{last}"
    for last in ("2", "4", "7", "7.1", "7.2", "3.1", "6.1", "88.33", "66", "66.4", "104.1", "9.1.1", "481.3", "128")
)  # fmt: skip
PRIVATE_CLASS = "1.3.6.1.4.1.99999.5.1"
LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
UNDEFINED = 0xFFFFFFFF
A_STUDY = 12
"""Generated objects of one study."""


@dataclass(frozen=True, slots=True)
class Odd:
    """One object and where it belongs."""

    name: str
    sop_class: str
    sop_instance: str
    study: str
    series: str
    syntax: str
    data: bytes


Elements = dict[int, tuple[bytes, bytes, int | None]]
"""tag -> VR, value, length that is told when it is not that of the value."""


class Form:
    """How elements are written in one transfer syntax."""

    def __init__(self, syntax: str) -> None:
        self.explicit = syntax != IMPLICIT
        self.order = ">" if syntax == BIG else "<"

    def element(self, tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
        size = len(value) if length is None else length
        head = struct.pack(f"{self.order}HH", tag >> 16, tag & 0xFFFF)
        if not self.explicit:
            return head + struct.pack("<I", size) + value
        if vr in LONG:
            return head + vr + b"\0\0" + struct.pack(f"{self.order}I", size) + value
        return head + vr + struct.pack(f"{self.order}H", size) + value

    def item(self, value: bytes, undefined: bool = False, tag: int = 0xE000) -> bytes:
        head = struct.pack(f"{self.order}HHI", 0xFFFE, tag, UNDEFINED if undefined else len(value))
        return head + value + (self.item(b"", tag=0xE00D) if undefined else b"")

    def sequence(self, items: list[bytes], undefined: bool) -> tuple[bytes, bytes, int | None]:
        content = b"".join(items)
        if undefined:
            return b"SQ", content + self.item(b"", tag=0xE0DD), UNDEFINED
        return b"SQ", content, None

    def numbers(self, kind: str, *values: float) -> bytes:
        return struct.pack(f"{self.order}{len(values)}{kind}", *values)

    def write(self, elements: Elements) -> bytes:
        return b"".join(self.element(tag, *elements[tag]) for tag in sorted(elements))


def even(value: bytes, filler: bytes = b" ") -> bytes:
    return value + filler if len(value) % 2 else value


def text(vr: str, value: bytes) -> tuple[bytes, bytes, None]:
    return vr.encode(), even(value, b"\0" if vr == "UI" else b" "), None


# -- what makes an object odd ----------------------------------------------------------------------------


def every_vr(form: Form, dice: random.Random) -> Elements:
    """One element of each VR of PS3.5 table 6.2-1 in a private block, with none, one or several values."""
    number = form.numbers
    values: list[tuple[str, bytes]] = [
        ("AE", b"  A B\\C "), ("AS", b"018M\\064Y"), ("AT", number("H", 8, 0x18)), ("CS", b"A_B 1\\\\Z"),
        ("DA", b"19000101\\20240229"), ("DS", b"-1.5e-10\\ 0\\+3.14159265358979"), ("DT", b"202402291200.123456+0130"),
        ("FD", number("d", 1e308, -0.0)), ("FL", number("f", 1e-38)), ("IS", b"-2147483648\\ +1 "), ("LO", b"x" * 64),
        ("LT", b" leading\r\n\ttabs " * 100), ("OB", dice.randbytes(10)), ("OD", number("d", 1.5)),
        ("OF", number("f", 1.5, -1.5)), ("OL", number("I", 2**32 - 1)), ("OV", number("Q", 2**64 - 1)),
        ("OW", number("H", 1, 2, 3)), ("PN", b"A^B^C^D^E=\xe5=^^^^\\"), ("SH", b"\\" * 10), ("SL", number("i", -1)),
        ("SS", number("h", -(2**15))), ("ST", b"\\not several\\"), ("SV", number("q", -(2**63))),
        ("TM", b"235960.999999\\00"), ("UC", b"c" * 70_000), ("UI", b"1.2\\2.25.0"), ("UL", number("I", 7)),
        ("UN", dice.randbytes(6)), ("UR", b"http://localhost/b?c=%20"), ("US", number("H", 65535)),
        ("UT", b"u" * 66_000 + b"\r\n"), ("UV", number("Q", 2**63)),
    ]  # fmt: skip
    made: Elements = {0x00990010: text("LO", b"SAMSYN TEST")}
    for place, (vr, value) in enumerate(values):
        made[0x00991000 + place] = text(vr, b"" if dice.random() < 0.2 else value)
    return made


def private_blocks(form: Form, dice: random.Random) -> Elements:
    """Several blocks in one group, an unused one, a value that is private within private, unknown VR UN."""
    made: Elements = {}
    for group in dice.sample(range(0x0009, 0x6000, 2), 5):
        blocks = dice.sample(range(0x10, 0x100), dice.randrange(1, 4))
        for block in blocks:
            made[group << 16 | block] = text("LO", b"MAKER %d" % dice.randrange(9))
            for element in dice.sample(range(256), dice.randrange(4)):
                made[group << 16 | block << 8 | element] = (
                    b"UN",
                    dice.randbytes(2 * dice.randrange(20)),
                    None,
                )
    return made


def nested(form: Form, dice: random.Random) -> Elements:
    """Sequences in sequences of defined and undefined lengths, without items, with empty items, to 25 deep."""

    def level(depth: int) -> bytes:
        inside: Elements = {0x00080100: text("SH", b"C%d" % depth), 0x00080104: text("LO", b"")}
        if depth:
            items = [form.item(level(depth - 1), dice.random() < 0.5)]
            items += [form.item(b"", dice.random() < 0.5) for _ in range(dice.randrange(2))]
            inside[0x0040A730] = form.sequence(items, dice.random() < 0.5)
        else:
            inside[0x0040A168] = form.sequence([], dice.random() < 0.5)
        return form.write(inside)

    return {
        0x00081140: form.sequence([form.item(level(dice.randrange(25)), dice.random() < 0.5)], True),
        0x00082112: form.sequence([form.item(b"")] * dice.randrange(3), dice.random() < 0.5),
        0x0040A730: form.sequence([form.item(level(2), True), form.item(level(3))], dice.random() < 0.5),
    }


def unknown_sequences(form: Form, dice: random.Random) -> Elements:
    """UN of undefined length holds implicit VR little endian items (PS3.5 6.2.2 note 2)."""
    if not form.explicit or form.order == ">":
        return {}
    twin = Form(IMPLICIT)
    inside = twin.item(twin.element(0x00080100, b"SH", b"CODE"), dice.random() < 0.5)
    return {
        0x00110010: text("LO", b"MAKER"),
        0x00111001: (b"UN", inside + twin.item(b"", tag=0xE0DD), UNDEFINED),
        0x00111002: (b"UN", dice.randbytes(70_000), None),
    }


def empty_values(form: Form, dice: random.Random) -> Elements:
    """Type 2 attributes without value."""
    tags = (0x00080090, 0x00081030, 0x0008103E, 0x00100040, 0x00101010, 0x00200010, 0x00200020)
    vrs = ("PN", "LO", "LO", "CS", "AS", "SH", "CS")
    return {tag: text(vr, b"") for tag, vr in zip(tags, vrs, strict=True) if dice.random() < 0.8}


CHARSETS = (
    (b"ISO_IR 100", "Åström^Örjan".encode("latin-1")),
    (b"ISO_IR 101", "Nagy^Ő".encode("iso8859-2")),
    (b"ISO_IR 144", "Люкceмбypг".encode("iso8859-5")),
    (b"ISO_IR 127", "قباني^لنزار".encode("iso8859-6")),
    (b"ISO_IR 126", "Διονυσιος".encode("iso8859-7")),
    (b"ISO_IR 138", "שרון^דבורה".encode("iso8859-8")),
    (b"ISO_IR 148", "Çavuşoğlu".encode("iso8859-9")),
    (b"ISO_IR 166", "นามสกุล".encode("tis-620")),
    (b"ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ".encode("shift-jis")),
    (b"ISO_IR 192", "Wang^XiaoDong=王^小東=".encode()),
    (b"GB18030", "Wang^XiaoDong=王^小东=".encode("gb18030")),
    (b"GBK", "Wang^XiaoDong=王^小东=".encode("gbk")),
    (b"\\ISO 2022 IR 87", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B"),
    (b"ISO 2022 IR 13\\ISO 2022 IR 87", b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J="),
    (b"\\ISO 2022 IR 149", b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab"),
    (b"\\ISO 2022 IR 58", b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab="),
    (b"", b"Plain^Ascii"),
)  # fmt: skip


def charsets(form: Form, dice: random.Random) -> Elements:
    charset, name = dice.choice(CHARSETS)
    return {
        0x00080005: text("CS", charset),
        0x00081050: text("PN", name),
        0x00081060: text("PN", name + b"\\" + name),
    }


def overlays(form: Form, dice: random.Random) -> Elements:
    """Planes of one bit a pixel, packed, whose number of pixels is odd; a retired curve beside them."""
    made: Elements = {}
    for group in dice.sample(range(0x6000, 0x6020, 2), 3):
        rows, columns = dice.randrange(1, 20), dice.randrange(1, 20)
        size = (rows * columns + 7) // 8
        made[group << 16 | 0x0010] = (b"US", form.numbers("H", rows), None)
        made[group << 16 | 0x0011] = (b"US", form.numbers("H", columns), None)
        made[group << 16 | 0x0040] = text("CS", b"G")
        made[group << 16 | 0x0050] = (b"SS", form.numbers("h", 1, -3), None)
        made[group << 16 | 0x3000] = (dice.choice((b"OW", b"OB")), even(dice.randbytes(size), b"\0"), None)
    made[0x50000005] = (b"US", form.numbers("H", 2), None)
    made[0x50003000] = (b"OW", form.numbers("H", 1, 2), None)
    return made


def many_frames(form: Form, dice: random.Random) -> Elements:
    """Functional groups of some hundred frames, and a Number of Frames that fills its VR's twelve characters."""
    place = form.write({0x00209157: (b"UL", form.numbers("I", 1, 2), None)})
    inside = form.write({0x00209111: form.sequence([form.item(place)], True)})
    count = dice.choice((1, 300, 2_000))
    return {
        0x00280008: text("IS", b"%012d" % count),
        0x52009229: form.sequence([form.item(b"", True)], False),
        0x52009230: form.sequence(
            [form.item(inside, dice.random() < 0.5) for _ in range(count)], dice.random() < 0.5
        ),
    }


def offsets_and_scale(form: Form, dice: random.Random) -> Elements:
    """Times with zone, windows with several values, numbers of the longest forms."""
    return {
        0x0008002A: text("DT", b"20240229120000.000001-1200"),
        0x00080201: text("SH", b"+0545"),
        0x00281050: text("DS", b"40\\-600\\1.00000000E+02"),
        0x00281051: text("DS", b"400\\1500\\ 1e3"),
        0x00281055: text("LO", b"SOFT\\LUNG\\"),
        0x00200013: text("IS", b"-2147483648 "),
        0x00280106: (b"SS", form.numbers("h", -5), None),
    }


def retired(form: Form, dice: random.Random) -> Elements:
    """Attributes that the standard has retired, and some that it never had."""
    return {
        0x00080001: (b"UL", form.numbers("I", 12), None),
        0x00080040: (b"US", form.numbers("H", 0), None),
        0x00204000: text("LT", b"comment  "),
        0x00280005: (b"US", form.numbers("H", 2), None),
        0x40080042: text("CS", b"TEMP"),
        0x7FE10010: text("LO", b"AFTER THE PIXELS"),
        0x7FE11001: (b"OB", dice.randbytes(100), None),
    }


ODDITIES: tuple[Callable[[Form, random.Random], Elements], ...] = (
    every_vr,
    private_blocks,
    nested,
    unknown_sequences,
    empty_values,
    charsets,
    overlays,
    many_frames,
    offsets_and_scale,
    retired,
)


def with_group_lengths(form: Form, elements: Elements) -> Elements:
    """Group lengths, retired and legal (PS3.5 7.2)."""
    groups: dict[int, Elements] = {}
    for tag, value in elements.items():
        groups.setdefault(tag >> 16, {})[tag] = value
    lengths: Elements = {
        group << 16: (b"UL", form.numbers("I", len(form.write(inside))), None)
        for group, inside in groups.items()
    }
    return {**elements, **lengths}


# -- pixels ---------------------------------------------------------------------------------------------


def native_pixels(form: Form, dice: random.Random) -> Elements:
    """Bits of every allocation, odd sizes with their pad byte, floats, or none."""
    kind = dice.choice(("none", 1, 8, 16, 32, "float", "double"))
    rows, columns = dice.randrange(1, 30), dice.randrange(1, 30)
    made: Elements = {
        0x00280002: (b"US", form.numbers("H", 1), None),
        0x00280004: text("CS", b"MONOCHROME2"),
        0x00280010: (b"US", form.numbers("H", rows), None),
        0x00280011: (b"US", form.numbers("H", columns), None),
    }
    if kind == "none":
        return {}
    if kind in ("float", "double"):
        size, tag, vr = (4, 0x7FE00008, b"OF") if kind == "float" else (8, 0x7FE00009, b"OD")
        made[0x00280100] = (b"US", form.numbers("H", size * 8), None)
        made[tag] = (vr, dice.randbytes(rows * columns * size), None)
        return made
    bits = int(kind)
    made[0x00280100] = (b"US", form.numbers("H", bits), None)
    made[0x00280101] = (b"US", form.numbers("H", max(1, bits - dice.randrange(4))), None)
    made[0x00280103] = (b"US", form.numbers("H", dice.randrange(2)), None)
    vr = b"OW" if bits > 8 or not form.explicit or form.order == ">" or dice.random() < 0.5 else b"OB"
    made[0x7FE00010] = (vr, even(dice.randbytes((rows * columns * bits + 7) // 8), b"\0"), None)
    return made


def encapsulated_pixels(form: Form, dice: random.Random) -> Elements:
    """Fragments: one or several a frame; offset table empty, filled or extended (PS3.5 A.4, PS3.3 C.7.6.3.1.8)."""
    frames = dice.choice((1, 1, 2, 7, 40))
    several = dice.random() < 0.5
    table = dice.choice(("empty", "basic", "extended"))
    fragments: list[bytes] = []
    starts, lengths, position = [], [], 0
    for _ in range(frames):
        pieces = [
            dice.randbytes(2 * dice.randrange(1, 200)) for _ in range(dice.randrange(1, 4) if several else 1)
        ]
        if table == "extended":
            pieces = [b"".join(pieces)]  # where there is an extended table a frame is one fragment
        starts.append(position)
        lengths.append(sum(map(len, pieces)))
        position += sum(len(piece) + 8 for piece in pieces)
        fragments += pieces
    basic = struct.pack(f"<{frames}I", *starts) if table == "basic" else b""
    content = b"".join(form.item(piece) for piece in (basic, *fragments)) + form.item(b"", tag=0xE0DD)
    made: Elements = {
        0x00280002: (b"US", form.numbers("H", 3), None),
        0x00280004: text("CS", b"YBR_FULL_422"),
        0x00280006: (b"US", form.numbers("H", 0), None),
        0x00280008: text("IS", b"%d" % frames),
        0x00280010: (b"US", form.numbers("H", 64), None),
        0x00280011: (b"US", form.numbers("H", 64), None),
        0x00280100: (b"US", form.numbers("H", 8), None),
        0x00280101: (b"US", form.numbers("H", 8), None),
        0x00280103: (b"US", form.numbers("H", 0), None),
        0x7FE00010: (b"OB", content, UNDEFINED),
    }
    if table == "extended":
        made[0x7FE00001] = (b"OV", struct.pack(f"<{frames}Q", *starts), None)
        made[0x7FE00002] = (b"OV", struct.pack(f"<{frames}Q", *lengths), None)
    return made


# -- whole objects --------------------------------------------------------------------------------------


def uid(dice: random.Random) -> str:
    """Unique UIDs of all lengths: a root, some components, and digits to the 64th character now and then."""
    root = dice.choice(("2.25", "1.2.826.0.1.3680043.8.498", "1.3.6.1.4.1.5962.99.1", "2.999", "1.2.0"))
    made = f"{root}.{dice.randrange(1, 10)}{dice.randrange(10**14):014d}"
    if dice.random() < 0.3:
        made += f".{dice.randrange(1, 10)}" + "".join(
            dice.choice("0123456789") for _ in range(62 - len(made))
        )
    return made


def generated(count: int, seed: int) -> Iterator[Odd]:
    """So many objects, the same for the same seed."""
    dice = random.Random(seed)
    study = series = ""
    for number in range(count):
        if number % A_STUDY == 0:
            study = uid(dice)
        if number % (A_STUDY // 2) == 0:
            series = uid(dice)
        sop_class = PRIVATE_CLASS if number % 40 == 39 else CLASSES[number // A_STUDY % len(CLASSES)]
        syntax = NATIVE[number % 4] if number % 3 else ENCAPSULATED[number // 3 % len(ENCAPSULATED)]
        yield one(dice, number, study, series, sop_class, syntax)


def one(dice: random.Random, number: int, study: str, series: str, sop_class: str, syntax: str) -> Odd:
    form, instance = Form(syntax), uid(dice)
    chosen = [ODDITIES[number % len(ODDITIES)], *dice.sample(ODDITIES, dice.randrange(1, 4))]
    elements: Elements = {}
    for oddity in chosen:
        elements.update(oddity(form, dice))
    elements.update((native_pixels if syntax in NATIVE else encapsulated_pixels)(form, dice))
    elements.update(
        {
            0x00080016: text("UI", sop_class.encode()),
            0x00080018: text("UI", instance.encode()),
            0x00080020: text("DA", b"20240229"),
            0x00080060: text("CS", b"OT"),
            0x00100010: text("PN", b"Tolvansson^Tolvan"),
            0x00100020: text("LO", b"19121212-1212"),
            0x0020000D: text("UI", study.encode()),
            0x0020000E: text("UI", series.encode()),
        }
    )
    if dice.random() < 0.3:
        elements = with_group_lengths(form, elements)
    if dice.random() < 0.3:
        elements[0xFFFCFFFC] = (b"OB", bytes(2 * dice.randrange(300)), None)  # PS3.10 7.2
    data = form.write(elements)
    if syntax == DEFLATED:
        machine = zlib.compressobj(dice.randrange(10), zlib.DEFLATED, -15)
        data = even(machine.compress(data) + machine.flush(), b"\0")
    name = f"generated {number}: " + ", ".join(oddity.__name__ for oddity in chosen)
    return Odd(name, sop_class, instance, study, series, syntax, data)


def of_packages() -> Iterator[Odd]:
    """Other people's objects that name a patient. Copies under one SOP Instance UID get one of their own, of the same
    length, since one UID has one byte string for ever."""
    seen: set[str] = set()
    studies: dict[str, str] = {}
    for path, syntax, data in data_sets():
        if path.name in REFUSED:
            continue
        header = pydicom.dcmread(path, stop_before_pixels=True)
        patient = str(header.get("PatientID", "")).strip()
        instance, study = str(header.SOPInstanceUID), str(header.StudyInstanceUID)
        if not patient or studies.setdefault(study, patient) != patient:
            continue  # held for a steward, by design
        if instance in seen:
            if syntax == DEFLATED:
                continue
            other = _another(instance, len(seen))
            data = data.replace(instance.encode(), other.encode())
            instance = other
        seen.add(instance)
        series = str(header.SeriesInstanceUID)
        yield Odd(path.name, str(header.SOPClassUID), instance, study, series, syntax, data)


def _another(instance: str, number: int) -> str:
    digits = f"{number + 1000}"
    root = instance[: -len(digits)]
    return (root if not root.endswith(".") else root[:-1] + "1") + digits
