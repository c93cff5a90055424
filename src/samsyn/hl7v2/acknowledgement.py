"""Answers: AA, AE or AR with MSA, ERR and one sentence that tells a technician what to mend.

An answer never repeats content of the message but for its own MSH (control id, applications), so it can be
logged and mailed. The same message, verdict and time give the same bytes, so a repetition is answered alike.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from samsyn.errors import (
    BadInput,
    Conflict,
    DifferentBytes,
    IdentityConflict,
    LimitExceeded,
    Mismatch,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    NotSupported,
    OutOfResources,
    SamsynError,
    StoreFailed,
    UnknownIssuer,
)
from samsyn.hl7v2.escapes import escape
from samsyn.hl7v2.faults import BadMessage
from samsyn.hl7v2.header import Header
from samsyn.hl7v2.times import write_time
from samsyn.limits import MAX_ACK_CHARACTERS


class Code(StrEnum):
    """Acknowledgement codes of original mode (HL7 table 0008)."""

    ACCEPT = "AA"
    ERROR = "AE"
    REJECT = "AR"


_ACCEPT_CODES = {Code.ACCEPT: "CA", Code.ERROR: "CE", Code.REJECT: "CR"}
"""Enhanced mode's commit codes for the same verdicts."""

_VERSION = re.compile(r"2(\.[0-9]){1,2}")
_CONDITIONS = {
    100: "Segment sequence error",
    101: "Required field missing",
    102: "Data type error",
    103: "Table value not found",
    200: "Unsupported message type",
    201: "Unsupported event code",
    202: "Unsupported processing id",
    203: "Unsupported version id",
    204: "Unknown key identifier",
    205: "Duplicate key identifier",
    206: "Application record locked",
    207: "Application internal error",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a message. `sentence` is free of patient data; `condition` is of HL7 table 0357."""

    code: Code
    sentence: str = ""
    condition: int = 0
    segment: str = ""
    sequence: int = 1
    field: int = 0


ACCEPTED = Verdict(Code.ACCEPT)

_VERDICTS: tuple[tuple[type[SamsynError], Code, int], ...] = (
    (BadInput, Code.ERROR, 102),
    (LimitExceeded, Code.REJECT, 207),
    (NotSupported, Code.REJECT, 200),
    (Mismatch, Code.ERROR, 102),
    (DifferentBytes, Code.ERROR, 205),
    (Conflict, Code.ERROR, 205),
    (IdentityConflict, Code.ERROR, 204),
    (UnknownIssuer, Code.ERROR, 204),
    (NotFound, Code.ERROR, 204),
    (NotAuthenticated, Code.REJECT, 207),
    (NotAllowed, Code.REJECT, 207),
    (OutOfResources, Code.ERROR, 207),
    (StoreFailed, Code.ERROR, 207),
    (SamsynError, Code.ERROR, 207),
)
"""Total: the last row takes whatever type is new. AR means that the content was not judged."""


def verdict_on(error: SamsynError) -> Verdict:
    """The verdict that an error means, with its place when the error knows one."""
    code, condition = next((code, number) for kind, code, number in _VERDICTS if isinstance(error, kind))
    # "Log in first" helps nobody who speaks HL7; the detail says what is not known here.
    opening = "" if isinstance(error, NotAuthenticated) and error.detail else error.sentence
    sentence = f"{opening} {error.detail}".strip()
    if isinstance(error, BadMessage):
        return Verdict(code, sentence, error.condition, error.segment, error.sequence, error.field)
    return Verdict(code, sentence, condition)


def answers(header: Header, verdict: Verdict, when: datetime) -> tuple[bytes, ...]:
    """The messages that the sender asked for, in the order to send them; none when it asked for none.

    Original mode (MSH-15 and MSH-16 empty): one AA, AE or AR. Enhanced mode: the commit acknowledgement (CA,
    CE, CR) as MSH-15 asks and the application acknowledgement as MSH-16 asks (AL always, NE never, SU on
    success, ER otherwise). `when` is the moment of the verdict, so that a repetition gets equal bytes.
    """
    if not header.enhanced:
        return (acknowledgement(header, verdict, verdict.code.value, when),)
    wanted = []
    if _is_wanted(header.accept_ack, verdict):
        wanted.append(acknowledgement(header, verdict, _ACCEPT_CODES[verdict.code], when))
    if _is_wanted(header.application_ack, verdict):
        wanted.append(acknowledgement(header, verdict, verdict.code.value, when))
    return tuple(wanted)


def acknowledgement(header: Header, verdict: Verdict, code: str, when: datetime) -> bytes:
    """One ACK message in the sender's version (2.5 when it told none), segments ended by CR."""
    version, before, kind, after = _envelope(
        header.receiving_application,
        header.receiving_facility,
        header.sending_application,
        header.sending_facility,
        header.code,
        header.trigger,
        header.processing_id,
        header.version,
        header.enhanced,
    )
    sentence = _shortened(verdict.sentence) if verdict.sentence else ""
    own = escape(f"{code}{header.control_id}")[:199]
    msh = f"{before}{write_time(when)}||{kind}|{own}|{after}"
    msa = f"MSA|{code}|{escape(header.control_id)}|{escape(sentence)}".rstrip("|")
    err = "" if verdict.code is Code.ACCEPT else f"{_err(verdict, version, sentence)}\r"
    return f"{msh}\r{msa}\r{err}".encode("latin-1", errors="replace")


@lru_cache(maxsize=256)
def _envelope(
    receiving: str,
    at: str,
    sending: str,
    of: str,
    code: str,
    trigger: str,
    processing: str,
    version: str,
    is_enhanced: bool,
) -> tuple[str, str, str, str]:
    """The version of an answer, and its header before the time, at MSH-9 and from MSH-11 on: the same for all messages
    of a kind of one source."""
    version = version if _VERSION.fullmatch(version) else "2.5"
    # Point-of-care results are answered by an event of their own (chapter 7.3.3).
    event = "R33" if code == "ORU" and trigger in ("R30", "R31", "R32") else trigger
    told = f"^{escape(event)}" if event else ""
    structure = "^ACK" if told and version >= "2.3.1" else ""
    parts = (receiving or "SAMSYN", at, sending, of)
    before = "MSH|^~\\&|" + "".join(f"{escape(part)}|" for part in parts)
    after = f"{escape(processing or 'P')}|{version}" + ("|||NE|NE" if is_enhanced else "")
    return version, before, f"ACK{told}{structure}", after


def batch_answer(raw: bytes, answers_inside: Sequence[bytes], when: datetime) -> bytes:
    """The answers to a batch as a batch (chapter 2.10.3.2), with a file's envelope when it came in one."""
    stamp = write_time(when)
    lines = [f"BHS|^~\\&|SAMSYN||||{stamp}\r", f"BTS|{len(answers_inside)}\r"]
    if raw.lstrip(b"\xef\xbb\xbf\r\n").startswith(b"FHS"):
        lines = [f"FHS|^~\\&|SAMSYN||||{stamp}\r{lines[0]}", f"{lines[1]}FTS|1\r"]
    return lines[0].encode() + b"".join(answers_inside) + lines[1].encode()


def _is_wanted(condition: str, verdict: Verdict) -> bool:
    """HL7 table 0155; a word that the table lacks is taken as AL, for silence could be taken for success."""
    if condition in ("", "NE"):
        return False
    if condition == "SU":
        return verdict.code is Code.ACCEPT
    if condition == "ER":
        return verdict.code is not Code.ACCEPT
    return True


def _err(verdict: Verdict, version: str, sentence: str) -> str:
    """ERR as 2.5 has it (ERR-2 to ERR-8), or ERR-1 for older versions."""
    condition = verdict.condition or 207
    meaning = _CONDITIONS[condition]
    place = [verdict.segment, str(verdict.sequence), str(verdict.field or "")] if verdict.segment else []
    if version < "2.5":
        return "ERR|" + "^".join([*(place or ["", "", ""]), f"{condition}&{meaning}&HL70357"])
    location = "^".join(place).rstrip("^")
    return f"ERR||{location}|{condition}^{meaning}^HL70357|E||||{escape(sentence)}"


def _shortened(sentence: str) -> str:
    plain = " ".join(sentence.split())
    return plain if len(plain) <= MAX_ACK_CHARACTERS else plain[: MAX_ACK_CHARACTERS - 1] + "."
