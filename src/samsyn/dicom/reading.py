"""What intake must know of an arriving data set: its UIDs, the values that the index wants, where pixels lie.

The walk touches every element once, so that an accepted data set is known to be whole and readable to its
last byte; nothing else about the content is judged here.
"""

import struct
from collections.abc import Iterator, Sequence
from types import MappingProxyType

from samsyn.dicom.alike import MAX_ALIKE_BYTES, Alike, Element, Found, Run
from samsyn.dicom.charsets import DEFAULT_CHARSETS, decode_text, read_charsets
from samsyn.dicom.moments import TIMEZONE_OFFSET
from samsyn.dicom.requested import REQUEST_ATTRIBUTES, RequestElement
from samsyn.dicom.structure import (
    EXPLICIT_LITTLE_ENCODING,
    FRAGMENT_VRS,
    PIXEL_DATA,
    SHORT_VRS,
    UNDEFINED,
    Encoding,
    encoding_of,
    implicit_twin,
    inflate,
    is_long,
    skip_fragments,
    skip_sequence,
)
from samsyn.dicom.uids import read_uid
from samsyn.errors import BadInput, LimitExceeded
from samsyn.limits import MAX_ELEMENTS, MAX_HEADER_BYTES, MAX_INSTANCE_BYTES
from samsyn.model.imaging import PixelLayout
from samsyn.model.value import value

SPECIFIC_CHARACTER_SET = 0x00080005
SOP_CLASS_UID = 0x00080016
SOP_INSTANCE_UID = 0x00080018
STUDY_INSTANCE_UID = 0x0020000D
SERIES_INSTANCE_UID = 0x0020000E

INDEXED_TAGS = frozenset(
    {
        SPECIFIC_CHARACTER_SET,
        *(0x00080020, 0x00080021, 0x00080023),  # study, series and content date
        *(0x00080030, 0x00080031, 0x00080033),  # and time
        TIMEZONE_OFFSET,
        0x00080050,  # accession number
        0x00080060,  # modality
        *(0x00080070, 0x00080080, 0x00080090),  # maker, institution, referrer
        *(0x00081010, 0x00081030, 0x0008103E),  # station, descriptions
        *(0x00100010, 0x00100020, 0x00100021, 0x00100030, 0x00100040),  # name, id, issuer, birth date, sex
        *(0x00180015, 0x00181030),  # body part, protocol
        *(0x00200010, 0x00200011, 0x00200013, 0x00200060, 0x00200062),  # id, numbers, laterality
        *(0x00400244, 0x00400245),  # when the performed procedure step began
    }
)
"""Tags whose text `summarize` returns."""

_PIXEL_FACTS = frozenset(
    {
        *(0x00280002, 0x00280004, 0x00280006, 0x00280008),  # samples, photometric, planar, frames
        *(0x00280010, 0x00280011, 0x00280100, 0x00280101, 0x00280103),  # rows, columns, bits, sign
    }
)
_SHARED_UIDS = MappingProxyType(
    {
        SOP_CLASS_UID: "SOP Class UID",
        STUDY_INSTANCE_UID: "Study Instance UID",
        SERIES_INSTANCE_UID: "Series Instance UID",
    }
)
_WANTED = INDEXED_TAGS | _PIXEL_FACTS | {SOP_INSTANCE_UID, *_SHARED_UIDS}
_WANTED_LITTLE = MappingProxyType({(tag & 0xFFFF) << 16 | tag >> 16: tag for tag in _WANTED})
"""Tags as one little endian 32-bit number reads them, group in the low half."""
_WANTED_KEYS_LITTLE = frozenset(_WANTED_LITTLE)
_PIXEL_TAGS = frozenset({PIXEL_DATA, 0x7FE00008, 0x7FE00009})
_PIXEL_KEYS_LITTLE = frozenset((tag & 0xFFFF) << 16 | tag >> 16 for tag in _PIXEL_TAGS)

_REQUEST_LITTLE = (REQUEST_ATTRIBUTES & 0xFFFF) << 16 | REQUEST_ATTRIBUTES >> 16

_HEADER_LITTLE = struct.Struct("<IHH")
_LONG_LITTLE = struct.Struct("<I")
_SHORT_VRS_LITTLE = frozenset(int.from_bytes(vr, "little") for vr in SHORT_VRS)
_PLAIN_LONG_VRS_LITTLE = frozenset(
    int.from_bytes(vr, "little") for vr in b"OB OD OF OL OV OW UC UN UR UT".split()
)
_FIRST_LEGAL_GROUP = 0x0008
"""Groups below belong to messages, files and directories, never to a stored data set (PS3.5 7.1)."""


