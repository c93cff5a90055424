"""Data sets as answers: the JSON model, or the Native DICOM Model in XML (PS3.18 8.7.3.2)."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from typing import Literal

import orjson

from samsyn.dicom.native_xml import model_to_xml
from samsyn.endpoints.dicomweb.answers import DICOM_JSON, Answer, new_boundary, plain_refusal
from samsyn.endpoints.dicomweb.negotiation import ANY, Acceptable, Offer, refused
from samsyn.wire.multipart import closing, part_head

Form = Literal["json", "xml"]

_PLAIN_JSON = "application/json"
_JSON_KINDS = (DICOM_JSON.decode(), _PLAIN_JSON)
_XML = "application/dicom+xml"


def form_of(accepted: tuple[Acceptable, ...]) -> Form | None:
    """JSON (one document) or XML (multipart, one document for each data set); None = 406."""
    for wanted in accepted:
        if wanted.quality <= 0:
            continue
        xml = wanted.kind == _XML or (wanted.multipart and wanted.kind in (ANY, "application/*"))
        if xml and not refused(accepted, wanted, Offer(_XML, ""), True):
            return "xml"
        if not wanted.multipart and any(
            wanted.matches(kind) and not refused(accepted, wanted, Offer(kind, ""), False)
            for kind in _JSON_KINDS
        ):
            return "json"
    return None


def json_kind(accepted: tuple[Acceptable, ...]) -> bytes:
    """The media type of a JSON answer: application/json to who takes that and not the model's own name, or likes it
    more."""
    for wanted in accepted:
        if wanted.quality > 0 and not wanted.multipart:
            if wanted.matches(DICOM_JSON.decode()):
                break
            if wanted.kind == _PLAIN_JSON:
                return _PLAIN_JSON.encode()
    return DICOM_JSON


def not_acceptable(what: str) -> Answer:
    """406 for data sets."""
    return plain_refusal(
        406, f'{what} are sent as application/dicom+json or as multipart/related; type="{_XML}".'
    )


def as_json(document: bytes) -> Answer:
    """A JSON document."""
    return Answer(200, document, DICOM_JSON)


def as_xml(models: Iterable[dict[str, dict[str, object]]]) -> Answer:
    """Each data set as a part of its own, made while it is sent."""
    boundary = new_boundary()

    async def body() -> AsyncIterator[bytes]:
        for number, model in enumerate(models):
            document = await asyncio.to_thread(model_to_xml, model)
            yield part_head(boundary, _XML, first=number == 0) + document
        yield closing(boundary)

    return Answer(200, body(), f'multipart/related; type="{_XML}"; boundary={boundary}'.encode())


def one_data_set(form: Form | None, model: dict[str, dict[str, object]], status: int) -> Answer:
    """A single data set, such as the result of storing; whatever is accepted, the result is told."""
    if form == "xml":
        return Answer(status, model_to_xml(model), _XML.encode())
    return replace(as_json(orjson.dumps(model)), status=status)
