"""In which transfer syntax an object leaves: as it is stored if the receiver takes that, else in one that it takes."""

import asyncio
from collections.abc import Collection, Sequence

from samsyn import limits
from samsyn.access.view import View
from samsyn.dicom.recoding import RECODABLE, RECODED, recode
from samsyn.dicom.transfer_syntaxes import EXPLICIT_LITTLE
from samsyn.errors import LimitExceeded
from samsyn.model.imaging import StoredInstance
from samsyn.model.streamed import StreamedData
from samsyn.render.transcoding import Transcoder, can_be_native


def form_for(instance: StoredInstance, taken: Collection[tuple[str, str]]) -> str | None:
    """The transfer syntax in which an object is sent: as it is stored, else an uncompressed one, else None.

    `taken`: (SOP class, transfer syntax) pairs that the receiver accepted.
    """
    if (instance.sop_class_uid, instance.transfer_syntax_uid) in taken:
        return instance.transfer_syntax_uid
    if instance.transfer_syntax_uid in RECODABLE or can_be_native(instance):
        for form in RECODED:
            if (instance.sop_class_uid, form) in taken:
                return form
    return None


def proposals(instances: Sequence[StoredInstance]) -> list[tuple[str, tuple[str, ...]]]:
    """The presentation contexts to propose for sending them, the stored forms first.

    A context of its own for each other form, since an acceptor picks only one syntax of a context. At most
    limits.MAX_PRESENTATION_CONTEXTS: what does not fit fails later as not accepted.
    """
    stored = dict.fromkeys((each.sop_class_uid, each.transfer_syntax_uid) for each in instances)
    others = dict.fromkeys(
        (each.sop_class_uid, form)
        for each in instances
        if each.transfer_syntax_uid in RECODABLE or can_be_native(each)
        for form in RECODED
    )
    pairs = [*stored, *(pair for pair in others if pair not in stored)]
    return [(abstract, (form,)) for abstract, form in pairs[: limits.MAX_PRESENTATION_CONTEXTS]]


async def in_form(
    data: bytes | memoryview | StreamedData,
    instance: StoredInstance,
    form: str,
    transcoder: Transcoder,
    view: View,
) -> bytes | memoryview | StreamedData:
    """The object's data set in the form that `form_for` chose; one that is streamed stays so as it is stored.

    BadInput, DamagedData, LimitExceeded, NotFound or NotSupported when it can not be given so.
    """
    stored = instance.transfer_syntax_uid
    if form == stored:
        return data
    if isinstance(data, StreamedData):
        if len(data) > limits.MAX_TRANSCODED_BYTES:
            raise LimitExceeded("MAX_TRANSCODED_BYTES")
        data = b"".join([piece async for piece in data.pieces()])
    if stored not in RECODABLE:
        data, stored = await transcoder.native(view, instance, data), EXPLICIT_LITTLE
    return await asyncio.to_thread(recode, data, stored, form)