@value
class Summary:
    """What the index and the store need of one data set."""

    sop_class_uid: str
    sop_instance_uid: str
    study_uid: str
    series_uid: str
    values: dict[int, str]
    """Text of the INDEXED_TAGS that are present, decoded, without padding; several values parted by `\\`."""
    pixels: PixelLayout | None
    """Of (7FE0,0010), or (7FE0,0008/0009) for float pixels. In a deflated transfer syntax its offset counts
    in the *inflated* data set, not in the stored bytes."""
    request: RequestElement | None = None
    """Request Attributes Sequence, unread; see requested.read_requested."""


def summarize(data: bytes | memoryview, transfer_syntax_uid: str, alike: Alike | None = None) -> Summary:
    """Read a whole data set (without preamble and file meta information) once.

    `alike`: of the source that it comes from; what is answered is the same without.

    BadInput: it does not reach exactly to its end, is not well formed, one of the four UIDs is missing or
    illegal, or an element that matters stands twice (then nobody can tell which one is meant).
    LimitExceeded: MAX_INSTANCE_BYTES, MAX_HEADER_BYTES, MAX_SEQUENCE_DEPTH, MAX_ELEMENTS, MAX_DEFLATE_RATIO.
    NotSupported: unknown transfer syntax.
    """
    syntax, encoding = encoding_of(transfer_syntax_uid)
    if len(data) > MAX_INSTANCE_BYTES:
        raise LimitExceeded("MAX_INSTANCE_BYTES")
    if syntax.deflated:
        data = inflate(data)
    if encoding is EXPLICIT_LITTLE_ENCODING:
        found, fresh, known, pixel_offset, pixel_length = _walk_explicit_little(data, alike)
    else:
        alike = None
        found, pixel_offset, pixel_length = _walk(data, encoding)
        fresh, known = found, []
    if pixel_offset > MAX_HEADER_BYTES:
        raise LimitExceeded("MAX_HEADER_BYTES")
    get = found.get
    return Summary(
        _uid(get(SOP_CLASS_UID, b""), SOP_CLASS_UID, alike),
        read_uid(get(SOP_INSTANCE_UID, b""), "SOP Instance UID"),
        _uid(get(STUDY_INSTANCE_UID, b""), STUDY_INSTANCE_UID, alike),
        _uid(get(SERIES_INSTANCE_UID, b""), SERIES_INSTANCE_UID, alike),
        _texts(get(SPECIFIC_CHARACTER_SET), fresh, known),
        _layout_of(found, pixel_offset, pixel_length, encoding, alike) if pixel_offset >= 0 else None,
        RequestElement(bytes(get(REQUEST_ATTRIBUTES, b"")), bytes(get(SPECIFIC_CHARACTER_SET, b"")), encoding)
        if REQUEST_ATTRIBUTES in found
        else None,
    )


def _walk_explicit_little(
    data: bytes | memoryview, alike: Alike | None
) -> tuple[Found, Found, list[Run], int, int]:
    """The hot walk: nearly all objects are explicit VR little endian. See `_walk` for the rules.

    Beside what is found, the part of it that is not among the fixed values of runs, and those runs.
    """
    found: Found = {}
    fresh: Found = {}
    known: list[Run] = []
    pixel_offset, pixel_length = -1, 0
    position, end, left = 0, len(data), MAX_ELEMENTS
    unpack, unpack_long = _HEADER_LITTLE.unpack_from, _LONG_LITTLE.unpack_from
    wanted, short, plain_long, pixels = (
        _WANTED_KEYS_LITTLE,
        _SHORT_VRS_LITTLE,
        _PLAIN_LONG_VRS_LITTLE,
        _PIXEL_KEYS_LITTLE,
    )
    runs = alike.runs if alike is not None else {}
    _check_first_group(data, "little")
    try:
        while position < end:
            left -= 1
            if left < 0:
                raise LimitExceeded("MAX_ELEMENTS")
            key, vr, length = unpack(data, position)
            if key in runs and alike is not None:
                run = alike.take(runs[key], data, position, left, found, fresh)
                if run is not None:
                    left -= run.count - 1
                    known.append(run)
                    position += run.size
                    continue
            if vr in short:
                begin = position + 8
            else:
                begin = position + 12
                length = unpack_long(data, position + 8)[0]
                if key in pixels:
                    if pixel_offset >= 0:
                        raise BadInput("the data set has pixel data twice")
                    pixel_offset, pixel_length = begin, length if length != UNDEFINED else -1
                if vr not in plain_long or length == UNDEFINED:
                    name = vr.to_bytes(2, "little")
                    stop, left = _skip_long(data, begin, length, name, EXPLICIT_LITTLE_ENCODING, left)
                    if key == _REQUEST_LITTLE:
                        found[REQUEST_ATTRIBUTES] = fresh[REQUEST_ATTRIBUTES] = data[position:stop]
                    position = stop
                    continue
            position = begin + length
            if key in wanted:
                tag = _WANTED_LITTLE[key]
                if tag in found:
                    raise BadInput(f"element {tag:08X} stands twice")
                found[tag] = fresh[tag] = data[begin:position]
    except struct.error as error:
        raise BadInput("the data set ends inside an element") from error
    if position > end:
        raise BadInput("an element is longer than the data set")
    if alike is not None and not known and alike.wants_lesson():
        alike.learn(_elements(data))
    return found, fresh, known, pixel_offset, pixel_length


