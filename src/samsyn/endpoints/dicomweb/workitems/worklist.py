"""Workitems over HTTP: create, search, retrieve, request cancellation (PS3.18 11.4, 11.5, 11.8, 11.9), and refusals of
what else there is."""

from collections.abc import AsyncIterator
from dataclasses import replace
from types import MappingProxyType
from typing import Final

import orjson

from samsyn.dicom.json_model import Model, read_models, text_of
from samsyn.dicom.native_xml import xml_to_model
from samsyn.dicom.uids import is_uid
from samsyn.endpoints.dicomweb.answers import Answer, not_modified, plain_refusal
from samsyn.endpoints.dicomweb.asked import MORE, Asked, tag_for
from samsyn.endpoints.dicomweb.datasets import as_json, as_xml, form_of, not_acceptable
from samsyn.endpoints.dicomweb.parameters import ignored, not_matched
from samsyn.endpoints.dicomweb.reader import Reader, Readers
from samsyn.endpoints.dicomweb.workitems.question import parse_question
from samsyn.endpoints.dicomweb.workitems.refused import (
    FILTERED_WORKLIST,
    WORKLIST,
    Refusal,
    state_change,
    subscription,
    update,
)
from samsyn.endpoints.dicomweb.workitems.workitem import (
    CANCELED,
    COMPLETED,
    STATES,
    keeps,
    model_of,
    transfer_ids,
    uid_of,
    wish_of,
)
from samsyn.errors import BadInput, LimitExceeded, NotAllowed, NotFound
from samsyn.exchange.sending import Sending, Transfer
from samsyn.limits import MAX_FORM_BYTES, MAX_SEARCH_ROWS
from samsyn.search.matching import NotMatched
from samsyn.wire.multipart import parse_media_type

_XML: Final = "application/dicom+xml"
TAKEN: Final = ("application/dicom+json", _XML)
_NAMED_BY: Final = ("workitem=", "AffectedSOPInstanceUID=")
_STATE, _TRANSACTION, _UID, _AFFECTED_UID = 0x00741000, 0x00081195, 0x00080018, 0x00001000
_MODIFIED: Final = (b"warning", b'299 Samsyn "The Workitem was created with modifications."')
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
        """201 when the work is durable; its address in Location, and a Warning when the workitem says less than was
        sent. The UID may stand behind `?`, by itself or as `workitem=` (both are read into PS3.18 11.4.1) or as older
        editions have it, or in the workitem; else one is given."""
        _check(reader)
        uid = query_string.decode("latin-1")
        for name in _NAMED_BY:
            uid = uid.removeprefix(name)
        if uid and not is_uid(uid):
            raise BadInput("what stands behind ? is the workitem's UID")
        kind = parse_media_type(content_type).kind
        if kind not in TAKEN:
            return plain_refusal(415, f"Workitems are taken as {' or '.join(TAKEN)}.")
        sent = await _one_model(chunks, kind)
        named = {told for tag in (_UID, _AFFECTED_UID) if (told := text_of(sent, tag))} | (
            {uid} if uid else set()
        )
        if len(named) > 1 or not all(map(is_uid, named)):
            raise BadInput("the workitem has one UID")
        uid = "".join(named)
        wish = wish_of(sent)
        view = await self._readers.view_of_study(reader, wish.study_uid)
        transfer_id = await self._sending.request(
            view, wish.study_uid, wish.destination, wish.series_uid, transfer_id=uid
        )
        address = f"{base}/workitems/{uid_of(transfer_id)}".encode()
        headers = ((b"location", address), (b"content-location", address))
        kept = model_of(self._sending.progress(reader.subject, transfer_id))
        return Answer(201, headers=headers if keeps(kept, sent) else (*headers, _MODIFIED))

    async def search(self, reader: Reader, asked: Asked) -> Answer:
        """200 with the reader's workitems, the newest first; 204 when there are none. A Warning tells that there are
        more, and which parameters were ignored."""
        _check(reader)
        form = form_of(asked.accepted)
        if form is None:
            return not_acceptable("Workitems")
        try:
            question = parse_question(asked.query_string)
        except NotMatched as refused:
            return not_matched(refused)
        mine = await self._sending.mine(reader.subject, MAX_SEARCH_ROWS + 1)
        every = map(model_of, mine[:MAX_SEARCH_ROWS])
        found = [each for each in every if question.finds(each)][question.offset :]
        headers = ignored(question.foreign)
        if len(found) > question.limit or len(mine) > MAX_SEARCH_ROWS:
            headers = (*headers, (b"warning", MORE))
        models = found[: question.limit]
        if not models:
            return Answer(204, headers=headers)
        answer = as_json(orjson.dumps(models)) if form == "json" else as_xml(models)
        return replace(answer, headers=headers)

    async def retrieve(self, reader: Reader, uid: str, asked: Asked) -> Answer:
        """One workitem as it stands; 304 to who has it so (PS3.18 8.4.1.2)."""
        form = form_of(asked.accepted)
        if form is None:
            return not_acceptable("Workitems")
        model = model_of(self._one(reader, uid))
        document = orjson.dumps([model])
        tag = tag_for(reader.subject, "workitem", form, document, weak=form == "xml")
        if asked.has(tag):
            return not_modified(tag)
        return replace(as_json(document) if form == "json" else as_xml([model]), tag=tag)

    async def cancel(self, reader: Reader, uid: str) -> Answer:
        """202: nothing more is sent. 409 with a Warning when the work had ended."""
        transfer = self._one(reader, uid)
        ended = _ENDED.get(STATES[transfer.state])
        if ended is not None:
            return plain_refusal(409, "The workitem has ended.", (b"warning", ended.encode()))
        await self._sending.cancel(reader.subject, transfer.transfer_id)
        return Answer(202)

    async def change_state(
        self, reader: Reader, uid: str, content_type: str, chunks: AsyncIterator[bytes]
    ) -> Answer:
        """400 or 409 in the standard's words: Samsyn owns its workitems. BadInput: what is asked is no data set."""
        self._one(reader, uid)
        kind = parse_media_type(content_type).kind
        if kind not in TAKEN:
            return plain_refusal(415, f"Changes of state are taken as {' or '.join(TAKEN)}.")
        model = await _one_model(chunks, kind)
        return _refused(state_change(text_of(model, _STATE), text_of(model, _TRANSACTION)))

    def update(self, reader: Reader, uid: str, query_string: bytes) -> Answer:
        """400 or 409 in the standard's words: what is asked for is not changed afterwards."""
        transfer = self._one(reader, uid)
        return _refused(update(STATES[transfer.state], query_string.decode("latin-1")))

    def subscription(self, reader: Reader, form: str, method: str, uid: str) -> Answer:
        """403, 404 or 501: nobody is notified. NotFound: a workitem that is not the asker's."""
        _check(reader)
        if uid and uid not in (WORKLIST, FILTERED_WORKLIST):
            self._one(reader, uid)
        return _refused(subscription(form, method, uid))

    def _one(self, reader: Reader, uid: str) -> Transfer:
        _check(reader)
        for transfer_id in transfer_ids(uid):
            try:
                return self._sending.progress(reader.subject, transfer_id)
            except NotFound:
                continue
        raise NotFound


def _refused(refusal: Refusal) -> Answer:
    return plain_refusal(
        refusal.status, refusal.warning, (b"warning", f'299 Samsyn "{refusal.warning}"'.encode("ascii"))
    )


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
