"""Reads from a metadata document (the DICOM JSON model, PS3.18 annex F) what a picture or a tracing depends on.

Pure. Values that make no sense are left out rather than refused: the picture is then shown with defaults.
"""

import base64
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from samsyn.dicom.json import ALWAYS_WANTED
from samsyn.errors import DamagedData
from samsyn.limits import MAX_FRAME_GROUPS
from samsyn.render.orientation import UNTOLD, Sides, sides_of
from samsyn.render.overlays import OVERLAY_TAGS, Plane, planes_of
from samsyn.render.words import DisplayValues, LookupTable, Voi, Waveform, WaveformChannel, Window

Document: TypeAlias = dict[str, dict[str, Any]]
"""One instance: tag in eight hexadecimal digits -> {"vr", "Value" | "InlineBinary" | "BulkDataURI"}."""
Bulk: TypeAlias = Callable[[str], bytes]
"""Gives the bytes of a BulkDataURI's path below the instance, such as 54000100/0/54001010."""

PICTURE_TAGS: Final = (
    ALWAYS_WANTED
    | OVERLAY_TAGS
    | {
        *(0x00080016, 0x00080060, 0x0008103E, 0x00082144, 0x00089205),
        *(0x00180040, 0x00181063, 0x00181065, 0x00181164, 0x00182010),
        *(0x00200020, 0x00200037),
        *(0x00280004, 0x00280030, 0x00280034, 0x00280102, 0x00280120, 0x00280121),
        *(0x00280122, 0x00280123, 0x00280124, 0x00280125),
        *(0x00281040, 0x00281050, 0x00281051, 0x00281052, 0x00281053, 0x00281055, 0x00281056),
        *(0x00281101, 0x00281102, 0x00281103, 0x00281201, 0x00281202, 0x00281203),
        *(0x00281221, 0x00281222, 0x00281223),
        *(0x00283000, 0x00283010),
        0x20500020,
        *(0x52009229, 0x52009230, 0x7FE00008, 0x7FE00009, 0x7FE00010),
    }
)
"""What `picture_header` and `bulk_paths` look at, at the top level: none that can be corrected or names the person."""
_WINDOW_CENTER: Final = "00281050"
_WINDOW_WIDTH: Final = "00281051"
_VOI_LUTS: Final = "00283010"
_FRAME_VOI: Final = "00289132"
_FLUOROSCOPY: Final = ("1.2.840.10008.5.1.4.1.1.12.1", "1.2.840.10008.5.1.4.1.1.12.2")
"""Beginnings of the UIDs of X-ray angiography and radiofluoroscopy."""
_SHAPES: Final = MappingProxyType({"IDENTITY": False, "INVERSE": True})
"""Presentation LUT Shapes of images (PS3.3 C.11.6.1.2); others are of films."""
_SHARED_GROUPS: Final = "52009229"
_FRAME_GROUPS: Final = "52009230"
_MAX_WINDOWS: Final = 16
_LONGEST_FRAME_MS: Final = 60_000.0
_MICROVOLTS: Final = {"uV": 1.0, "mV": 1_000.0, "V": 1_000_000.0, "nV": 0.001}
_LEAD: Final = re.compile(r"^(?:Lead\s+)?(aVR|aVL|aVF|-aVR|V\d{1,2}R?|III|II|I)\b", re.IGNORECASE)
_LEAD_SPELLINGS: Final = {"AVR": "aVR", "AVL": "aVL", "AVF": "aVF", "-AVR": "-aVR"}


@dataclass(frozen=True, slots=True)
class PictureHeader:
    """What one instance's header says of its pictures, in little memory."""

    modality: str
    description: str
    """Series Description."""
    values: DisplayValues
    """For every frame that has none of its own."""
    frame_values: tuple[DisplayValues, ...]
    """By frame, when the functional groups tell something for each; otherwise empty."""
    frame_time_ms: float | None
    pixel_words: bool
    """Whether Pixel Data has VR OW."""
    high_bit: int
    """(0028,0102); -1 = not told."""
    float_bits: int
    """32 or 64 where the pixels are floating point numbers, else 0."""
    planes: tuple[Plane, ...] = ()
    """What is drawn on the pictures."""
    sides: Sides = UNTOLD
    """Which side of the patient lies at which edge, of every frame."""

    def of_frame(self, number: int) -> DisplayValues:
        """The values of frame `number`, from 1."""
        return self.frame_values[number - 1] if 0 < number <= len(self.frame_values) else self.values


