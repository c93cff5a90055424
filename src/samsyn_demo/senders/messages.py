"""HL7 v2 messages as the region's systems write them: register news, referrals, status news, reports.

The systems differ as real ones do. Nordsjukhuset speaks 2.4 in ISO 8859-1 and puts a report into one field;
Klara Röntgen speaks 2.5.1 in UTF-8 with OMI^O23 and commit acknowledgements, one OBX for each line; Linden's
record speaks 2.5.1 in UTF-8 and names referrals by its own placer number only.

Times are sent with their zone, so that the hour that the change to summer time skips is no problem.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from samsyn_demo.history import Examination, Version
from samsyn_demo.people import PERSONNUMMER, SAMORDNINGSNUMMER, Person
from samsyn_demo.region import Hl7System, Professional, Provider, Unit

_STOCKHOLM = ZoneInfo("Europe/Stockholm")
_CODECS = {"8859/1": "iso8859-1", "UNICODE UTF-8": "utf-8"}
_ESCAPES = str.maketrans(
    {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "~": "\\R\\", "&": "\\T\\", "\n": "\\.br\\", "\r": None}
)


@dataclass(frozen=True, slots=True)
class Message:
    """A message ready to send, with what may be said about it when it is refused."""

    system: Hl7System
    control_id: str
    kind: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one provider's systems write."""

    version: str
    order: str
    """MSH-9 of a message about a referral."""
    commit: bool
    """Whether it asks for a commit acknowledgement (MSH-15 AL, MSH-16 NE) instead of the original mode's."""
    line_by_line: bool
    """Whether a report is one OBX for each line, or one OBX with line breaks."""
    timing_segment: bool
    """Whether the priority stands in TQ1-9, or in OBR-27."""


DIALECTS = {
    "nord": Dialect("2.4", "ORM^O01^ORM_O01", False, False, False),
    "klara": Dialect("2.5.1", "OMI^O23^OMI_O23", True, True, True),
    "linden": Dialect("2.5.1", "ORM^O01^ORM_O01", False, False, False),
}
"""By the provider's key."""


class Writer:
    """One system's messages. The control id follows from the content: the same message has the same id always."""

    def __init__(self, provider: Provider, system: Hl7System) -> None:
        self.provider = provider
        self.system = system
        self._dialect = DIALECTS[provider.key]

    def register(self, event: str, person: Person, when: datetime, number: tuple[str, str]) -> Message:
        """ADT^A28 (a new person) or ADT^A08 (changed), under the number that was in use then."""
        structure = {"A28": "ADT_A05", "A08": "ADT_A01"}[event]
        segments = [_evn(event, when), _pid(person, number, event == "A08"), _pd1(person), "PV1|1|N"]
        return self._message(f"ADT^{event}^{structure}", when, segments)

    def merge(self, person: Person, when: datetime) -> Message:
        """ADT^A40: the reserve number turned out to be somebody with a personnummer."""
        segments = [
            _evn("A40", when),
            _pid(person, (person.number, person.issuer)),
            _pd1(person),
            f"MRG|{_cx(person.earlier_number, person.earlier_issuer)}",
        ]
        return self._message("ADT^A40^ADT_A39", when, segments)

    def referral(self, examination: Examination) -> Message:
        """The referral itself (NW). The accession number goes along only where the same provider examines.

        A system that refers to others leaves the referring unit out, for that is itself; the examining
        provider's news names it.
        """
        own = examination.referrer_provider is examination.provider
        orc = self._orc(examination, "NW", "IP" if own else "", examination.referrer_unit if own else None)
        orc[9] = _time(examination.ordered)
        if not own:
            orc[3] = ""
        obr = self._obr(examination, known=own)
        obr[6] = _time(examination.ordered)
        obr[13] = _escaped(examination.case.history)
        obr[31] = f"^{_escaped(examination.case.question)}"
        segments = [*self._head(examination), _segment("ORC", orc), *self._timing(examination)]
        segments.append(_segment("OBR", obr))
        return self._message(self._dialect.order, examination.ordered, segments)

    def news(self, examination: Examination, control: str, status: str, when: datetime) -> Message:
        """What the examining provider's RIS tells about a referral: its accession number and how far it is.

        `control` and `status` are ORC-1 and ORC-5 (SC/SC = booked, SC/IP = begun, SC/CM = done, OC/CA = cancelled).
        """
        orc = self._orc(examination, control, status, examination.referrer_unit)
        obr = self._obr(examination, known=True)
        if status in ("IP", "CM"):
            obr[7] = _time(examination.when)
        segments = [*self._head(examination), _segment("ORC", orc), *self._timing(examination)]
        segments += [_segment("OBR", obr), *self._study(examination)]
        return self._message(self._dialect.order, when, segments)

    def report(self, examination: Examination, version: Version) -> Message:
        """ORU^R01: one version of the report."""
        orc = self._orc(examination, "RE", "", examination.referrer_unit)
        if version.reason:
            orc[16] = f"^{_escaped(version.reason)}"
        obr = self._obr(examination, known=True)
        obr[7], obr[22], obr[25] = _time(examination.when), _time(version.when), version.status
        if version.signer is not None:
            obr[32] = _ndl(version.signer)
        obr[33] = _ndl(version.author)
        segments = [*self._head(examination), _segment("ORC", orc), _segment("OBR", obr)]
        segments += self._text(version)
        if examination.images:
            segments.append(self._zds(examination))
        return self._message("ORU^R01^ORU_R01", version.when, segments)

    def _text(self, version: Version) -> list[str]:
        if not version.text:
            return []
        parts = version.text.split("\n") if self._dialect.line_by_line else [version.text]
        kind = "TX" if self._dialect.line_by_line else "FT"
        when = _time(version.when)
        return [
            f"OBX|{place}|{kind}|GDT^Utlåtande^L||{_escaped(part)}||||||{version.status}|||{when}"
            for place, part in enumerate(parts, start=1)
        ]

    def _head(self, examination: Examination) -> list[str]:
        kind = "E" if examination.priority == "S" else "O"
        place = _escaped(examination.referrer_unit.hsa_id)
        return [
            _pid(examination.person, (examination.number, examination.issuer)),
            f"PV1|1|{kind}|{place}",
        ]

    def _orc(
        self, examination: Examination, control: str, status: str, referring: Unit | None
    ) -> dict[int, str]:
        orc = {
            1: control,
            2: _entity(examination.placer, examination.referrer_provider),
            3: _entity(examination.accession, examination.provider),
            5: status,
            12: _xcn(examination.referrer),
        }
        if referring is not None:
            orc[21] = f"{_escaped(referring.name)}^^^^^^^^^{referring.hsa_id}"
        return orc

    def _obr(self, examination: Examination, known: bool) -> dict[int, str]:
        """`known` = the accession number is known to the writer."""
        accession = _escaped(examination.accession) if known else ""
        obr = {
            1: "1",
            2: _entity(examination.placer, examination.referrer_provider),
            3: _entity(examination.accession, examination.provider) if known else "",
            4: f"{_escaped(examination.code)}^{_escaped(examination.title)}^L",
            16: _xcn(examination.referrer),
            18: accession,
            24: {"ECG": "EC", "US": "RUS", "CT": "CT", "MR": "NMR"}.get(examination.kind.modality, "RAD"),
        }
        if not self._dialect.timing_segment:
            obr[27] = f"^^^^^{examination.priority}"
        return obr

    def _timing(self, examination: Examination) -> list[str]:
        return [f"TQ1|1||||||||{examination.priority}"] if self._dialect.timing_segment else []

    def _study(self, examination: Examination) -> list[str]:
        """IPC or ZDS: the number of the study, where pictures are kept."""
        if not examination.images:
            return []
        if self._dialect.order.startswith("OMI"):
            number = _escaped(examination.accession)
            return [f"IPC|{number}|{number}-1|{_study_uid(examination)}"]
        return [self._zds(examination)]

    def _zds(self, examination: Examination) -> str:
        return f"ZDS|{_study_uid(examination)}^{self.system.application}^Application^DICOM"

    def _message(self, kind: str, when: datetime, segments: Sequence[str]) -> Message:
        content = "\r".join((kind, _time(when), *segments))
        control_id = hashlib.sha256(content.encode()).hexdigest()[:20].upper()
        msh = {
            2: "^~\\&",
            3: self.system.application,
            4: self.system.facility,
            5: "SAMSYN",
            6: "REGIONEN",
            7: _time(when),
            9: kind,
            10: control_id,
            11: "P",
            12: self._dialect.version,
            17: "SWE",
            18: self.system.charset,
        }
        if self._dialect.commit:
            msh[15], msh[16] = "AL", "NE"
        # MSH-1 is the separator itself, so MSH's own parts stand one place earlier than their numbers.
        first = _segment("MSH", {place - 1: value for place, value in msh.items()})
        text = "\r".join((first, *segments)) + "\r"
        return Message(self.system, control_id, kind, text.encode(_CODECS[self.system.charset]))


