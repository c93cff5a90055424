"""Reports that come as DICOM objects: structured reports as readable text, encapsulated PDF and CDA as what they hold.

An SR's content tree becomes plain lines in its own order: containers as headings, texts as they are, codes, numbers
with unit and dates as "name: value" (PS3.16 TID 2000 and TID 1500; PS3.3 C.17.3). Pictures, coordinates and wave forms
are named, not shown. Pure, iterative and bounded.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from samsyn.dicom.content_items import first_item, items, meaning, person_name, text_of
from samsyn.dicom.json import bulk_value, to_dicom_json
from samsyn.errors import BadInput, LimitExceeded, NotFound
from samsyn.limits import MAX_CDA_BYTES, MAX_REPORT_CHARACTERS, MAX_SR_ITEMS

BASIC_TEXT, ENHANCED, COMPREHENSIVE = (f"1.2.840.10008.5.1.4.1.1.88.{number}" for number in (11, 22, 33))
COMPREHENSIVE_3D, EXTENSIBLE = (f"1.2.840.10008.5.1.4.1.1.88.{number}" for number in (34, 35))
PDF, CDA = (f"1.2.840.10008.5.1.4.1.1.104.{number}" for number in (1, 2))
STRUCTURED: Final = frozenset({BASIC_TEXT, ENHANCED, COMPREHENSIVE, COMPREHENSIVE_3D, EXTENSIBLE})
REPORT_CLASSES: Final = STRUCTURED | {PDF, CDA}
"""SOP classes whose objects may be reports."""

_REPORT_CODES: Final = frozenset({"11528-7", "59776-5", "85430-7"})
_MEASUREMENT_CODES: Final = frozenset({"126000", "126001", "125200", "125100", "125201", "122120", "111036"})
"""Titles of measurement and CAD reports (TID 1500, 1501, 4000, 5100, 5200): numbers, and no radiologist's report."""
_PLAIN_NAMES: Final = frozenset({"121071", "121073", "121077"})
"""Finding, impression, conclusion: what a text below a heading is anyway."""
_EXTRA_TITLES: Final = ("utlåtande", "röntgensvar", "radiologisvar", "report", "befund")
_NEVER: Final = frozenset(
    {"IMAGE", "WAVEFORM", "SCOORD", "SCOORD3D", "TCOORD", "COMPOSITE", "UIDREF", "TABLE"}
)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One number of an SR with its unit, under the headings that it stands below."""

    name: str
    value: str
    unit: str
    context: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReportDocument:
    """What an object says as a report."""

    form: str
    """"sr", "pdf" or "cda"."""
    text: str
    """Plain text; "" for PDF and CDA."""
    title: str
    complete: bool
    verified: bool
    author: str
    signer: str
    verified_at: str
    """DT with its zone, or the data set's, when one is told (PS3.5 6.2, PS3.3 C.12.1.1.8); "" = not verified."""
    content_at: str
    """DT of the content, with the data set's zone when it is told."""
    replaces: bool
    """It names a document that it replaces or amends (Predecessor Documents Sequence)."""
    measurements: tuple[Measurement, ...] = ()
    content: bytes = b""
    """The document of a CDA; a PDF stays where it is stored."""
    measures_only: bool = False
    """A measurement report: its numbers go with the examination, it is no report of a radiologist."""


def read_report_document(
    data: bytes | memoryview, transfer_syntax_uid: str, sop_class_uid: str
) -> ReportDocument | None:
    """The object as a report, or None when it is another kind of document.

    Raises BadInput for a content tree that can not be followed and LimitExceeded for one that is too large.
    """
    root: dict[str, Any] = orjson.loads(to_dicom_json(data, transfer_syntax_uid, ""))
    title = meaning(first_item(root, "0040A043")) or text_of(root, "00420010")
    if sop_class_uid in STRUCTURED:
        lines, measurements = _Tree(root).read()
        return _document(root, "sr", "\n".join(lines).strip("\n"), title, measurements)
    if not _is_report(root, title):
        return None
    if sop_class_uid == PDF:
        return _document(root, "pdf", "", title, ())
    return _document(root, "cda", "", title, (), _content(data, transfer_syntax_uid, root))


def _content(data: bytes | memoryview, transfer_syntax_uid: str, root: Mapping[str, Any]) -> bytes:
    """The encapsulated bytes without their padding."""
    try:
        value = bulk_value(data, transfer_syntax_uid, "00420011")
    except NotFound:
        raise BadInput("Encapsulated Document is missing") from None
    if len(value) > MAX_CDA_BYTES:
        raise LimitExceeded(f"MAX_CDA_BYTES: the document is larger than {MAX_CDA_BYTES} bytes")
    length = root.get("00420015", {}).get("Value", [len(value)])[0]
    return bytes(value[:length] if isinstance(length, int) else value)