def _elements(data: bytes | memoryview) -> Iterator[Element | None]:
    """The elements before the pixel data of a data set that was walked to its end; None = one too large for a run."""
    position, end = 0, len(data)
    while position < end:
        key, vr, length = _HEADER_LITTLE.unpack_from(data, position)
        if key in _PIXEL_KEYS_LITTLE:
            return
        begin, tag, count = position + 8, _WANTED_LITTLE.get(key, 0), 1
        structure_ends, value_at = begin, 8
        if vr not in _SHORT_VRS_LITTLE:
            begin = structure_ends = position + 12
            value_at = 12
            length = _LONG_LITTLE.unpack_from(data, position + 8)[0]
            if vr not in _PLAIN_LONG_VRS_LITTLE or length == UNDEFINED:
                name = vr.to_bytes(2, "little")
                stop, left = _skip_long(data, begin, length, name, EXPLICIT_LITTLE_ENCODING, MAX_ELEMENTS)
                tag, count = (REQUEST_ATTRIBUTES if key == _REQUEST_LITTLE else 0), MAX_ELEMENTS - left + 1
                structure_ends, value_at, length = stop, 0, stop - begin
        size = begin + length - position
        if size <= MAX_ALIKE_BYTES:
            value = bytes(data[position + value_at : position + size]) if tag else b""
            yield Element(key, bytes(data[position:structure_ends]), size, tag, value_at, count, value)
        else:
            yield None
        position += size


def _walk(data: bytes | memoryview, encoding: Encoding) -> tuple[Found, int, int]:
    """Every element of the top level: (wanted values, offset and length of the pixel data or -1, 0)."""
    found: Found = {}
    pixel_offset, pixel_length = -1, 0
    position, end, left = 0, len(data), MAX_ELEMENTS
    _check_first_group(data, "little" if encoding.order == "<" else "big")
    while position < end:
        if position + 8 > end:
            raise BadInput("the data set ends inside an element")
        left -= 1
        if left < 0:
            raise LimitExceeded("MAX_ELEMENTS")
        vr, start = b"", position
        if encoding.explicit:
            group, element, vr, length = encoding.element.unpack_from(data, position)
            position += 8
            if is_long(vr):
                if position + 4 > end:
                    raise BadInput("the data set ends inside an element")
                length = encoding.u32.unpack_from(data, position)[0]
                position += 4
        else:
            group, element, length = encoding.item.unpack_from(data, position)
            position += 8
        tag = group << 16 | element
        if group == 0xFFFE:
            raise BadInput("an item or delimiter stands outside a sequence")
        if tag in _PIXEL_TAGS:
            if pixel_offset >= 0:
                raise BadInput("the data set has pixel data twice")
            pixel_offset, pixel_length = position, length if length != UNDEFINED else -1
        if vr == b"SQ" or length == UNDEFINED:
            name = b"OW" if tag == PIXEL_DATA else vr
            position, left = _skip_long(data, position, length, name, encoding, left)
            if tag == REQUEST_ATTRIBUTES:
                found[tag] = data[start:position]
            continue
        if length > end - position:
            raise BadInput("an element is longer than the data set")
        if tag in _WANTED:
            if tag in found:
                raise BadInput(f"element {tag:08X} stands twice")
            found[tag] = data[position : position + length]
        elif tag == REQUEST_ATTRIBUTES:
            found[tag] = data[start : position + length]
        position += length
    return found, pixel_offset, pixel_length


