"""Correcting attributes of a study: the objects stay as they were sent, every answer shows the right value.

The index row changes at once, so that searches, history and the joining with referrals follow. Metadata and objects get
the value as they leave, with the Original Attributes Sequence (dicom.overlay).
"""

import re
from collections.abc import Mapping
from datetime import date
from typing import Final

from samsyn.access.events import Event, filed
from samsyn.access.view import View
from samsyn.audit import journal as audit
from samsyn.clock import STOCKHOLM, Clock
from samsyn.errors import BadInput, NotAllowed, NotFound
from samsyn.ingest.telling import tell
from samsyn.model.amendment import AMENDABLE
from samsyn.model.attributes import Attributes
from samsyn.model.changes import ChangeKind
from samsyn.model.organisation import Owner
from samsyn.model.sender import Sender
from samsyn.retrieve.retrieve import Retriever
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction

_MOST_CHARACTERS: Final = {"SH": 16, "LO": 64, "PN": 64, "CS": 16}
_TIME: Final = re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?", re.ASCII)
_FORBIDDEN: Final = re.compile(r"[\x00-\x1f\x7f\\]")
_MAX_REASON: Final = 200


class Amendments:
    """Writes corrections."""

    def __init__(self, store: Store, retriever: Retriever, clock: Clock) -> None:
        self._store = store
        self._retriever = retriever
        self._clock = clock

    async def correct(
        self, view: View, sender: Sender, request_id: str, study_uid: str, attributes: Attributes, reason: str
    ) -> None:
        """Corrects attributes of a study and all its instances, also those that come later. Durable on return.

        BadInput: nothing to correct, an attribute that is none of AMENDABLE, a value that its VR does not allow.
        NotFound: the View does not show the study. NotAllowed: the sender's provider does not own it.
        """
        item = self._retriever.item_of(view, study_uid)
        values = _values(attributes)
        if len(reason) > _MAX_REASON or _FORBIDDEN.search(reason):
            raise BadInput("the reason is too long or has control characters")
        if item.provider != sender.provider:
            raise NotAllowed("a study is corrected by the provider that owns it")
        told = self._clock.now().astimezone(STOCKHOLM).strftime("%Y%m%d%H%M%S.%f%z")

        def decide(transaction: Transaction) -> None:
            _file(transaction, sender, study_uid, values, told)
            made = filed(
                sender,
                Event.AMEND_STUDY,
                item.patient_key,
                {"study": study_uid, "attributes": _names(values), "reason": reason},
                owner=Owner(item.provider, item.unit),
                purpose=view.purpose,
                session_id=request_id,
            )
            audit.append(transaction, made)

        await self._store.commit(decide)


def _values(attributes: Attributes) -> dict[int, str]:
    found: dict[int, str] = {}
    for tag, (_, values) in attributes.items():
        if tag not in AMENDABLE:
            raise BadInput(f"({tag >> 16:04X},{tag & 0xFFFF:04X}) is not corrected here")
        if len(values) > 1:
            raise BadInput("a corrected attribute has one value")
        found[tag] = _checked(AMENDABLE[tag][0], str(values[0]).strip() if values else "")
    if not found:
        raise BadInput("there is nothing to correct")
    return found


def _checked(vr: str, text: str) -> str:
    if not text:
        return text
    if vr == "DA":
        try:
            date(int(text[:4]), int(text[4:6]), int(text[6:]))
        except ValueError:
            raise BadInput("a date is none") from None
        if not re.fullmatch(r"\d{8}", text, re.ASCII):
            raise BadInput("a date is none")
    elif vr == "TM":
        if not _TIME.fullmatch(text):
            raise BadInput("a time is none")
    elif _FORBIDDEN.search(text) or any(len(group) > _MOST_CHARACTERS[vr] for group in text.split("=")):
        raise BadInput("a text is too long or has control characters")
    elif vr == "CS" and text not in ("M", "F", "O"):
        raise BadInput("a patient's sex is M, F or O")
    return text


def _file(
    transaction: Transaction, sender: Sender, study_uid: str, values: Mapping[int, str], told: str
) -> None:
    row = transaction.one("SELECT study_key, provider FROM study WHERE study_uid = ?", study_uid)
    if row is None or row[1] != sender.provider:
        raise NotFound
    columns: dict[str, object] = {}
    for tag, value in values.items():
        vr, column = AMENDABLE[tag]
        if column:
            columns[column] = value
        transaction.insert(
            "amendment",
            study_uid=study_uid,
            tag=tag,
            vr=vr,
            value=value,
            told=told,
            actor=sender.name,
            provider=sender.provider,
        )
    if "study_date" in columns:
        day = int(str(columns["study_date"])) if columns["study_date"] else None
        columns |= {"begins": day, "ends": day}
        transaction.update("study_modality", {"study_key": row[0]}, study_date=columns["study_date"])
    if columns:
        transaction.update("study", {"study_key": row[0]}, **columns)
    tell(transaction, ChangeKind.CORRECTED, study_uid, named=_names(values).split())


def _names(values: Mapping[int, str]) -> str:
    return " ".join(f"{tag:08X}" for tag in sorted(values))
