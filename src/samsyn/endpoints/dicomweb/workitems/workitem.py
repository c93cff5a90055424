"""A transfer as a Unified Procedure Step and the other way round (PS3.3 C.30, PS3.4 CC). Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from uuid import UUID

from samsyn.dicom.json_model import Model, text_of
from samsyn.dicom.uids import is_uid
from samsyn.errors import BadInput, NotSupported
from samsyn.exchange.sending import Transfer, TransferState

UPS_PUSH: Final = "1.2.840.10008.5.1.4.34.6.1"
SCHEDULED, IN_PROGRESS, COMPLETED, CANCELED = "SCHEDULED", "IN PROGRESS", "COMPLETED", "CANCELED"
STATES: Final = MappingProxyType(
    {
        TransferState.WAITING: SCHEDULED,
        TransferState.SENDING: IN_PROGRESS,
        TransferState.DONE: COMPLETED,
        TransferState.INCOMPLETE: COMPLETED,
        TransferState.GIVEN_UP: CANCELED,
        TransferState.CANCELLED: CANCELED,
    }
)
"""Procedure Step State (0074,1000) of each state of a transfer. What was refused in part is completed: the progress
description says so."""
_WORDS: Final = MappingProxyType(
    {
        TransferState.INCOMPLETE: "ended; {failed} of {total} instances were not taken",
        TransferState.GIVEN_UP: "given up: the destination could not be reached",
    }
)
_OF_THE_MESSAGE: Final = frozenset({"00080005", "00001000"})
_UUID_UIDS: Final = "2.25."

_INPUT, _OUTPUT, _STORAGE = 0x00404021, 0x00404070, 0x00404071
_STATE, _DESTINATION, _STUDY, _SERIES = 0x00741000, 0x21000140, 0x0020000D, 0x0020000E

Told = dict[str, dict[str, object]]


@dataclass(frozen=True, slots=True)
class Wish:
    """What a new workitem asks for."""

    study_uid: str
    series_uid: str
    """"" = the whole study."""
    destination: str


def uid_of(transfer_id: str) -> str:
    """The SOP Instance UID of a workitem; ids that are no UIDs are UUIDs (PS3.5 B.2)."""
    return transfer_id if is_uid(transfer_id) else f"{_UUID_UIDS}{UUID(hex=transfer_id).int}"


def transfer_ids(uid: str) -> tuple[str, ...]:
    """Ids that a transfer with this UID may have."""
    number = uid.removeprefix(_UUID_UIDS)
    if number == uid or "." in number or int(number) >> 128:
        return (uid,)
    return uid, UUID(int=int(number)).hex


def model_of(transfer: Transfer) -> Told:
    """The workitem as told: what is to be sent where, and how far it has come."""
    state = STATES[transfer.state]
    done = 100 * (transfer.sent + transfer.failed) // max(transfer.total, 1)
    words = _WORDS.get(transfer.state, "{sent} of {total} instances sent")
    told = words.format(sent=transfer.sent, failed=transfer.failed, total=transfer.total)
    progress = {
        "00741004": _element("DS", f"{100 if transfer.state is TransferState.DONE else done}"),
        "00741006": _element("ST", f"{told}{f': {transfer.why}' if transfer.why else ''}"[:1024]),
    }
    named = {_key(_STUDY): _element("UI", transfer.study_uid)}
    if transfer.series_uid:
        named[_key(_SERIES)] = _element("UI", transfer.series_uid)
    return {
        "00080005": _element("CS", "ISO_IR 192"),
        "00080016": _element("UI", UPS_PUSH),
        "00080018": _element("UI", uid_of(transfer.transfer_id)),
        "00404005": _element("DT", _moment(transfer.requested)),
        "00404010": _element("DT", _moment(transfer.changed)),
        "00404018": {"vr": "SQ"},
        _key(_INPUT): _element("SQ", {**named, "0040E020": _element("CS", "DICOM")}),
        "00404041": _element("CS", "READY"),
        _key(_OUTPUT): _element(
            "SQ",
            {_key(_STORAGE): _element("SQ", {_key(_DESTINATION): _element("AE", transfer.destination)})},
        ),
        _key(_STATE): _element("CS", state),
        "00741002": _element("SQ", progress),
        "00741200": _element("CS", "MEDIUM"),
        "00741202": _element("LO", "Samsyn"),
        "00741204": _element("LO", f"Send to {transfer.destination}"),
    }


def wish_of(model: Model) -> Wish:
    """What a client's workitem asks for. BadInput: it does not say one study and one destination.
    NotSupported: it asks for work that is not done here."""
    if text_of(model, _STATE) not in ("", SCHEDULED):
        raise BadInput("a new workitem is SCHEDULED")
    inputs = _items(model, _INPUT)
    studies = {text_of(item, _STUDY) for item in inputs}
    series = {text_of(item, _SERIES) for item in inputs if text_of(item, _SERIES)}
    if len(studies) != 1 or not is_uid(next(iter(studies))) or len(series) > 1:
        raise BadInput("the Input Information Sequence names one study, or one series of it")
    if any(_key(_STORAGE) not in item for item in _items(model, _OUTPUT)):
        raise NotSupported("the work that can be asked for is sending to a DICOM destination")
    destinations = {
        text_of(storage, _DESTINATION)
        for item in _items(model, _OUTPUT)
        for storage in _items(item, _STORAGE)
    }
    if len(destinations) != 1 or not next(iter(destinations)):
        raise BadInput("the Output Destination Sequence names one DICOM destination by its AE title")
    return Wish(studies.pop(), series.pop() if series else "", destinations.pop())


def keeps(kept: Mapping[str, object], sent: Mapping[str, object]) -> bool:
    """Whether everything that was sent with a value is in what is kept, which may say more. Character sets are told
    otherwise without being another thing, and so is the UID of the operation."""
    for tag, element in sent.items():
        if tag in _OF_THE_MESSAGE or not isinstance(element, Mapping):
            continue
        values, have = element.get("Value"), kept.get(tag)
        had = have.get("Value") if isinstance(have, Mapping) else None
        if not values:
            continue
        if not (isinstance(values, list) and isinstance(had, list) and len(values) == len(had)):
            return False
        for value, one in zip(values, had, strict=True):
            if isinstance(value, Mapping) and isinstance(one, Mapping):
                if not keeps(one, value):
                    return False
            elif str(value) != str(one):
                return False
    return True


def _items(model: Model, tag: int) -> list[Model]:
    values = model.get(_key(tag), {}).get("Value", [])
    if not isinstance(values, list) or not all(isinstance(item, dict) for item in values):
        raise BadInput(f"{_key(tag)} is a sequence")
    return values


def _element(vr: str, value: object) -> dict[str, object]:
    return {"vr": vr, "Value": [value]}


def _key(tag: int) -> str:
    return f"{tag:08X}"


def _moment(iso: str) -> str:
    """DT in UTC of an ISO 8601 time in UTC."""
    digits = "".join(character for character in iso[:19] if character.isdigit())
    return f"{digits}+0000"
