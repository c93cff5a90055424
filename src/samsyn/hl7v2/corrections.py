"""Messages that tell another system of a correction (HL7 v2.5.1, chapters 3 and 7). Pure.

A report under the wrong patient and under the right one, and which numbers are one person.

The same content gives the same bytes and the same control id, so that a repetition is seen to be one.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from samsyn.hl7v2.escapes import escape
from samsyn.hl7v2.times import write_time
from samsyn.model.patient import Demographics, PatientIdentifier
from samsyn.model.person_name import PersonName

_CONTROL_ID_CHARACTERS = 20
"""MSH-10 in 2.5.1 takes no more."""


@dataclass(frozen=True, slots=True)
class Addressee:
    """Who is told (MSH-5 and MSH-6)."""

    application: str
    facility: str


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a message is about, by the numbers that the addressee may know."""

    identifiers: tuple[PatientIdentifier, ...]
    known: Demographics


@dataclass(frozen=True, slots=True)
class Answer:
    """The report as it stands. `status` is of HL7 table 0123: P, F or C."""

    accession: str
    filler_id: str
    title: str
    examined: str
    """YYYYMMDD, "" = unknown."""
    status: str
    text: str
    signer: str


def wrong_patient(to: Addressee, person: Person, answer: Answer, when: datetime) -> bytes:
    """The report was never this person's: X in OBR-25, W in OBX-11 (table 0085, posted as wrong), and no text."""
    return _report(to, person, answer, when, when, "X", "W", "", ("Svaret gällde en annan patient.",))


def right_patient(
    to: Addressee, person: Person, answer: Answer, result_time: datetime, when: datetime
) -> bytes:
    """The report as it stands, for the person whose it is."""
    return _report(to, person, answer, result_time, when, answer.status, answer.status, answer.text, ())


def linked(to: Addressee, one: Person, other: Person, are_one: bool, when: datetime) -> bytes:
    """A24: the two are one person; A37: they are not."""
    event = "A24" if are_one else "A37"
    return _message(
        to,
        f"ADT^{event}^ADT_{event}",
        when,
        [f"EVN||{write_time(when)}", _pid(one, 1), "PV1||N", _pid(other, 2), "PV1||N"],
    )


def _report(
    to: Addressee,
    person: Person,
    answer: Answer,
    result_time: datetime,
    when: datetime,
    order_status: str,
    line_status: str,
    text: str,
    notes: Sequence[str],
) -> bytes:
    obr = [""] * 33
    obr[1], obr[3], obr[4] = "1", escape(answer.filler_id), f"^{escape(answer.title or 'Utlåtande')}"
    obr[7], obr[18] = answer.examined, escape(answer.accession)
    obr[22], obr[25] = write_time(result_time), order_status
    obr[32] = f"^{escape(answer.signer)}" if answer.signer else ""
    obx = ["1", "TX", "UTL^Utlåtande", "", escape(text), "", "", "", "", "", line_status]
    lines = [_pid(person, 1), "OBR|" + "|".join(obr[1:]).rstrip("|"), "OBX|" + "|".join(obx)]
    lines += [f"NTE|{number}||{escape(note)}" for number, note in enumerate(notes, start=1)]
    return _message(to, "ORU^R01^ORU_R01", when, lines)


def _pid(person: Person, number: int) -> str:
    """Names of people with protected identity stay here."""
    numbers = "~".join(f"{escape(each.value)}^^^&{escape(each.issuer)}&ISO" for each in person.identifiers)
    known = Demographics() if person.known.protected else person.known
    told = PersonName.of(known.name)
    # XPN has the suffix before the prefix, DICOM's PN the other way round.
    parts = (told.family, told.given, told.middle, told.suffix, told.prefix)
    name = "^".join(escape(part) for part in parts).rstrip("^")
    return f"PID|{number}||{numbers}||{name}||{known.birth_date}|{known.sex}".rstrip("|")


def _message(to: Addressee, kind: str, when: datetime, lines: Sequence[str]) -> bytes:
    digest = hashlib.sha256("\r".join([kind, write_time(when), *lines]).encode()).hexdigest()
    msh = [
        *(
            "MSH",
            "^~\\&",
            "SAMSYN",
            "",
            escape(to.application),
            escape(to.facility),
            write_time(when),
            "",
            kind,
        ),
        *(digest[:_CONTROL_ID_CHARACTERS], "P", "2.5.1", "", "", "", "", "SWE", "UNICODE UTF-8"),
    ]
    return ("\r".join(["|".join(msh), *lines]) + "\r").encode()
