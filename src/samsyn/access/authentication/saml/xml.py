"""XML from outside, read so that it can do nothing: no entities, no document type, no network, no comments, bounded.

Comments and processing instructions are refused, not skipped: a comment inside a name splits its text, and readers
that see only the first part take one person for another.
"""

import base64
import binascii
import re
import zlib
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from lxml import etree

from samsyn import limits
from samsyn.errors import NotAuthenticated

Element: TypeAlias = Any
"""An lxml element; the library has no types of its own."""

SAMLP: Final = "urn:oasis:names:tc:SAML:2.0:protocol"
SAML: Final = "urn:oasis:names:tc:SAML:2.0:assertion"
METADATA: Final = "urn:oasis:names:tc:SAML:2.0:metadata"
DSIG: Final = "http://www.w3.org/2000/09/xmldsig#"
NAMESPACES: Final = {"samlp": SAMLP, "saml": SAML, "md": METADATA, "ds": DSIG}

_BASE64: Final = re.compile(rb"[A-Za-z0-9+/\s]*={0,2}\s*")


def parser() -> etree.XMLParser:
    """A parser for one document from outside."""
    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=False,
        remove_pis=False,
    )


def read(data: bytes) -> Element:
    """The root of a document. NotAuthenticated: not well-formed, too large, or with anything that it may not have."""
    if len(data) > limits.MAX_SAML_BYTES:
        raise NotAuthenticated("the SAML message is too large")
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data or b"\0" in data:
        raise NotAuthenticated("the SAML message has a document type")
    try:
        root = etree.fromstring(data, parser())
    except (etree.XMLSyntaxError, ValueError):
        raise NotAuthenticated("the SAML message is not well-formed") from None
    tree = root.getroottree()
    if tree.docinfo.doctype or tree.docinfo.internalDTD is not None:
        raise NotAuthenticated("the SAML message has a document type")
    seen: set[tuple[str, str]] = set()
    for count, node in enumerate(root.iter()):
        if not isinstance(node.tag, str):
            raise NotAuthenticated("the SAML message has comments, entities or instructions")
        if count > limits.MAX_SAML_ELEMENTS:
            raise NotAuthenticated("the SAML message is too large")
        for name in ("ID", "Id", "id"):
            identifier = node.get(name)
            if identifier is not None and (name, identifier) in seen:
                raise NotAuthenticated("two elements of the SAML message have one ID")
            if identifier is not None:
                seen.add((name, identifier))
    return root


def decoded(text: str) -> bytes:
    """What a form field carries (SAML bindings 3.5.4). NotAuthenticated: no base64, or too long."""
    raw = text.encode("ascii", "replace")
    if len(raw) > limits.MAX_SAML_BYTES * 2 or _BASE64.fullmatch(raw) is None:
        raise NotAuthenticated("the SAML message is not encoded as it should")
    try:
        return base64.b64decode(raw)
    except binascii.Error:
        raise NotAuthenticated("the SAML message is not encoded as it should") from None


def inflated(text: str) -> bytes:
    """What an address carries (SAML bindings 3.4.4.1): deflated and bounded. NotAuthenticated: anything else."""
    inflater = zlib.decompressobj(-15)
    try:
        data = inflater.decompress(decoded(text), limits.MAX_SAML_BYTES)
    except zlib.error:
        raise NotAuthenticated("the SAML message is not encoded as it should") from None
    if inflater.unconsumed_tail:
        raise NotAuthenticated("the SAML message is too large")
    return data


def deflated(data: bytes) -> str:
    """A message for an address (SAML bindings 3.4.4.1)."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    return base64.b64encode(deflater.compress(data) + deflater.flush()).decode("ascii")


def one(parent: Element, path: str) -> Element:
    """The one child that is there. NotAuthenticated: none, or several."""
    return one_of(parent, path, NAMESPACES)


def one_of(parent: Element, path: str, namespaces: Mapping[str, str]) -> Element:
    """The same with other name spaces."""
    found = parent.findall(path, namespaces)
    if len(found) != 1:
        raise NotAuthenticated(f"the SAML message should have one {path}")
    return found[0]


def text_of(element: Element) -> str:
    """The element's own text. NotAuthenticated: it has children, so that its text could be read in two ways."""
    if len(element):
        raise NotAuthenticated("a name in the SAML message has parts")
    return (element.text or "").strip()
