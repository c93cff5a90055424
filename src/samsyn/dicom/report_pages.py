"""Structured reports (strukturerade svar) as pages: the whole content tree for a reader, as HTML or plain text.

`report_documents` reads what a report says to a clinician; here nothing is left out (PS3.3 C.17.3): context, codes'
meanings, numbers with units, what was inferred from what. Pictures, coordinates and references are named, never linked
to. Pure, iterative and bounded; whatever stands in a value is text.
"""

import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from samsyn.dicom.content_items import first_item, items, meaning, person_name, text_of
from samsyn.errors import LimitExceeded
from samsyn.limits import MAX_REPORT_CHARACTERS, MAX_SR_ITEMS

PAGE_CLASSES_BEGIN: Final = "1.2.840.10008.5.1.4.1.1.88."
"""How the UIDs of structured reports and key object selections begin (PS3.4 B.5)."""

_CONTENT: Final = "0040A730"
_RELATIONS: Final = {
    "HAS OBS CONTEXT": "sammanhang / context",
    "HAS ACQ CONTEXT": "sammanhang / context",
    "HAS CONCEPT MOD": "förtydligande / modifier",
    "HAS PROPERTIES": "egenskap / property",
    "INFERRED FROM": "slutsats av / inferred from",
    "SELECTED FROM": "valt ur / selected from",
}
"""What is told of how an item belongs to the one above it (PS3.3 table C.17.3-8); CONTAINS needs no word."""
_REFERENCES: Final = {"IMAGE": "bild / image", "WAVEFORM": "kurva / waveform", "COMPOSITE": "objekt / object"}
_COORDINATES: Final = {"SCOORD": "00700023", "SCOORD3D": "00700023", "TCOORD": "0040A130"}
"""Kinds that say where, with the attribute that tells the form."""
_NO_NAME: Final = "(avsnitt / section)"
_NO_VALUE: Final = "(inget värde / no value)"
_UNSEEN: Final = dict.fromkeys(
    (*range(9), *range(10, 32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
)
"""Control characters but the tabulator, and those that turn the direction of writing for what stands beside them."""
_STYLE: Final = (
    "body{font:16px/1.4 sans-serif;max-width:60em;margin:1em auto;padding:0 1em}"
    "dl{display:grid;grid-template-columns:auto 1fr;gap:0 1em}dd{margin:0}ul{list-style:none;padding-left:1.2em}"
    "b{font-weight:600}.v{white-space:pre-wrap}.r{color:#555}.w{border:2px solid;padding:.3em .6em}"
)


@dataclass(frozen=True, slots=True)
class Line:
    """One content item."""

    depth: int
    """0 = directly below the document."""
    relation: str
    name: str
    value: str
    """"" = a heading."""
    is_heading: bool


@dataclass(frozen=True, slots=True)
class Page:
    """A structured report for reading."""

    title: str
    facts: tuple[tuple[str, str], ...]
    """What the document is about: label and value."""
    warnings: tuple[str, ...]
    """What its reader must know first: that it is partial or nobody has verified it."""
    lines: tuple[Line, ...]


def page_of(root: Mapping[str, Any]) -> Page:
    """The page of one data set in the DICOM JSON model. LimitExceeded: more than MAX_SR_ITEMS items or
    MAX_REPORT_CHARACTERS characters."""
    warnings = []
    if text_of(root, "0040A491").upper() == "PARTIAL":
        warnings.append("Ofullständigt / Partial")
    if text_of(root, "0040A493").upper() == "UNVERIFIED":
        warnings.append("Ej signerat / Unverified")
    title = meaning(first_item(root, "0040A043")) or "Strukturerat svar / Structured report"
    return Page(_plain(title), tuple(_facts(root)), tuple(warnings), tuple(_lines(root)))


def _facts(root: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    told = (
        ("Patient", person_name(root, "00100010")),
        ("Patient-id / Patient ID", text_of(root, "00100020")),
        ("Född / Born", _date(text_of(root, "00100030"))),
        ("Undersökt / Study date", _date(text_of(root, "00080020"))),
        ("Undersökning / Study", text_of(root, "00081030")),
        ("Remiss / Accession number", text_of(root, "00080050")),
        ("Skrivet / Content date", _moment(text_of(root, "00080023") + text_of(root, "00080033"))),
    )
    yield from ((label, _plain(value)) for label, value in told if value)
    for observer in items(root, "0040A073"):
        parts = (
            person_name(observer, "0040A075"),
            text_of(observer, "0040A027"),
            _moment(text_of(observer, "0040A030")),
        )
        yield "Signerat av / Verified by", _plain(", ".join(part for part in parts if part))


def _lines(root: Mapping[str, Any]) -> Iterator[Line]:
    waiting = [(item, 0) for item in reversed(list(items(root, _CONTENT)))]
    count = characters = 0
    while waiting:
        item, depth = waiting.pop()
        count += 1
        if count > MAX_SR_ITEMS:
            raise LimitExceeded(f"MAX_SR_ITEMS: more than {MAX_SR_ITEMS} content items")
        line = _line(item, depth)
        characters += len(line.name) + len(line.value) + len(line.relation)
        if characters > MAX_REPORT_CHARACTERS:
            raise LimitExceeded(f"MAX_REPORT_CHARACTERS: more than {MAX_REPORT_CHARACTERS} characters")
        yield line
        waiting += [(child, depth + 1) for child in reversed(list(items(item, _CONTENT)))]


def _line(item: Mapping[str, Any], depth: int) -> Line:
    kind = text_of(item, "0040A040").upper()
    relation = _RELATIONS.get(text_of(item, "0040A010").upper(), "")
    is_heading = kind == "CONTAINER"
    value = "" if is_heading else _value(item, kind) or _NO_VALUE
    name = _coded(first_item(item, "0040A043")) or (_NO_NAME if is_heading else "")
    return Line(depth, relation, _plain(name), _plain(value), is_heading)


def _value(item: Mapping[str, Any], kind: str) -> str:
    if kind == "NUM":
        return _number(item)
    if kind == "TEXT":
        return text_of(item, "0040A160")
    if kind == "CODE":
        return _coded(first_item(item, "0040A168"))
    if kind == "PNAME":
        return person_name(item, "0040A123")
    if kind == "UIDREF":
        return text_of(item, "0040A124")
    if kind == "DATE":
        return _date(text_of(item, "0040A121"))
    if kind in ("TIME", "DATETIME"):
        told = text_of(item, "0040A122" if kind == "TIME" else "0040A120")
        return _time(told) if kind == "TIME" else _moment(told)
    if kind in _REFERENCES:
        return _reference(item, _REFERENCES[kind])
    if kind in _COORDINATES:
        return f"plats / place: {text_of(item, _COORDINATES[kind]).lower()}"
    if "0040DB73" in item:
        steps = item["0040DB73"].get("Value", ())
        return "se / see " + ".".join(str(step) for step in steps if isinstance(step, int))
    return kind


def _number(item: Mapping[str, Any]) -> str:
    """`value unit`, and why there is none where there is none."""
    measured = first_item(item, "0040A300")
    unit = first_item(measured, "004008EA")
    code = text_of(unit, "00080100")
    # UCUM's code is what is written after numbers, but for those in braces and the number one, which have a meaning.
    written = "" if code == "1" else meaning(unit) if code.startswith("{") else code or meaning(unit)
    qualifier = meaning(first_item(item, "0040A301"))
    parts = (text_of(measured, "0040A30A"), written if measured else "", qualifier and f"({qualifier})")
    return " ".join(part for part in parts if part)


def _reference(item: Mapping[str, Any], word: str) -> str:
    named = first_item(item, "00081199")
    frames = named.get("00081160", {}).get("Value", ())
    told = f" {', '.join(str(frame) for frame in frames)}" if frames else ""
    return f"{word} {text_of(named, '00081155')}{f', bildruta / frame{told}' if told else ''}"


def _coded(code: Mapping[str, Any]) -> str:
    """The meaning of a coded concept, else the code itself, also a long one or one that is an address."""
    return meaning(code) or text_of(code, "00080119") or text_of(code, "00080120")


def _date(text: str) -> str:
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}" if len(text) >= 8 and text[:8].isdigit() else text


def _time(text: str) -> str:
    return f"{text[:2]}:{text[2:4]}" + (f":{text[4:6]}" if text[4:6] else "") if len(text) >= 4 else text


def _moment(text: str) -> str:
    """A DT as it was told, with its zone."""
    if len(text) < 8 or not text[:8].isdigit():
        return text
    digits, zone = text, ""
    for sign in "+-":
        digits, found, after = digits.partition(sign)
        zone = f" {found}{after}" if found else zone
    time = digits[8:].partition(".")[0]
    return f"{_date(digits)}{f' {_time(time)}' if time else ''}{zone}"


def _plain(text: str) -> str:
    """Text without what controls, its lines parted by one kind of line end."""
    return "\n".join(line.translate(_UNSEEN) for line in text.strip("\n").splitlines())


def as_html(page: Page) -> bytes:
    """The page as one HTML document in UTF-8 that asks for nothing else: no script, no link, no picture."""
    out = [
        '<!DOCTYPE html><html lang="sv"><head><meta charset="utf-8"><title>',
        html.escape(page.title),
        f"</title><style>{_STYLE}</style></head><body><h1>{_isolated(page.title)}</h1>",
        *(f'<p class="w">{html.escape(warning)}</p>' for warning in page.warnings),
        "<dl>",
        *(f"<dt>{html.escape(label)}</dt><dd>{_isolated(value)}</dd>" for label, value in page.facts),
        "</dl>",
    ]
    depth = -1
    for line in page.lines:
        if line.depth > depth:
            out.append("<ul>")  # never more than one deeper than the line before
        else:
            out.append("</li>" + "</ul></li>" * (depth - line.depth))
        depth = line.depth
        relation = f' <span class="r">[{html.escape(line.relation)}]</span>' if line.relation else ""
        name = _isolated(line.name)
        if line.is_heading:
            out.append(f"<li><b>{name}</b>{relation}")
        else:
            named = f"{name}{relation}: " if line.name or relation else ""
            out.append(f'<li>{named}<span class="v">{_isolated(line.value)}</span>')
    out.append("</li></ul>" * (depth + 1))
    out.append("</body></html>\n")
    return "".join(out).encode()


def _isolated(text: str) -> str:
    """Escaped, and its direction of writing kept from turning what stands around it."""
    return f"<bdi>{html.escape(text)}</bdi>"


def as_text(page: Page) -> bytes:
    """The page as plain text in UTF-8. Further lines of a value stand in from its item, so that none looks like one."""
    out = [page.title.replace("\n", " "), *(f"*** {warning} ***" for warning in page.warnings), ""]
    out += _indented("", [f"{label}: {value}" for label, value in page.facts])
    out.append("")
    for line in page.lines:
        head = " ".join(part for part in (line.name, line.relation and f"[{line.relation}]") if part)
        told = head if line.is_heading else f"{head}: {line.value}" if head else line.value
        out += _indented("  " * line.depth, [told])
    return ("\n".join(out) + "\n").encode()


def _indented(margin: str, texts: list[str]) -> Iterator[str]:
    for text in texts:
        first, *more = text.split("\n")
        yield margin + first
        yield from (f"{margin}    {each}" for each in more)
