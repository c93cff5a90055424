"""DELETE: instances are taken back by a rejection note (IHE RAD IOCM); nothing is ever removed."""

from urllib.parse import parse_qs

from samsyn.endpoints.dicomweb.answers import Answer
from samsyn.endpoints.dicomweb.reader import Reader, Readers
from samsyn.endpoints.dicomweb.target import Target
from samsyn.errors import BadInput
from samsyn.ingest.rejections import Rejections

DEFAULT_CODE = "113001"
"""Rejected for Quality Reasons: the mildest, for clients that can not name one."""


class Deletion:
    """Answers DELETE."""

    def __init__(self, readers: Readers, rejections: Rejections) -> None:
        self._readers = readers
        self._rejections = rejections

    async def delete(
        self, reader: Reader, target: Target, query_string: bytes, request_id: str, base: str
    ) -> Answer:
        """204 when what the address names is taken back; `reason` is a code of model.rejection. Content-Location
        is where stewards find the note."""
        sender = self._readers.steward_of(reader)
        try:
            parameters = parse_qs(
                query_string.decode("ascii"), strict_parsing=bool(query_string), max_num_fields=4
            )
        except (ValueError, UnicodeDecodeError):
            raise BadInput("the query string is malformed") from None
        if parameters.keys() - {"reason"} or len(parameters.get("reason", [])) > 1:
            raise BadInput("a deletion has one parameter, reason")
        [code] = parameters.get("reason", [DEFAULT_CODE])
        view = await self._readers.view_of_study(reader, target.study_uid)
        note = await self._rejections.reject(
            view, sender, request_id, code, target.study_uid, target.series_uid, target.sop_instance_uid
        )
        address = (
            f"{base}/studies/{note.study_uid}/series/{note.series_uid}/instances/{note.sop_instance_uid}"
        )
        return Answer(204, headers=((b"content-location", address.encode()),))
