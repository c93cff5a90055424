"""Taking instances back from inside: a rejection note is written and comes in like everybody else's."""

from typing import Final
from uuid import uuid4

import orjson

from samsyn.access.view import View
from samsyn.clock import Clock
from samsyn.dicom.json_model import attributes_of
from samsyn.dicom.moments import TIMEZONE_OFFSET, zone_of
from samsyn.dicom.rejection import KEY_OBJECT_SELECTION, NoteFrame, write_rejection
from samsyn.dicom.transfer_syntaxes import EXPLICIT_LITTLE
from samsyn.errors import BadInput, Conflict, LimitExceeded
from samsyn.ingest.receive import Arrival, Intake
from samsyn.limits import MAX_REJECTED_INSTANCES
from samsyn.model.rejection import REJECTION_CODES, Reference, RejectionNote
from samsyn.model.sender import Sender
from samsyn.retrieve.retrieve import Retriever

_COPIED: Final = (
    *(
        0x00080020,
        0x00080030,
        0x00080050,
        0x00080051,
        0x00080090,
    ),  # date, time, accession, its issuer, referrer
    TIMEZONE_OFFSET,  # of all dates and times, the note's own too
    *(0x00100010, 0x00100020, 0x00100021, 0x00100024, 0x00100030, 0x00100040),  # the patient
    0x00200010,  # study id
)
"""What a note has in common with what it takes back, so that it belongs to the same patient and study."""


class Rejections:
    """Writes rejection notes."""

    def __init__(self, retriever: Retriever, intake: Intake, clock: Clock) -> None:
        self._retriever = retriever
        self._intake = intake
        self._clock = clock

    async def reject(
        self,
        view: View,
        sender: Sender,
        request_id: str,
        code: str,
        study_uid: str,
        series_uid: str = "",
        sop_instance_uid: str = "",
    ) -> Reference:
        """Takes back what the View shows of a study, a series or one instance; the note that does so.

        Durable when it returns. BadInput: the code is none of REJECTION_CODES. NotFound: nothing is shown there.
        NotAllowed: the sender's provider does not own the study. Conflict: the note could not be filed beside it.
        """
        if code not in REJECTION_CODES:
            raise BadInput("the reason is none of the codes for rejection")
        instances = await self._retriever.instances(view, study_uid, series_uid, sop_instance_uid)
        if len(instances) > MAX_REJECTED_INSTANCES:
            raise LimitExceeded("MAX_REJECTED_INSTANCES")
        references = tuple(
            Reference(each.study_uid, each.series_uid, each.sop_instance_uid, each.sop_class_uid)
            for each in instances
        )
        first = references[0]
        [model] = orjson.loads(
            await self._retriever.metadata(view, study_uid, first.series_uid, first.sop_instance_uid)
        )
        copied = attributes_of(model, _COPIED)
        now = self._clock.now().astimezone(
            zone_of("".join(map(str, copied.get(TIMEZONE_OFFSET, ("", ()))[1])))
        )
        frame = NoteFrame(
            patient=copied,
            study_uid=study_uid,
            series_uid=_new_uid(),
            sop_instance_uid=_new_uid(),
            date=now.strftime("%Y%m%d"),
            time=now.strftime("%H%M%S"),
            institution=sender.provider,
        )
        arrival = Arrival(sender, EXPLICIT_LITTLE, request_id, study_uid=study_uid)
        data = write_rejection(RejectionNote(code, references), frame)
        receipt, _ = await self._intake.receive(arrival, data)
        if receipt.outcome != "stored":
            raise Conflict("the rejection note is held")
        return Reference(study_uid, frame.series_uid, frame.sop_instance_uid, KEY_OBJECT_SELECTION)


def _new_uid() -> str:
    """A UID made of a random UUID (PS3.5 B.2)."""
    return f"2.25.{uuid4().int}"
