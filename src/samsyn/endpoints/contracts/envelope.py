"""SOAP 1.1 envelopes, suspicious and bounded: one call in, one answer or fault out. Pure.

No document type, no entities, no references outside; size and depth have limits. What is wrong is a BadInput or
LimitExceeded whose detail holds nothing of the message.
"""

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from lxml import etree

from samsyn import limits
from samsyn.endpoints.contracts.names import REGISTRY, SOAP
from samsyn.errors import BadInput, LimitExceeded

Element: TypeAlias = Any
"""An lxml element; the library has no types of its own."""

CLIENT: Final = "Client"
SERVER: Final = "Server"
MUST_UNDERSTAND: Final = "MustUnderstand"


class NotUnderstood(BadInput):
    """A header block that must be understood and is not (SOAP 1.1, 4.2.3)."""


@dataclass(frozen=True, slots=True)
class Call:
    """What an envelope holds: to whom it is addressed, and the one element of its body."""

    logical_address: str
    body: Element


def call_in(data: bytes) -> Call:
    """Reads an envelope. BadInput, LimitExceeded: it is none, or one that nobody means well with."""
    if len(data) > limits.MAX_SOAP_REQUEST_BYTES:
        raise LimitExceeded("MAX_SOAP_REQUEST_BYTES")
    # A document type is refused before a parser sees it: nothing of it may be acted upon.
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data or _is_wide(data):
        raise BadInput("a document type, or an encoding other than UTF-8 and its relatives")
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise BadInput("no well-formed XML") from None
    if root.getroottree().docinfo.doctype:
        raise BadInput("a document type")
    _check_size(root)
    if root.tag != f"{{{SOAP}}}Envelope":
        raise BadInput("no SOAP 1.1 envelope")
    bodies = root.findall(f"{{{SOAP}}}Body")
    if len(bodies) != 1 or len(bodies[0]) != 1:
        raise BadInput("not one element in one body")
    return Call(_logical_address(root), bodies[0][0])


def answer_with(body: Element) -> bytes:
    """The envelope around an answer."""
    return _envelope(body)


def fault(code: str, sentence: str, log_id: str) -> bytes:
    """A SOAP fault. It names a log id and nothing about any person (RIV-TA)."""
    element = etree.Element(f"{{{SOAP}}}Fault", nsmap={"soapenv": SOAP})
    etree.SubElement(element, "faultcode").text = f"soapenv:{code}"
    etree.SubElement(element, "faultstring").text = f"{sentence} ({log_id})"
    return _envelope(element)


def _envelope(body: Element) -> bytes:
    envelope = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"soapenv": SOAP})
    etree.SubElement(envelope, f"{{{SOAP}}}Body").append(body)
    return bytes(etree.tostring(envelope, xml_declaration=True, encoding="UTF-8"))


def _is_wide(data: bytes) -> bool:
    """Whether it is UTF-16 or UTF-32, in which a document type would pass the search for it."""
    return data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\x00" in data[:64]


def _check_size(root: Element) -> None:
    depth = elements = 0
    for event, _ in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        elements += event == "start"
        if depth > limits.MAX_SOAP_DEPTH:
            raise LimitExceeded("MAX_SOAP_DEPTH")
        if elements > limits.MAX_SOAP_ELEMENTS:
            raise LimitExceeded("MAX_SOAP_ELEMENTS")


def _logical_address(root: Element) -> str:
    blocks = [block for header in root.findall(f"{{{SOAP}}}Header") for block in header]
    known = f"{{{REGISTRY}}}LogicalAddress"
    if any(
        block.tag != known and block.get(f"{{{SOAP}}}mustUnderstand") in ("1", "true") for block in blocks
    ):
        raise NotUnderstood("a header that must be understood and is not known")
    addresses = [(block.text or "").strip() for block in blocks if block.tag == known]
    if len(addresses) != 1 or not addresses[0]:
        raise BadInput("not one LogicalAddress in the header")
    return addresses[0].upper()