def _study_uid(examination: Examination) -> str:
    # Only providers with pictures come here; the others never load what makes them.
    from samsyn_demo.instances.objects import study_uid

    return study_uid(examination)


def _segment(name: str, fields: dict[int, str]) -> str:
    """A segment from field number to field."""
    return "|".join([name, *(fields.get(place, "") for place in range(1, max(fields) + 1))])


def _escaped(text: str) -> str:
    """Text as a field's content (HL7 v2.5.1 chapter 2.7); LF becomes \\.br\\."""
    return text.translate(_ESCAPES)


def _time(when: datetime) -> str:
    return when.replace(tzinfo=_STOCKHOLM).strftime("%Y%m%d%H%M%S%z")


def _evn(event: str, when: datetime) -> str:
    return f"EVN|{event}|{_time(when)}||||{_time(when)}"


def _cx(number: str, issuer: str) -> str:
    kind = "NNSWE" if issuer in (PERSONNUMMER, SAMORDNINGSNUMMER) else "PI"
    return f"{_escaped(number)}^^^&{issuer}&ISO^{kind}"


def _pid(person: Person, number: tuple[str, str], changed: bool = False) -> str:
    """`changed` = what later became of the person is known: a death is told."""
    unknown = number[0] == person.earlier_number
    fields = {
        1: "1",
        3: _cx(*number),
        5: f"{_escaped(person.family)}^{_escaped(person.given)}^^^^^L",
        7: "" if unknown else person.birth_date,
        8: person.sex,
    }
    if changed and person.deceased:
        fields[30] = "Y"
    return _segment("PID", fields)


def _pd1(person: Person) -> str:
    """PD1-12: protected identity (skyddade personuppgifter)."""
    return _segment("PD1", {12: "Y" if person.protected else "N"})


def _entity(value: str, provider: Provider) -> str:
    """EI: the number and whose it is."""
    return f"{_escaped(value)}^{provider.key.upper()}"


def _xcn(one: Professional) -> str:
    return f"{one.hsa_id}^{_escaped(one.family)}^{_escaped(one.given)}"


def _ndl(one: Professional) -> str:
    return f"{one.hsa_id}&{_escaped(one.family)}&{_escaped(one.given)}"
