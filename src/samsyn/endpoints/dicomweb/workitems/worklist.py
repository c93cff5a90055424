"""Workitems over HTTP: create, search, retrieve, request cancellation (PS3.18 11.4, 11.5, 11.8, 11.9)."""

from collections.abc import AsyncIterator
from dataclasses import replace
from types import MappingProxyType
from typing import Final

import orjson

from samsyn.dicom.json_model import Model, read_models
from samsyn.dicom.native_xml import xml_to_model
from samsyn.dicom.uids import is_uid
from samsyn.endpoints.dicomweb.answers import Answer, plain_refusal
from samsyn.endpoints.dicomweb.asked import MORE, Asked
from samsyn.endpoints.dicomweb.datasets import as_json, as_xml, form_of, not_acceptable
from samsyn.endpoints.dicomweb.parameters import ignored
from samsyn.endpoints.dicomweb.reader import Reader, Readers
from samsyn.endpoints.dicomweb.workitems.question import parse_question
from samsyn.endpoints.dicomweb.workitems.workitem import (
    CANCELED,
    COMPLETED,
    STATES,
    model_of,
    transfer_ids,
    uid_of,
    wish_of,
)
from samsyn.errors import BadInput, LimitExceeded, NotAllowed, NotFound
from samsyn.exchange.sending import Sending, Transfer
from samsyn.limits import MAX_FORM_BYTES, MAX_SEARCH_ROWS
from samsyn.wire.multipart import parse_media_type

_XML: Final = "application/dicom+xml"
TAKEN: Final = ("application/dicom+json", _XML)
_ENDED: Final = MappingProxyType(
    {
        COMPLETED: '299 Samsyn "The UPS is already COMPLETED."',
        CANCELED: '299 Samsyn "The UPS is already in the requested state of CANCELED."',
    }
)


class Worklist:
    """The workitems of whoever asks: each sees those that he asked for himself."""

    def __init__(self, readers: Readers, sending: Sending) -> None:
        self._readers = readers
        self._sending = sending

    async def create(
        self,
        reader: Reader,
        content_type: str,
        chunks: AsyncIterator[bytes],
        query_string: bytes,
        base: str,
    ) -> Answer:
        """201 when the work is durable; its address in Location. The UID may stand behind `?`, by itself or as
        `workitem=` (both are read into PS3.18 11.4.1), else one is given."""
        _check(reader)
        uid = query_string.decode("latin-1").removeprefix("workitem=")
        if uid and not is_uid(uid):
            raise BadInput("what stands behind ? is the workitem's UID")
        kind = parse_media_type(content_type).kind
        if kind not in TAKEN:
            return plain_refusal(415, f"Workitems are taken as {' or '.join(TAKEN)}.")
        wish = wish_of(await _one_model(chunks, kind))
        view = await self._readers.view_of_study(reader, wish.study_uid)
        transfer_id = await self._sending.request(
            view, wish.study_uid, wish.destination, wish.series_uid, transfer_id=uid
        )
        address = f"{base}/workitems/{uid_of(transfer_id)}".encode()
        return Answer(201, headers=((b"location", address), (b"content-location", address)))

    async def search(self, reader: Reader, asked: Asked) -> Answer:
        """200 with the reader's workitems, the newest first; 204 when there are none. A Warning tells that there are
        more, and which parameters were ignored."""
        _check(reader)
        form = form_of(asked.accepted)
        if form is None:
            return not_acceptable("Workitems")
        question = parse_question(asked.query_string)
        every = map(model_of, await self._sending.mine(reader.subject, MAX_SEARCH_ROWS))
        found = [each for each in every if question.finds(each)][question.offset :]
        headers = ignored(question.foreign)
        if len(found) > question.limit:
            headers = (*headers, (b"warning", MORE))
        models = found[: question.limit]
        if not models:
            return Answer(204, headers=headers)
        answer = as_json(orjson.dumps(models)) if form == "json" else as_xml(models)
        return replace(answer, headers=headers)

    async def retrieve(self, reader: Reader, uid: str, asked: Asked) -> Answer:
        """One workitem as it stands."""
        form = form_of(asked.accepted)
        if form is None:
            return not_acceptable("Workitems")
        model = model_of(self._one(reader, uid))
        return as_json(orjson.dumps([model])) if form == "json" else as_xml([model])

    async def cancel(self, reader: Reader, uid: str) -> Answer:
        """202: nothing more is sent. 409 with a Warning when the work had ended."""
        transfer = self._one(reader, uid)
        ended = _ENDED.get(STATES[transfer.state])
        if ended is not None:
            return plain_refusal(409, "The workitem has ended.", (b"warning", ended.encode()))
        await self._sending.cancel(reader.subject, transfer.transfer_id)
        return Answer(202)

    def _one(self, reader: Reader, uid: str) -> Transfer:
        _check(reader)
        for transfer_id in transfer_ids(uid):
            try:
                return self._sending.progress(reader.subject, transfer_id)
            except NotFound:
                continue
        raise NotFound


def _check(reader: Reader) -> None:
    """Work is asked for by systems that may retrieve, and by persons with a token: a page that some other site
    shows can not spend a browser session's rights here."""
    if not reader.by_token or (reader.system is not None and not reader.system.may_retrieve):
        raise NotAllowed


async def _one_model(chunks: AsyncIterator[bytes], kind: str) -> Model:
    body = bytearray()
    async for chunk in chunks:
        if len(body) + len(chunk) > MAX_FORM_BYTES:
            raise LimitExceeded("MAX_FORM_BYTES")
        body += chunk
    models = [xml_to_model(bytes(body))] if kind == _XML else read_models(bytes(body))
    if len(models) != 1:
        raise BadInput("a workitem is one data set")
    return models[0]