def picture_header(document: Document, bulk: Bulk) -> PictureHeader:
    """The header of an image. DamagedData: a LUT that can not be read."""
    common = _tables(document, _values_of(document, [document]), bulk)
    shared = next(_items(document, _SHARED_GROUPS), {})
    per_frame = list(_items(document, _FRAME_GROUPS))[:MAX_FRAME_GROUPS]
    if shared:
        common = _with_groups(common, document, [shared], bulk)
    frames: dict[DisplayValues, DisplayValues] = {}
    listed = []
    for groups in per_frame:
        values = _with_groups(common, document, [groups, shared], bulk)
        listed.append(frames.setdefault(values, values))
    if len(frames) == 1 and listed:
        common, listed = listed[0], []
    return PictureHeader(
        modality=_text(document, "00080060"),
        description=_text(document, "0008103E"),
        values=common,
        frame_values=tuple(listed),
        frame_time_ms=_frame_time_ms(document),
        pixel_words=document.get("7FE00010", {}).get("vr") == "OW",
        high_bit=_whole(document, "00280102"),
        float_bits=_float_bits(document),
        planes=planes_of(document),
        sides=sides_of(document),
    )


def bulk_paths(document: Document) -> list[str]:
    """Paths of the bulk values that `picture_header` or `ecg` will ask for."""
    wanted = [document, *_items(document, "00283000"), *_items(document, _VOI_LUTS)]
    wanted += _items(document, "54000100")
    for group in (*_items(document, _SHARED_GROUPS), *_items(document, _FRAME_GROUPS)):
        wanted += _voi_tables(group)
    tags = ("00283006", "54001010", *(f"002812{group}{channel}" for group in "02" for channel in "123"))
    found = (item.get(tag, {}).get("BulkDataURI") for item in wanted for tag in tags)
    return [bulk_path(uri) for uri in found if isinstance(uri, str)]


def bulk_path(uri: str) -> str:
    """The path below the instance that a BulkDataURI of our documents ends with."""
    return uri.rpartition("/bulkdata/")[2]


def _float_bits(document: Document) -> int:
    return 32 if "7FE00008" in document else 64 if "7FE00009" in document else 0


def _with_groups(
    common: DisplayValues, document: Document, groups: list[Document], bulk: Bulk
) -> DisplayValues:
    """The common values with what the functional groups say instead (PS3.3 C.7.6.16)."""
    macros = [item for group in groups for item in _macros(group)]
    own = _values_of(document, [*macros, document])
    said = next((item for item in macros if {_VOI_LUTS, _WINDOW_CENTER} & item.keys()), None)
    voi_lut = common.voi_lut
    if said is not None:
        # As in the data set itself, a table goes before a window that stands beside it.
        voi_lut = _voi_table(document, next(_items(said, _VOI_LUTS), None), own, bulk)
    return replace(
        common,
        slope=own.slope,
        intercept=own.intercept,
        windows=own.windows,
        voi_lut=voi_lut,
        aspect=own.aspect,
    )


def _voi_tables(group: Document) -> Iterator[Document]:
    """VOI LUTs of a Frame VOI LUT With LUT macro (PS3.3 C.7.6.16.2.10b)."""
    for item in _items(group, _FRAME_VOI):
        yield from _items(item, _VOI_LUTS)


def _macros(group: Document) -> Iterator[Document]:
    """Frame VOI LUT, Pixel Value Transformation and Pixel Measures."""
    for tag in (_FRAME_VOI, "00289145", "00289110"):
        yield from _items(group, tag)


def _values_of(document: Document, places: list[Document]) -> DisplayValues:
    """Each value from the first place that has it."""

    def first(tag: str) -> Document:
        return next((place for place in places if place.get(tag, {}).get("Value")), {})

    slope, intercept = _number(first("00281053"), "00281053"), _number(first("00281052"), "00281052")
    return DisplayValues(
        slope=1.0 if slope is None else slope,
        intercept=0.0 if intercept is None else intercept,
        windows=_windows(first(_WINDOW_CENTER), _float_bits(document) > 0),
        padding=_padding(document),
        aspect=_aspect(document, first("00280030")),
        inverse=_SHAPES.get(_text(document, "20500020")),
    )


