"""Instances that come as metadata and bulk data apart from each other (PS3.18 10.5.2), put together.

The metadata name each bulk value by its BulkDataURI, which is the Content-Location of the part that holds it. Parts
with one location are the frames of compressed Pixel Data in their order.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from samsyn.dicom.json_model import Model, bulk_address, encapsulated, encode_model, read_models, text_of
from samsyn.dicom.native_xml import xml_to_model
from samsyn.dicom.structure import PIXEL_DATA
from samsyn.dicom.transfer_syntaxes import (
    EXPLICIT_LITTLE,
    HTJ2K,
    IMPLICIT_LITTLE,
    JPEG_2000_LOSSLESS,
    JPEG_BASELINE,
    JPEG_EXTENDED,
    JPEG_LOSSLESS_SV1,
    JPEG_LS_LOSSLESS,
    RLE_LOSSLESS,
    find,
)
from samsyn.dicom.uids import is_uid
from samsyn.errors import BadInput, LimitExceeded, NotSupported, SamsynError
from samsyn.limits import MAX_INSTANCE_IN_MEMORY_BYTES
from samsyn.wire.multipart import parse_media_type

JSON: Final = "application/dicom+json"
XML: Final = "application/dicom+xml"
METADATA_KINDS: Final = frozenset({JSON, XML, "application/json"})

_SOP_CLASS: Final = 0x00080016
_SOP_INSTANCE: Final = 0x00080018
_AVAILABLE_SYNTAX: Final = 0x00083002
_META_SYNTAX: Final = 0x00020010
SYNTAX_OF_KIND: Final = MappingProxyType(
    {
        "image/jls": JPEG_LS_LOSSLESS,
        "image/jp2": JPEG_2000_LOSSLESS,
        "image/jphc": HTJ2K,
        "image/dicom-rle": RLE_LOSSLESS,
        "video/mpeg": "1.2.840.10008.1.2.4.100",
        "video/mpeg2": "1.2.840.10008.1.2.4.100",
        "video/mp4": "1.2.840.10008.1.2.4.102",
    }
)
"""What a media type means without a transfer-syntax parameter (PS3.18 table 8.7.3-5 to 8.7.3-7)."""
_JPEG_PROCESSES: Final = MappingProxyType({0xC0: JPEG_BASELINE, 0xC1: JPEG_EXTENDED, 0xC3: JPEG_LOSSLESS_SV1})


@dataclass(frozen=True, slots=True)
class Assembled:
    """One instance of the metadata: a data set, or why there is none. The UIDs are "" when they are none."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str = ""
    data: bytes = b""
    error: SamsynError | None = None


@dataclass(frozen=True, slots=True)
class _Part:
    kind: str
    syntax: str
    data: bytes


class Assembly:
    """The parts of one request."""

    def __init__(self) -> None:
        self._models: list[Model] = []
        self._parts: dict[str, list[_Part]] = {}
        self._bytes = 0

    def room_for(self, size: int) -> None:
        """LimitExceeded when `size` more bytes are more than one request may have in memory."""
        if self._bytes + size > MAX_INSTANCE_IN_MEMORY_BYTES:
            raise LimitExceeded("MAX_INSTANCE_IN_MEMORY_BYTES")

    def take(self, headers: Mapping[str, str], content: bytes) -> None:
        """Adds a part that came whole. BadInput: metadata that can not be read, bulk data without location."""
        self.room_for(len(content))
        self._bytes += len(content)
        media_type = parse_media_type(headers.get("content-type", "application/octet-stream"))
        if media_type.kind in METADATA_KINDS:
            self._models += [xml_to_model(content)] if media_type.kind == XML else read_models(content)
            return
        location = headers.get("content-location", "")
        if not location:
            raise BadInput("a part with bulk data has no Content-Location")
        part = _Part(media_type.kind, media_type.get("transfer-syntax"), content)
        self._parts.setdefault(location, []).append(part)

    def instances(self) -> Iterator[Assembled]:
        """Each instance of the metadata in order; a fault costs only the instance that it is in."""
        for model in self._models:
            named = _uid(text_of(model, _SOP_CLASS)), _uid(text_of(model, _SOP_INSTANCE))
            try:
                syntax, data = self._assemble(model)
            except SamsynError as error:
                yield Assembled(*named, error=error)
                continue
            yield Assembled(*named, syntax, data)

    def _assemble(self, model: Model) -> tuple[str, bytes]:
        address = bulk_address(model, PIXEL_DATA)
        parts = self._of(address) if address else []
        syntax_uid = _syntax_of(model, parts)
        syntax = find(syntax_uid)
        if syntax is None:
            raise NotSupported("the transfer syntax of the bulk data is not known")
        if not (syntax.encapsulated or syntax.uid in (EXPLICIT_LITTLE, IMPLICIT_LITTLE)):
            raise NotSupported("uncompressed bulk data are little endian")
        model = {key: entry for key, entry in model.items() if key != f"{_AVAILABLE_SYNTAX:08X}"}
        if not syntax.encapsulated:
            return EXPLICIT_LITTLE, encode_model(model, self._bulk)
        frames = [part.data for part in parts]
        if not syntax.video and len(frames) != _frames(model):
            raise BadInput("compressed pixel data come as one part for each frame")
        return syntax.uid, encode_model(model, self._bulk, encapsulated(frames))

    def _of(self, address: str) -> list[_Part]:
        parts = self._parts.get(address)
        if parts is None:
            raise BadInput("the metadata name bulk data that did not come")
        return parts

    def _bulk(self, address: str) -> bytes:
        parts = self._of(address)
        if len(parts) > 1:
            raise BadInput("two parts have the same Content-Location")
        return parts[0].data


def _syntax_of(model: Model, parts: list[_Part]) -> str:
    """The transfer syntax of the pixels: as the part says it, as its media type means it, as the metadata say it."""
    if not parts:
        return EXPLICIT_LITTLE
    first = parts[0]
    if any((part.kind, part.syntax) != (first.kind, first.syntax) for part in parts):
        raise BadInput("the frames are of different kinds")
    if first.syntax:
        return first.syntax
    if first.kind == "image/jpeg":
        return _jpeg_syntax(first.data)
    if first.kind in SYNTAX_OF_KIND:
        return SYNTAX_OF_KIND[first.kind]
    said = text_of(model, _AVAILABLE_SYNTAX) or text_of(model, _META_SYNTAX)
    return said or EXPLICIT_LITTLE


def _jpeg_syntax(data: bytes) -> str:
    """By the first start-of-frame marker (ISO/IEC 10918-1 B.2.2): which process the stream is of."""
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker in _JPEG_PROCESSES:
            return _JPEG_PROCESSES[marker]
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    raise BadInput("the JPEG stream is of no process that DICOM knows")


def _frames(model: Model) -> int:
    entry = model.get("00280008")
    values = entry.get("Value") if isinstance(entry, Mapping) else None
    first = str(values[0]) if isinstance(values, list) and values else "1"
    return int(first) if first.isascii() and first.isdigit() and len(first) < 9 else 1


def _uid(text: str) -> str:
    return text if is_uid(text) else ""