def _check_first_group(data: bytes | memoryview, order: str) -> None:
    if len(data) >= 2:
        group = data[0] | data[1] << 8 if order == "little" else data[1] | data[0] << 8
        if group < _FIRST_LEGAL_GROUP:
            raise BadInput("the data set begins with elements of a message or file")


def _skip_long(
    data: bytes | memoryview, position: int, length: int, vr: bytes, encoding: Encoding, left: int
) -> tuple[int, int]:
    """Past a value that is a sequence, of undefined length or of a VR yet unknown."""
    end = len(data)
    if length == UNDEFINED:
        if vr in FRAGMENT_VRS:
            return skip_fragments(data, position, end, encoding, left)
        if vr == b"UN":
            encoding = implicit_twin(encoding)
        elif vr not in (b"SQ", b""):
            raise BadInput("an element that is no sequence has undefined length")
        return skip_sequence(data, position, length, end, encoding, left)
    if vr == b"SQ":
        return skip_sequence(data, position, length, end, encoding, left)
    is_long(vr)
    if length > end - position:
        raise BadInput("an element is longer than the data set")
    return position + length, left


def _texts(raw_charset: bytes | memoryview | None, fresh: Found, known: Sequence[Run]) -> dict[int, str]:
    charsets = read_charsets(raw_charset) if raw_charset is not None else DEFAULT_CHARSETS
    texts: dict[int, str] = {}
    for run in known:
        if run.charsets != charsets:
            run.texts = _decoded(run.fixed, charsets)
            run.charsets = charsets
        texts.update(run.texts)
    texts.update(_decoded(fresh, charsets))
    return texts


def _decoded(raw_values: Found, charsets: tuple[str, ...]) -> dict[int, str]:
    simple = len(charsets) <= 1
    texts: dict[int, str] = {}
    for tag, raw in raw_values.items():
        if tag not in INDEXED_TAGS:
            continue
        try:
            text = str(raw, "ascii")
        except UnicodeDecodeError:
            text = decode_text(raw, charsets)
        else:
            if not simple or "\x1b" in text:
                text = decode_text(raw, charsets)
        texts[tag] = text.strip(" \0")
    return texts


def _uid(raw: bytes | memoryview, tag: int, alike: Alike | None) -> str:
    """`read_uid` of one that a series or study shares."""
    known = alike.uids.get(tag) if alike is not None else None
    if known is not None and known[0] == raw:
        return known[1]
    uid = read_uid(raw, _SHARED_UIDS[tag])
    if alike is not None and len(raw) <= MAX_ALIKE_BYTES:
        alike.uids[tag] = bytes(raw), uid
    return uid


def _layout_of(
    found: Found, offset: int, length: int, encoding: Encoding, alike: Alike | None
) -> PixelLayout:
    if alike is None:
        return _layout(found, offset, length, encoding)
    facts = (offset, length, *map(found.get, _PIXEL_FACTS))
    if alike.layout is not None and alike.layout[0] == facts:
        return alike.layout[1]
    layout = _layout(found, offset, length, encoding)
    if all(raw is None or (isinstance(raw, bytes) and len(raw) <= MAX_ALIKE_BYTES) for raw in facts[2:]):
        alike.layout = facts, layout
    return layout


def _layout(found: Found, offset: int, length: int, encoding: Encoding) -> PixelLayout:
    """Pixel facts as stated; 0 where a fact is missing, so that rendering refuses and storing does not."""
    u16 = encoding.u16

    def number(tag: int) -> int:
        value = found.get(tag, b"")
        return int(u16.unpack_from(value)[0]) if len(value) >= 2 else 0

    bits_allocated = number(0x00280100)
    return PixelLayout(
        offset=offset,
        length=length,
        rows=number(0x00280010),
        columns=number(0x00280011),
        samples=number(0x00280002) or 1,
        bits_allocated=bits_allocated,
        bits_stored=number(0x00280101) or bits_allocated,
        signed=number(0x00280103) == 1,
        photometric=str(found.get(0x00280004, b""), "latin-1").strip(" \0"),
        planar=number(0x00280006),
        frames=_frames(found.get(0x00280008, b"")),
    )


def _frames(value: bytes | memoryview) -> int:
    """Number of Frames; 1 where it is missing or no sensible number."""
    try:
        return max(1, int(str(value[:16], "ascii").strip(" \0")))
    except ValueError:
        return 1