def _windows(place: Document, has_floats: bool) -> tuple[Window, ...]:
    centers, widths = _numbers(place, _WINDOW_CENTER), _numbers(place, _WINDOW_WIDTH)
    names = place.get("00281055", {}).get("Value") or []
    function = _text(place, "00281056")
    voi = Voi(function) if function in Voi.__members__ else Voi.LINEAR
    found = []
    for number, (center, width) in enumerate(zip(centers, widths, strict=False)):
        if center is not None and width is not None and number < _MAX_WINDOWS:
            name = names[number] if number < len(names) and isinstance(names[number], str) else ""
            # Narrower than one is no window of this function, but for measures of which all lie between 0 and 1.
            is_exact = has_floats and voi is Voi.LINEAR and width < 1.0
            found.append(Window(center, width, Voi.LINEAR_EXACT if is_exact else voi, name))
    return tuple(found)


def _padding(document: Document) -> tuple[float, float] | None:
    """Of the kind that the pixels are: an attribute of floats says nothing of whole numbers."""
    kinds = (("7FE00008", "00280122", "00280124"), ("7FE00009", "00280123", "00280125"))
    tags = next((tags for pixels, *tags in kinds if pixels in document), ["00280120", "00280121"])
    value, limit = (_number(document, tag) for tag in tags)
    if value is None:
        return None
    return value, value if limit is None else limit


def _aspect(document: Document, spaced: Document) -> float:
    """Height of a pixel by its width: from the aspect ratio, else from the first spacing that is there."""
    places = [(document, "00280034"), (spaced, "00280030"), (document, "00181164"), (document, "00182010")]
    for place, tag in places:
        numbers = _numbers(place, tag)
        if len(numbers) >= 2 and numbers[0] and numbers[1] and numbers[0] > 0 and numbers[1] > 0:
            return numbers[0] / numbers[1]
    return 1.0


def _tables(document: Document, values: DisplayValues, bulk: Bulk) -> DisplayValues:
    """The values with the modality, VOI and palette LUTs of the header."""
    is_signed = _number(document, "00280103") == 1
    modality = None if _is_for_intensity(document) else next(_items(document, "00283000"), None)
    palette = None
    if _text(document, "00280004") == "PALETTE COLOR" or _is_partly_coloured(document):
        is_segmented = "00281201" not in document and "00281221" in document
        group = "0028122" if is_segmented else "0028120"
        red, green, blue = (
            replace(table, is_segmented=is_segmented)
            for table in (
                _table(document, f"0028110{channel}", f"{group}{channel}", is_signed, bulk)
                for channel in (1, 2, 3)
            )
        )
        palette = (red, green, blue)
    return replace(
        values,
        modality_lut=_table(modality, "00283002", "00283006", is_signed, bulk) if modality else None,
        voi_lut=_voi_table(document, next(_items(document, _VOI_LUTS), None), values, bulk),
        palette=palette,
    )


def _is_partly_coloured(document: Document) -> bool:
    """Whether the palette is a supplemental one, for some values of a grey picture (PS3.3 C.7.6.19). Grey pictures are
    also met with a palette of which nothing says that it is to be used."""
    is_told = _text(document, "00089205") in ("COLOR", "MIXED")
    return is_told and _text(document, "00280004") == "MONOCHROME2" and "00281101" in document


def _is_for_intensity(document: Document) -> bool:
    """Whether the modality LUT leads to X-ray intensity, which is for measuring: such pixels are shown as they are
    stored (PS3.3 C.8.7.1.1.2)."""
    is_fluoroscopy = _text(document, "00080016").startswith(_FLUOROSCOPY)
    return is_fluoroscopy and _text(document, "00281040") in ("LOG", "DISP")


def _voi_table(
    document: Document, item: Document | None, values: DisplayValues, bulk: Bulk
) -> LookupTable | None:
    """Its input are output units of the modality step, which may be signed whatever is stored."""
    is_signed = _number(document, "00280103") == 1 or values.intercept < 0
    return _table(item, "00283002", "00283006", is_signed, bulk) if item else None


