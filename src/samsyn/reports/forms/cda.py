"""CDA R2 documents as plain text, with what they say about time, signer and what they replace.

Read without DTDs, entities and network; only text is taken, so markup and scripts in it have no effect.
"""

import re
from dataclasses import dataclass

from lxml import etree

from samsyn.errors import BadInput, LimitExceeded
from samsyn.limits import MAX_CDA_BYTES, MAX_REPORT_CHARACTERS

_NS = "{urn:hl7-org:v3}"
_LINES = frozenset(
    f"{_NS}{name}" for name in ("paragraph", "item", "tr", "br", "list", "table", "caption", "title")
)
_CELLS = frozenset({f"{_NS}td", f"{_NS}th"})


@dataclass(frozen=True, slots=True)
class ClinicalDocument:
    """What a CDA document says."""

    text: str
    title: str
    effective: str
    """YYYYMMDDHHMMSS with zone, as written."""
    author: str
    signer: str
    """Legal authenticator; "" = nobody has signed it."""
    signed_at: str
    replaces: bool
    adds_to: bool


def read_cda(content: bytes) -> ClinicalDocument:
    """Reads one document. BadInput: no well-formed ClinicalDocument, or one with a DTD; LimitExceeded: too large."""
    if len(content) > MAX_CDA_BYTES:
        raise LimitExceeded(f"MAX_CDA_BYTES: the document is larger than {MAX_CDA_BYTES} bytes")
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise BadInput("the CDA document has a DTD, which is not read")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True
    )
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as problem:
        raise BadInput(f"the CDA document is not well-formed XML, line {problem.lineno}") from None
    if root.tag != f"{_NS}ClinicalDocument":
        raise BadInput("the encapsulated document is no CDA document")
    kinds = {each.get("typeCode", "") for each in root.findall(f"{_NS}relatedDocument")}
    legal = root.find(f"{_NS}legalAuthenticator")
    return ClinicalDocument(
        text=_body(root),
        title=_words(root.findtext(f"{_NS}title") or ""),
        effective=_value(root, "effectiveTime"),
        author=_person(root, f"{_NS}author/{_NS}assignedAuthor/{_NS}assignedPerson/{_NS}name"),
        signer=_person(root, f"{_NS}legalAuthenticator/{_NS}assignedEntity/{_NS}assignedPerson/{_NS}name"),
        signed_at=_value(legal, "time") if legal is not None else "",
        replaces="RPLC" in kinds,
        adds_to="APND" in kinds,
    )


def _value(parent: etree._Element, name: str) -> str:
    found = parent.find(f"{_NS}{name}")
    return str(found.get("value", "")) if found is not None else ""


def _person(root: etree._Element, path: str) -> str:
    name = root.find(path)
    if name is None:
        return ""
    parts = [*name.findall(f"{_NS}given"), *name.findall(f"{_NS}family")]
    told = [_words(part.text or "") for part in parts] or [_words("".join(name.itertext()))]
    return " ".join(part for part in told if part)


def _body(root: etree._Element) -> str:
    """Every section's title and narrative text, in the document's order."""
    lines: list[str] = []
    size = 0
    for element in root.iter(f"{_NS}section"):
        for child in element:
            if child.tag not in (f"{_NS}title", f"{_NS}text"):
                continue
            told = _narrative(child)
            size += sum(map(len, told))
            if size > MAX_REPORT_CHARACTERS:
                raise LimitExceeded(f"MAX_REPORT_CHARACTERS: more than {MAX_REPORT_CHARACTERS} characters")
            lines += told
    return "\n".join(lines).strip("\n")


def _narrative(block: etree._Element) -> list[str]:
    pieces: list[str] = []
    for event, element in etree.iterwalk(block, events=("start", "end")):
        if event == "start":
            if element.tag in _LINES:
                pieces.append("\n")
            pieces.append(re.sub(r"\s+", " ", element.text or ""))
            continue
        if element.tag in _LINES:
            pieces.append("\n")
        elif element.tag in _CELLS:
            pieces.append("  ")
        if element is not block:
            pieces.append(re.sub(r"\s+", " ", element.tail or ""))
    lines = [line.strip() for line in "".join(pieces).split("\n")]
    return [line for line in lines if line]


def _words(text: str) -> str:
    return " ".join(text.split())
