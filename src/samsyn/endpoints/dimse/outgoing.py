"""Objects on their way out: in which form they are sent."""

import asyncio
from collections.abc import Collection

from samsyn.dicom.recoding import RECODABLE, RECODED, recode
from samsyn.model.imaging import StoredInstance


def form_for(instance: StoredInstance, taken: Collection[tuple[str, str]]) -> str | None:
    """The transfer syntax in which an object is sent: as it is stored, else another uncompressed one, else None.

    `taken`: (SOP class, transfer syntax) pairs that the receiver accepted.
    """
    if (instance.sop_class_uid, instance.transfer_syntax_uid) in taken:
        return instance.transfer_syntax_uid
    if instance.transfer_syntax_uid in RECODABLE:
        for form in RECODED:
            if (instance.sop_class_uid, form) in taken:
                return form
    return None


async def in_form(data: memoryview, instance: StoredInstance, transfer_syntax: str) -> bytes | memoryview:
    """The data set in the form that `form_for` chose; BadInput or LimitExceeded when it can not be given so."""
    if transfer_syntax == instance.transfer_syntax_uid:
        return data
    return await asyncio.to_thread(recode, data, instance.transfer_syntax_uid, transfer_syntax)
