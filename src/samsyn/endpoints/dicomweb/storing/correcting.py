"""POST of corrected attributes of a study: JSON in, nothing but the promise out."""

from collections.abc import AsyncIterator
from urllib.parse import parse_qs

from samsyn.dicom.json_model import attributes_of, read_models
from samsyn.endpoints.dicomweb.answers import Answer, plain_refusal
from samsyn.endpoints.dicomweb.reader import Reader, Readers
from samsyn.endpoints.dicomweb.target import Target
from samsyn.errors import BadInput, LimitExceeded
from samsyn.ingest.amendments import Amendments
from samsyn.limits import MAX_FORM_BYTES
from samsyn.wire.multipart import parse_media_type

TAKEN = ("application/dicom+json",)


class Correcting:
    """Takes corrections."""

    def __init__(self, readers: Readers, corrections: Amendments) -> None:
        self._readers = readers
        self._corrections = corrections

    async def correct(
        self,
        reader: Reader,
        target: Target,
        content_type: str,
        chunks: AsyncIterator[bytes],
        query_string: bytes,
        request_id: str,
    ) -> Answer:
        """204 when the correction is durable. `reason` goes into the audit journal."""
        sender = self._readers.steward_of(reader)
        if parse_media_type(content_type).kind not in TAKEN:
            return plain_refusal(415, "Amendments are taken as application/dicom+json.")
        body = bytearray()
        async for chunk in chunks:
            if len(body) + len(chunk) > MAX_FORM_BYTES:
                raise LimitExceeded("MAX_FORM_BYTES")
            body += chunk
        models = read_models(bytes(body))
        if len(models) != 1:
            raise BadInput("a correction is one data set")
        try:
            attributes = attributes_of(models[0], {int(key, 16) for key in models[0]})
            reasons = parse_qs(query_string.decode("ascii"), errors="strict", max_num_fields=4).get(
                "reason", [""]
            )
        except (ValueError, UnicodeDecodeError):
            raise BadInput("the correction is malformed") from None
        view = await self._readers.view_of_study(reader, target.study_uid)
        await self._corrections.correct(view, sender, request_id, target.study_uid, attributes, reasons[0])
        return Answer(204)
