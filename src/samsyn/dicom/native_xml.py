"""The Native DICOM Model in XML (PS3.19 A.1), which DICOMweb calls application/dicom+xml, to and from the JSON model.

Both say the same (PS3.18 F.2): so metadata, matches and results are made as JSON and turned here.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from samsyn.dicom.dictionary import keyword_of
from samsyn.dicom.values import BINARY_VRS
from samsyn.errors import BadInput, LimitExceeded
from samsyn.limits import MAX_ELEMENTS, MAX_HEADER_BYTES, MAX_SEQUENCE_DEPTH

NAMESPACE: Final = "http://dicom.nema.org/PS3.19/models/NativeDICOM"

_Entry = dict[str, object]
_Model = dict[str, _Entry]
_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 has no way to write."""
_TAG: Final = re.compile(r"[0-9A-Fa-f]{8}", re.ASCII)
_VR: Final = re.compile(r"[A-Z]{2}", re.ASCII)
_NUMBERS: Final = frozenset({"US", "SS", "UL", "SL", "UV", "SV"})
_NAME_PARTS: Final = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
_NAME_GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")
_FIRST_BLOCK: Final = 0x10
_LAST_BLOCK: Final = 0xFF


def model_to_xml(model: Mapping[str, Mapping[str, object]]) -> bytes:
    """One data set of the JSON model as an XML document in UTF-8.

    Private attributes name their creator and leave the block out, as PS3.19 A.1.5 has it. A character that XML can
    not write (a control character in a text) becomes U+FFFD.
    """
    pieces = [
        '<?xml version="1.0" encoding="UTF-8"?>\n',
        f'<NativeDicomModel xmlns="{NAMESPACE}" xml:space="preserve">',
        *_attributes(model),
        "</NativeDicomModel>\n",
    ]
    return "".join(pieces).encode("utf-8")


def _attributes(model: Mapping[str, Mapping[str, object]]) -> Iterator[str]:
    creators = _creators(model)
    for key in sorted(model):
        entry, tag = model[key], int(key, 16)
        creator = ""
        if tag & 0x10000:
            if _FIRST_BLOCK <= tag & 0xFFFF <= _LAST_BLOCK:
                continue
            creator = creators.get((tag >> 16, (tag & 0xFFFF) >> 8), "")
        name = key if not creator else f"{tag & 0xFFFF00FF:08X}"
        keyword = keyword_of(tag)
        yield f'<DicomAttribute tag="{name}" vr="{entry["vr"]}"'
        if keyword:
            yield f' keyword="{keyword}"'
        if creator:
            yield f" privateCreator={quoteattr(_clean(creator))}"
        yield ">"
        yield from _content(entry)
        yield "</DicomAttribute>"


def _creators(model: Mapping[str, Mapping[str, object]]) -> dict[tuple[int, int], str]:
    found: dict[tuple[int, int], str] = {}
    for key, entry in model.items():
        tag, values = int(key, 16), entry.get("Value")
        if (
            tag & 0x10000
            and _FIRST_BLOCK <= tag & 0xFFFF <= _LAST_BLOCK
            and isinstance(values, list)
            and values
        ):
            found[tag >> 16, tag & 0xFF] = str(values[0])
    return found


def _content(entry: Mapping[str, object]) -> Iterator[str]:
    if "BulkDataURI" in entry:
        yield f"<BulkData uri={quoteattr(_clean(str(entry['BulkDataURI'])))}/>"
    elif "InlineBinary" in entry:
        yield f"<InlineBinary>{entry['InlineBinary']}</InlineBinary>"
    values = entry.get("Value")
    if not isinstance(values, list):
        return
    for number, value in enumerate(values, 1):
        if entry["vr"] == "SQ":
            yield f'<Item number="{number}">'
            yield from _attributes(value or {})
            yield "</Item>"
        elif value is None:
            continue
        elif isinstance(value, Mapping):
            yield from _person_name(number, value)
        else:
            yield f'<Value number="{number}">{_text(str(value))}</Value>'


def _person_name(number: int, value: Mapping[str, object]) -> Iterator[str]:
    yield f'<PersonName number="{number}">'
    for group in _NAME_GROUPS:
        parts = str(value.get(group, "")).split("^")
        if any(parts):
            yield f"<{group}>"
            for name, part in zip(_NAME_PARTS, parts, strict=False):
                if part:
                    yield f"<{name}>{_text(part)}</{name}>"
            yield f"</{group}>"
    yield "</PersonName>"


def _text(text: str) -> str:
    """Text between tags; a carriage return would else be read as a line feed (XML 1.0 2.11)."""
    return escape(_clean(text), {"\r": "&#13;"})


def _clean(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)