def _document(
    root: Mapping[str, Any],
    form: str,
    text: str,
    title: str,
    measurements: tuple[Measurement, ...],
    content: bytes = b"",
) -> ReportDocument:
    observer = first_item(root, "0040A073")
    verified = text_of(root, "0040A493").upper() == "VERIFIED"
    zone = text_of(root, "00080201")
    at = text_of(observer, "0040A030")
    date, time = text_of(root, "00080023"), text_of(root, "00080033").partition(".")[0]
    return ReportDocument(
        form=form,
        text=text,
        title=title,
        complete=text_of(root, "0040A491").upper() == "COMPLETE" or form != "sr",
        verified=verified,
        author=_person(first_item(root, "0040A078")) or _content_author(root),
        signer=person_name(observer, "0040A075") if verified else "",
        verified_at=(at if "+" in at or "-" in at else at + zone) if verified and at else "",
        content_at=f"{date}{time}{zone}" if date else "",
        replaces="0040A360" in root,
        measurements=measurements,
        content=content,
        measures_only=text_of(first_item(root, "0040A043"), "00080100") in _MEASUREMENT_CODES,
    )


def _is_report(root: Mapping[str, Any], title: str) -> bool:
    """Whether an encapsulated document is a report: LOINC's imaging reports (PS3.16 CID 7000 has 187..-. and a few
    others), or a title that says so. A scanned referral or consent is encapsulated too and is no report."""
    concept = first_item(root, "0040A043")
    code = text_of(concept, "00080100")
    if text_of(concept, "00080102").upper() == "LN" and (code.startswith("187") or code in _REPORT_CODES):
        return True
    words = f"{title} {text_of(root, '00420010')}".lower()
    return any(word in words for word in _EXTRA_TITLES)


class _Tree:
    """Walks a content tree without recursion."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._count = 0
        self._characters = 0
        self._lines: list[str] = []
        self._measurements: list[Measurement] = []

    def read(self) -> tuple[list[str], tuple[Measurement, ...]]:
        waiting: list[tuple[Mapping[str, Any], tuple[str, ...]]] = [
            (item, ()) for item in reversed(list(items(self._root, "0040A730")))
        ]
        while waiting:
            item, headings = waiting.pop()
            self._count += 1
            if self._count > MAX_SR_ITEMS:
                raise LimitExceeded(f"MAX_SR_ITEMS: more than {MAX_SR_ITEMS} content items")
            name = meaning(first_item(item, "0040A043"))
            below = self._one(item, name, headings)
            waiting += [(child, below) for child in reversed(list(items(item, "0040A730")))]
        return self._lines, tuple(self._measurements)

    def _one(self, item: Mapping[str, Any], name: str, headings: tuple[str, ...]) -> tuple[str, ...]:
        kind = text_of(item, "0040A040").upper()
        relation = text_of(item, "0040A010").upper()
        if kind == "CONTAINER":
            if name:
                self._say("", name)
            return (*headings, name) if name else headings
        if kind in _NEVER or relation in ("HAS OBS CONTEXT", "HAS CONCEPT MOD"):
            return headings
        value = self._value(item, kind)
        if kind == "NUM" and value:
            number, _, unit = value.partition(" ")
            self._measurements.append(Measurement(name, number, unit, headings))
        if value:
            is_noise = kind == "TEXT" and bool(headings) and _adds_nothing(item, name, headings[-1])
            self._say(*(value if is_noise or not name else f"{name}: {value}").split("\n"))
        return headings

    def _say(self, *lines: str) -> None:
        self._characters += sum(map(len, lines)) + len(lines)
        if self._characters > MAX_REPORT_CHARACTERS:
            raise LimitExceeded(f"MAX_REPORT_CHARACTERS: more than {MAX_REPORT_CHARACTERS} characters")
        self._lines += (line.rstrip() for line in lines)

    @staticmethod
    def _value(item: Mapping[str, Any], kind: str) -> str:
        if kind == "TEXT":
            return text_of(item, "0040A160").replace("\r\n", "\n").replace("\r", "\n").strip("\n")
        if kind == "CODE":
            return meaning(first_item(item, "0040A168"))
        if kind == "PNAME":
            return person_name(item, "0040A123")
        if kind == "NUM":
            measured = first_item(item, "0040A300")
            unit = text_of(first_item(measured, "004008EA"), "00080100")
            number = text_of(measured, "0040A30A")
            return f"{number} {unit if unit != '1' else ''}".strip()
        return text_of(item, {"DATE": "0040A121", "TIME": "0040A122", "DATETIME": "0040A120"}.get(kind, ""))


def _adds_nothing(item: Mapping[str, Any], name: str, heading: str) -> bool:
    """TID 2000 puts "Finding" on every text below the heading "Findings": the name would only be noise."""
    code = first_item(item, "0040A043")
    if text_of(code, "00080102") == "DCM" and text_of(code, "00080100") in _PLAIN_NAMES:
        return True
    one, other = name.lower().rstrip("s"), heading.lower().rstrip("s")
    return one in other or other in one


def _person(observer: Mapping[str, Any]) -> str:
    """The name in an author observer's item."""
    return person_name(observer, "0040A123")


def _content_author(root: Mapping[str, Any]) -> str:
    """TID 1003: the person observer's name among the context items of the root."""
    for item in items(root, "0040A730"):
        if (
            text_of(item, "0040A040").upper() == "PNAME"
            and text_of(item, "0040A010").upper() == "HAS OBS CONTEXT"
        ):
            return person_name(item, "0040A123")
    return ""