def _table(place: Document, descriptor: str, data: str, is_signed: bool, bulk: Bulk) -> LookupTable:
    """A LUT (PS3.3 C.11.1.1.1): entries (0 = 65536), first mapped value, bits."""
    numbers = _numbers(place, descriptor)
    if len(numbers) < 3 or any(number is None for number in numbers):
        raise DamagedData("impossible LUT descriptor")
    entries, first, bits = (int(number) for number in numbers[:3] if number is not None)
    if first >= 0x8000 and is_signed:
        first -= 0x10000
    return LookupTable((entries & 0xFFFF) or 65_536, first, bits, _binary(place.get(data, {}), bulk))


def _binary(element: dict[str, Any], bulk: Bulk) -> bytes:
    """Bytes of a binary element in any of its three forms, little endian."""
    if "BulkDataURI" in element:
        return bulk(bulk_path(str(element["BulkDataURI"])))
    if "InlineBinary" in element:
        return base64.b64decode(str(element["InlineBinary"]))
    whole = [value for value in element.get("Value") or [] if isinstance(value, int)]
    return b"".join((value & 0xFFFF).to_bytes(2, "little") for value in whole)


def _frame_time_ms(document: Document) -> float | None:
    """Milliseconds per frame (PS3.3 C.7.6.5): Frame Time, its vector's mean, or from a rate."""
    vector = [step for step in _numbers(document, "00181065")[1:] if step is not None]
    times = [_number(document, "00181063"), sum(vector) / len(vector) if vector else None]
    times += [
        1000.0 / rate for tag in ("00180040", "00082144") if (rate := _number(document, tag)) and rate > 0
    ]
    return next((time for time in times if time is not None and 0.0 < time <= _LONGEST_FRAME_MS), None)


def ecg(document: Document, bulk: Bulk) -> Waveform | None:
    """The multiplex group to draw: the first with twelve leads, else the first; None when nothing is a voltage."""
    groups = [group for item in _items(document, "54000100") if (group := _group(item, bulk)) is not None]
    return next((group for group in groups if len(group.channels) == 12), groups[0] if groups else None)


def _group(item: Document, bulk: Bulk) -> Waveform | None:
    channels = [_channel(definition) for definition in _items(item, "003A0200")]
    known = [channel for channel in channels if channel is not None]
    bits, frequency = _number(item, "54001004"), _number(item, "003A001A")
    interpretation = _text(item, "54001006")
    if not known or len(known) != len(channels) or not bits or not frequency:
        return None
    if interpretation not in ("SS", "US", "SB", "UB"):
        return None
    data = _binary(item.get("54001010", {}), bulk)
    return Waveform(tuple(known), frequency, int(bits), interpretation in ("SS", "SB"), data)


def _channel(definition: Document) -> WaveformChannel | None:
    """A channel with its scale; None when it measures something else than a voltage."""
    unit = _text(next(_items(definition, "003A0211"), {}), "00080100")
    sensitivity = _number(definition, "003A0210")
    if unit not in _MICROVOLTS or sensitivity is None:
        return None
    correction, baseline = _number(definition, "003A0212"), _number(definition, "003A0213")
    scale = _MICROVOLTS[unit]
    source = next(_items(definition, "003A0208"), {})
    label = _text(source, "00080104") or _text(definition, "003A0203")
    return WaveformChannel(
        label=lead_name(label),
        microvolts_per_bit=sensitivity * (1.0 if correction is None else correction) * scale,
        baseline=(baseline or 0.0) * scale,
    )


def lead_name(text: str) -> str:
    """The lead as it is written on paper: `Lead I (Einthoven)` and `LEAD I` are `I`."""
    found = _LEAD.match(text.strip())
    if found is None:
        return text.strip()[:12]
    return _LEAD_SPELLINGS.get(found[1].upper(), found[1].upper())


def _items(place: Document, tag: str) -> Iterator[Document]:
    for item in place.get(tag, {}).get("Value") or []:
        if isinstance(item, dict):
            yield item


def _text(place: Document, tag: str) -> str:
    values = place.get(tag, {}).get("Value") or [""]
    return values[0].strip() if isinstance(values[0], str) else ""


def _numbers(place: Document, tag: str) -> list[float | None]:
    """The values as numbers; None for those that are none (text, NaN, empty)."""
    return [_as_number(value) for value in place.get(tag, {}).get("Value") or []]


def _as_number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _whole(place: Document, tag: str) -> int:
    number = _number(place, tag)
    return -1 if number is None else int(number)


def _number(place: Document, tag: str) -> float | None:
    numbers = _numbers(place, tag)
    return numbers[0] if numbers else None