def xml_to_model(document: bytes) -> _Model:
    """The JSON model of an XML document. BadInput: not well formed, another vocabulary, or a document type
    declaration (which could name files and grow without bound). LimitExceeded: MAX_HEADER_BYTES,
    MAX_SEQUENCE_DEPTH, MAX_ELEMENTS.
    """
    if len(document) > MAX_HEADER_BYTES:
        raise LimitExceeded("MAX_HEADER_BYTES")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(document, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise BadInput("the metadata are no well-formed XML") from None
    if root.getroottree().docinfo.doctype:
        raise BadInput("the metadata have a document type declaration")
    if etree.QName(root).localname != "NativeDicomModel":
        raise BadInput("the metadata are no NativeDicomModel")
    return _Document().attributes(root, 0)


class _Document:
    """One conversion, and how many elements may still come."""

    def __init__(self) -> None:
        self._left = MAX_ELEMENTS

    def attributes(self, parent: "etree._Element", depth: int) -> _Model:
        """The attributes of a data set or item."""
        if depth > MAX_SEQUENCE_DEPTH:
            raise LimitExceeded("MAX_SEQUENCE_DEPTH")
        found: _Model = {}
        blocks: dict[tuple[int, str], int] = {}
        for child in parent:
            self._left -= 1
            if self._left < 0:
                raise LimitExceeded("MAX_ELEMENTS")
            key, vr = child.get("tag", ""), child.get("vr", "")
            if etree.QName(child).localname != "DicomAttribute" or not _TAG.fullmatch(key):
                raise BadInput("the metadata hold something that is no attribute")
            if not _VR.fullmatch(vr):
                raise BadInput(f"{key} has no value representation")
            tag, creator = int(key, 16), child.get("privateCreator", "")
            if creator and tag & 0x10000 and tag & 0xFFFF > _LAST_BLOCK:
                blocks.setdefault((tag >> 16, creator), (tag & 0xFFFF) >> 8)
            elif creator and tag & 0x10000:
                tag |= _block(blocks, tag >> 16, creator) << 8
            name = f"{tag:08X}"
            if name in found:
                raise BadInput(f"element {key} stands twice")
            found[name] = self._entry(child, vr, depth)
        for (group, creator), block in blocks.items():
            found[f"{group << 16 | block:08X}"] = {"vr": "LO", "Value": [creator]}
        return found

    def _entry(self, attribute: "etree._Element", vr: str, depth: int) -> _Entry:
        values: dict[int, object] = {}
        for place, child in enumerate(attribute, 1):
            match etree.QName(child).localname:
                case "BulkData":
                    return {"vr": vr, "BulkDataURI": child.get("uri", "")}
                case "InlineBinary":
                    return {"vr": vr, "InlineBinary": child.text or ""}
                case "Item":
                    values[_number(child, place)] = self.attributes(child, depth + 1)
                case "PersonName":
                    values[_number(child, place)] = _name(child)
                case "Value":
                    values[_number(child, place)] = _scalar(vr, child.text or "")
                case _:
                    raise BadInput("an attribute holds something that is no value")
        if not values:
            return {"vr": vr}
        self._left -= max(values)
        if self._left < 0:
            raise LimitExceeded("MAX_ELEMENTS")
        if vr in BINARY_VRS:
            raise BadInput("a binary value is written as InlineBinary or BulkData")
        return {"vr": vr, "Value": [values.get(number) for number in range(1, max(values) + 1)]}


def _block(blocks: dict[tuple[int, str], int], group: int, creator: str) -> int:
    known = blocks.get((group, creator))
    if known is None:
        taken = {block for (other, _), block in blocks.items() if other == group}
        known = next((block for block in range(_FIRST_BLOCK, _LAST_BLOCK + 1) if block not in taken), 0)
        if not known:
            raise BadInput("a group has too many private creators")
        blocks[group, creator] = known
    return known


def _number(child: "etree._Element", place: int) -> int:
    """The place of a value among its fellows, from 1; no gap is wider than the whole list could be."""
    text = child.get("number", str(place))
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0
    if number < 1:
        raise BadInput("the number of a value is none")
    return number


def _name(person: "etree._Element") -> dict[str, str]:
    groups: dict[str, str] = {}
    for group in person:
        parts = {etree.QName(part).localname: part.text or "" for part in group}
        text = "^".join(parts.get(name, "") for name in _NAME_PARTS).rstrip("^")
        groups[etree.QName(group).localname] = text
    return groups


def _scalar(vr: str, text: str) -> object:
    if vr in _NUMBERS:
        return text.strip()
    if vr in ("FL", "FD"):
        text = text.strip()
        try:
            return text if text in ("NaN", "Infinity", "-Infinity") else float(text)
        except ValueError:
            raise BadInput("a value is no number") from None
    return text
