"""Objects that are read, not looked at, in their rendered form (PS3.18 8.7.2, table 8.7.4-1: Text)."""

import asyncio
import hashlib
from types import MappingProxyType
from typing import Final

import orjson

from samsyn.access.view import Gatekeeper, View
from samsyn.dicom.report_documents import CDA, PDF
from samsyn.dicom.report_pages import PAGE_CLASSES_BEGIN, as_html, as_text, page_of
from samsyn.endpoints.dicomweb.answers import Answer, not_modified, plain_refusal
from samsyn.endpoints.dicomweb.asked import Asked, entity_tag
from samsyn.endpoints.dicomweb.negotiation import choose_plain
from samsyn.endpoints.dicomweb.parts import content_of, single_part
from samsyn.endpoints.dicomweb.pictures.options import PictureWish
from samsyn.model.imaging import StoredInstance
from samsyn.retrieve.retrieve import Retriever

HTML, PLAIN, XML = "text/html", "text/plain", "text/xml"
ENCAPSULATED: Final = MappingProxyType({PDF: "application/pdf", CDA: XML})
"""SOP classes of documents that go out as they are, with their media types: PDF and CDA."""

_DOCUMENT: Final = "00420011"
_LENGTH: Final = 0x00420015
_KINDS: Final = (HTML, PLAIN)
"""The default first."""
_ALONE: Final = (
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; sandbox"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
"""A browser that shows the document beside the reader's session lets nothing in it run, load or lead anywhere."""


def is_text(instance: StoredInstance) -> bool:
    """Whether the object is a structured report or a key object selection."""
    return instance.sop_class_uid.startswith(PAGE_CLASSES_BEGIN)


class Texts:
    """Answers requests for reports and documents."""

    def __init__(self, gatekeeper: Gatekeeper, retriever: Retriever) -> None:
        self._gatekeeper = gatekeeper
        self._retriever = retriever

    async def written_out(
        self, view: View, instance: StoredInstance, asked: Asked, wish: PictureWish
    ) -> Answer:
        """A structured report as HTML, or as plain text to who likes that better. It is made of the metadata, so that
        corrections and what may not be seen of a person with protected identity are heeded. LimitExceeded:
        MAX_SR_ITEMS, MAX_REPORT_CHARACTERS."""
        kind = choose_plain(asked.accepted, _KINDS)
        if kind is None:
            return plain_refusal(406, f"This object is sent as {HTML} or {PLAIN}.")
        uids = instance.study_uid, instance.series_uid, instance.sop_instance_uid
        document = await self._retriever.metadata(view, *uids)
        body = await asyncio.to_thread(_made, document, kind)
        tag = entity_tag(view, "text", hashlib.sha256(body).digest())
        await self._gatekeeper.record_opening(view, instance.study_uid, "images")
        if asked.has(tag):
            return not_modified(tag)
        headers = (*wish.headers(), *_ALONE)
        return await single_part(asked, content_of(body), f"{kind}; charset=utf-8".encode(), tag, headers)

    async def encapsulated(
        self, view: View, instance: StoredInstance, asked: Asked, wish: PictureWish, tag: bytes
    ) -> Answer:
        """A PDF or a CDA document as it was sent, without the byte that fills it up. The opening is written down."""
        kind = ENCAPSULATED[instance.sop_class_uid]
        data = await self._retriever.bulk(view, instance, _DOCUMENT)
        if kind != XML:
            return await single_part(asked, content_of(data), kind.encode(), tag, wish.headers())
        told = orjson.loads(await self._retriever.attributes(view, instance, frozenset({_LENGTH})))
        length = told[0].get(f"{_LENGTH:08X}", {}).get("Value", [len(data)])[0]
        if length == len(data) - 1:
            data = data[:length]
        return await single_part(asked, content_of(data), kind.encode(), tag, (*wish.headers(), *_ALONE))


def _made(document: bytes, kind: str) -> bytes:
    page = page_of(orjson.loads(document)[0])
    return as_html(page) if kind == HTML else as_text(page)
