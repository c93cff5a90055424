"""Data sets as answers: the JSON model, or the Native DICOM Model in XML (PS3.18 8.7.3.2)."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from typing import Literal

import orjson

from samsyn.dicom.native_xml import model_to_xml
from samsyn.endpoints.dicomweb.answers import DICOM_JSON, Answer, new_boundary, plain_refusal
from samsyn.endpoints.dicomweb.negotiation import Acceptable, Offer, weight
from samsyn.wire.multipart import closing, part_head

Form = Literal["json", "xml"]

_PLAIN_JSON = "application/json"
_JSON_KINDS = (DICOM_JSON.decode(), _PLAIN_JSON)
_XML = "application/dicom+xml"


def form_of(accepted: tuple[Acceptable, ...]) -> Form | None:
    """JSON (one document) or XML (multipart, one document for each data set); None = 406."""
    json = _best(accepted, _JSON_KINDS)
    xml = min(
        (
            found
            for multipart in (True, False)
            if (found := weight(accepted, Offer(_XML, ""), multipart=multipart, default=False)) is not None
        ),
        default=None,
    )
    if json is not None and (xml is None or json <= xml):
        return "json"
    return "xml" if xml is not None else None


def json_kind(accepted: tuple[Acceptable, ...]) -> bytes:
    """The media type of a JSON answer: application/json to who takes that and not the model's own name, or likes it
    more."""
    own, plain = (_best(accepted, (kind,)) for kind in _JSON_KINDS)
    return _PLAIN_JSON.encode() if plain is not None and (own is None or plain < own) else DICOM_JSON


def _best(accepted: tuple[Acceptable, ...], kinds: tuple[str, ...]) -> tuple[float, int] | None:
    weighed = (weight(accepted, Offer(kind, ""), multipart=False, default=True) for kind in kinds)
    return min((each for each in weighed if each is not None), default=None)


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
