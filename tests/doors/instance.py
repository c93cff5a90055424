"""A whole Samsyn in this process, its doors on real sockets of loopback, and what the matrix plants in it.

Documents go in through the rooms that the sending doors use; registers are written as rows, so that they can be
of any age. Everything is read back only through the real protocols.
"""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from samsyn.access.facts import Choices
from samsyn.cli import scratch
from samsyn.clock import STOCKHOLM, SystemClock
from samsyn.ingest.filing import REPORT_DOCUMENT
from samsyn.ingest.receive import Arrival
from samsyn.model.patient import Demographics, DemographicsOrigin, PatientIdentifier
from samsyn.model.sender import Sender
from samsyn.model.subject import Assignment, Purpose, Right, Scope, Subject, SubjectKind
from samsyn.patients import links, registry
from samsyn.server import Server
from samsyn.settings import Settings
from samsyn.store.transaction import Transaction
from tests.doors.words import Reader, State
from tests.indexes import ON_POSTGRESQL, shared_server
from tests.waiting import until

T = TypeVar("T")
ISSUER = "2.25.4711.9"
EXPLICIT = "1.2.840.10008.1.2.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
KEY_OBJECTS = "1.2.840.10008.5.1.4.1.1.88.59"
COMPREHENSIVE = "1.2.840.10008.5.1.4.1.1.88.33"
_PURPOSES = {
    "care": Purpose.CARE,
    "administration": Purpose.ADMINISTRATION,
    "quality": Purpose.QUALITY,
    "statistics": Purpose.STATISTICS,
    "research": Purpose.RESEARCH,
}
_SCOPES = {"unit": Scope.UNIT, "provider": Scope.PROVIDER, "cross": Scope.CROSS_PROVIDER}


@dataclass(frozen=True)
class Target:
    """What a question names: a person and an examination, there or not."""

    patient_key: int
    patient_id: str
    fhir_id: str
    study_uid: str
    series_uid: str
    sop_uid: str
    reference: str
    token: str
    """Number of its tokens, as they stand in texts."""

    @property
    def measured_uid(self) -> str:
        """SOP Instance UID of its measurement report."""
        return f"{self.sop_uid}.7"


@dataclass(frozen=True)
class Planted:
    """A state in the store. `twin`: the same registers on a person about whom nothing exists, and absent UIDs."""

    number: int
    state: State
    there: Target
    twin: Target


class Instance:
    """The server with a loop of its own in a thread."""

    def __init__(self, folder: Path, sink_port: int = 0, changes: dict[str, Any] | None = None) -> None:
        """`changes`: other sections of the settings; "certificates": those of Linden's and Nord's systems; "notify":
        where systems with a token may be notified, by their names; "backend": a provider's servers by its HSA-id;
        "providers": what else is set for a provider."""
        made = scratch.make(folder, shared_server().url if ON_POSTGRESQL else "")
        values = made.settings.model_dump()
        given = dict(changes or {})
        for provider, certificates in given.pop("certificates", {}).items():
            next(each for each in values["provider"] if each["hsa_id"] == provider)["certificate"] = (
                certificates
            )
        for hsa_id, more in given.pop("providers", {}).items():
            next(each for each in values["provider"] if each["hsa_id"] == hsa_id).update(more)
        for provider in values["provider"]:
            for token in provider["token"]:
                token["notify"] = given.get("notify", {}).get(token["name"], ())
        given.pop("notify", None)
        for provider, backends in given.pop("backend", {}).items():
            next(each for each in values["provider"] if each["hsa_id"] == provider)["backend"] = backends
        values |= given
        for provider in values["provider"]:
            for peer in provider["dicom_peer"]:
                if sink_port and peer["ae_title"] == "SINK":
                    peer["port"] = sink_port
            if sink_port and provider["hsa_id"] == "SE9990000002-0001":
                provider["dicom_peer"] += ({"ae_title": "KLARASINK", "host": "127.0.0.1", "port": sink_port},)
        self.tokens = made.system_tokens
        self.clock = SystemClock()
        settings = Settings.model_validate(values | {"index": {}})
        settings = settings.model_copy(update={"index": made.settings.index})
        self.server = Server(settings, self.clock)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="instance", daemon=True)
        self._secrets: dict[tuple[str, int], str] = {}

    def start(self) -> None:
        self._thread.start()
        self.run(self.server.start())

    def stop(self) -> None:
        self.run(self.server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs something on the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    # -- planting

    def plant(self, states: tuple[State, ...]) -> list[Planted]:
        """Every state as a person of its own, with a twin who has nothing."""
        self.commit(lambda transaction: _person(transaction, "ZQ999Z", protected=False))
        self.commit(lambda transaction: _person(transaction, "ZQ998Z", protected=False))
        persons = self.commit(
            lambda transaction: [
                _persons(transaction, number, state) for number, state in enumerate(states, 1)
            ]
        )
        planted = [
            Planted(
                number,
                state,
                self._target(key, f"ZQ{number:03d}A", f"2.25.4711{number:03d}", number),
                self._target(twin, f"ZQ{number:03d}B", f"2.25.4899{number:03d}", number + 500),
            )
            for number, (state, (key, twin, _)) in enumerate(zip(states, persons, strict=True), 1)
        ]
        self.run(self._images(planted))

        def texts(transaction: Transaction) -> None:
            for each, (_, _, holder) in zip(planted, persons, strict=True):
                for target in (each.there, each.twin):
                    born = _born(each.state, self.clock.now())
                    transaction.update("patient", {"patient_key": target.patient_key}, birth_date=born)
                if not each.state.is_held:
                    _texts(transaction, holder, each.state, each.there, each.number)

        self.commit(texts)
        self.run(until(self._has_read_documents))
        self.server._gatekeeper.forget_views()
        return planted

    def _has_read_documents(self) -> bool:
        """Patients are given documents that have been read."""
        sql = "SELECT 1 FROM job WHERE kind = ? LIMIT 1"
        return self.server._store.peek(
            lambda connection: connection.execute(sql, (REPORT_DOCUMENT,)).fetchone() is None
        )

    def _target(self, key: int, patient_id: str, stem: str, number: int) -> Target:
        return Target(
            key,
            patient_id,
            self.server._lookup.handle(key),
            f"{stem}1",
            f"{stem}2",
            f"{stem}3",
            f"{ISSUER}.KANACC{number:03d}",
            f"{number:03d}",
        )

    async def _images(self, planted: list[Planted]) -> None:
        """One image and one measurement report each; held ones come from a sender without a known issuer."""

        async def one(each: Planted) -> None:
            state = each.state
            sender = Sender(
                "SCANNER", state.owner.provider, state.owner.unit, "" if state.is_held else ISSUER, ISSUER
            )
            arrival = Arrival(sender, EXPLICIT, "matrix", CT, each.there.sop_uid, each.there.study_uid)
            receipt, _ = await self.server._intake.receive(arrival, image_bytes(each))
            assert receipt.outcome == ("held" if state.is_held else "stored")
            measures = Arrival(
                sender, EXPLICIT, "matrix", COMPREHENSIVE, each.there.measured_uid, each.there.study_uid
            )
            receipt, _ = await self.server._intake.receive(measures, measurement_bytes(each))
            assert receipt.outcome == ("held" if state.is_held else "stored")
            if state.is_rejected:
                uid = f"{each.there.sop_uid}.9"
                note = Arrival(sender, EXPLICIT, "matrix", KEY_OBJECTS, uid, each.there.study_uid)
                receipt, _ = await self.server._intake.receive(note, _rejection_note(each, uid))
                assert receipt.outcome == "stored"

        await asyncio.gather(*(one(each) for each in planted))

    def commit(self, decide: Any) -> Any:
        """One record of the store."""
        return self.run(self.server._store.commit(decide)).value

    # -- readers

    def subject(self, reader: Reader, planted: Planted | None = None) -> Subject:
        """The reader as Samsyn knows him."""
        if reader.kind == "patient":
            assert planted is not None
            key = planted.there.patient_key if reader.is_himself else 2 if reader.is_guardian else 1
            return Subject(SubjectKind.PATIENT, f"patient-{key}", "Ett Namn", None, "", frozenset(), key)
        return Subject(
            SubjectKind.STAFF,
            reader.employee,
            "Karin Ståhlberg",
            _assignment(reader, self.clock.now()),
            f"matrix-{abs(hash(reader))}",
            reader.duties,
        )

    def token(self, reader: Reader, planted: Planted) -> str:
        """A bearer token of the reader, "" for nobody."""
        if reader.kind == "nobody":
            return ""
        if reader.kind in ("system", "consumer"):
            return self.tokens[reader.name]
        key = (reader.name, planted.number if reader.is_himself else 0)
        if key not in self._secrets:
            self._secrets[key] = self.server._tokens.issue(self.subject(reader, planted))
        return self._secrets[key]

    def session(self, reader: Reader, planted: Planted) -> tuple[str, str, str]:
        """(cookie secret, session id, form token) of a browser session."""
        secret, session = self.server._sessions.open(self.subject(reader, planted))
        return secret, session.subject.session_id, session.csrf

    def choose(self, reader: Reader, session_id: str, persons: list[Planted]) -> None:
        """Takes the reader's active choices for all these persons and their twins."""
        choices = Choices(
            units_shown=bool(reader.units),
            units=frozenset({"SE9990000001-1001", "SE9990000001-1003"} if reader.units == "read" else ()),
            blocked_units_shown=reader.blocked_units_named,
            providers_shown=bool(reader.providers),
            providers=frozenset(
                {"SE9990000001-0001", "SE9990000002-0001"} if reader.providers == "read" else ()
            ),
            relevant=reader.need_attested,
            blocked_providers_shown=reader.blockers_named,
        )
        lookup, kept = self.server._lookup, self.server._gatekeeper.choices
        for planted in persons:
            for target in (planted.there, planted.twin):
                kept.record(session_id, self.run(lookup.linked(target.patient_key)), choices)


def _assignment(reader: Reader, now: Any) -> Assignment | None:
    if reader.place is None:
        return None
    rights = (Right("Läsa", "UND", _SCOPES[reader.scope].value),) if reader.scope else ()
    return Assignment(
        f"{reader.place.unit}-5009",
        "Uppdrag",
        _PURPOSES[reader.purpose],
        reader.place.provider,
        "Läsande vårdgivaren",
        reader.place.unit,
        "Läsande enheten",
        rights,
        now - timedelta(hours=1) if reader.is_expired else None,
    )


def _person(transaction: Transaction, identifier: str, protected: bool) -> int:
    told = Demographics("Provsson^Provan", "19500101", "F", protected)
    return registry.find_or_make(
        transaction, PatientIdentifier(ISSUER, identifier), told, DemographicsOrigin.ADT
    )


def _persons(transaction: Transaction, number: int, state: State) -> tuple[int, int, int]:
    """(person, twin, holder of the documents), with their registers."""
    keys = []
    holder = 0
    for letter, old_letter in (("A", "M"), ("B", "N")):
        key = _person(transaction, f"ZQ{number:03d}{letter}", state.is_protected)
        filed_under = key
        if state.is_merged:
            filed_under = _person(transaction, f"ZQ{number:03d}{old_letter}", protected=False)
            links.merge(transaction, key, filed_under, links.Word())
        _registers(transaction, key, state)
        keys.append(key)
        holder = holder or filed_under
    return keys[0], keys[1], holder


def image_bytes(planted: Planted, sop_uid: str = "", side: int = 16, frames: int = 1) -> bytes:
    """A data set full of the state's tokens, pixels too."""
    number, target, state = planted.number, planted.there, planted.state
    image = Dataset()
    image.SpecificCharacterSet = "ISO_IR 192"
    image.SOPClassUID, image.SOPInstanceUID = CT, sop_uid or target.sop_uid
    image.StudyInstanceUID, image.SeriesInstanceUID = target.study_uid, target.series_uid
    image.PatientID = f"ZQ{number:03d}M" if state.is_merged else target.patient_id
    image.PatientName, image.PatientBirthDate, image.PatientSex = "Provsson^Provan", "19500101", "F"
    image.StudyDescription = image.SeriesDescription = f"KANIMG{number:03d}"
    image.ReferringPhysicianName = f"KANIMG{number:03d}^Remittent"
    image.InstitutionName = f"KANIMG{number:03d}"
    image.AccessionNumber, image.StudyID = f"KANACC{number:03d}", f"KANIMG{number:03d}"
    image.Modality, image.InstanceNumber, image.SeriesNumber = "CT", 1, 1
    if state.first_day:
        image.StudyDate, image.StudyTime = str(state.first_day), "101500"
    image.Rows = image.Columns = side
    if frames > 1:
        image.NumberOfFrames = frames
    image.BitsAllocated = image.BitsStored = 8
    image.HighBit, image.PixelRepresentation, image.SamplesPerPixel = 7, 0, 1
    image.PhotometricInterpretation = "MONOCHROME2"
    size = side * side * frames
    image.PixelData = (f"KANPIX{number:03d}".encode() * (size // 9 + 1))[:size]
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, image)
    return bytes(stream.getvalue())


def measurement_bytes(planted: Planted) -> bytes:
    """A measurement report (TID 1500) in the image's study; its one number is about the state's token."""
    number, target, state = planted.number, planted.there, planted.state
    sent = Dataset()
    sent.SpecificCharacterSet = "ISO_IR 192"
    sent.SOPClassUID, sent.SOPInstanceUID = COMPREHENSIVE, target.measured_uid
    sent.StudyInstanceUID, sent.SeriesInstanceUID = target.study_uid, f"{target.series_uid}.7"
    sent.PatientID = f"ZQ{number:03d}M" if state.is_merged else target.patient_id
    sent.PatientName, sent.PatientBirthDate, sent.PatientSex = "Provsson^Provan", "19500101", "F"
    sent.AccessionNumber = f"KANACC{number:03d}"
    sent.Modality, sent.InstanceNumber, sent.SeriesNumber = "SR", 1, 7
    if state.first_day:
        sent.StudyDate = sent.ContentDate = str(state.first_day)
        sent.StudyTime = sent.ContentTime = "101500"
    sent.ValueType, sent.CompletionFlag, sent.VerificationFlag = "CONTAINER", "COMPLETE", "VERIFIED"
    sent.ConceptNameCodeSequence = [_code("126000", "Imaging Measurement Report")]
    named = Dataset()
    named.RelationshipType, named.ValueType = "HAS OBS CONTEXT", "TEXT"
    named.ConceptNameCodeSequence = [_code("112039", "Tracking Identifier")]
    named.TextValue = f"KANIMG{number:03d}"
    value = Dataset()
    value.NumericValue, value.MeasurementUnitsCodeSequence = "7.5", [_code("mm", "mm", "UCUM")]
    measured = Dataset()
    measured.RelationshipType, measured.ValueType = "CONTAINS", "NUM"
    measured.ConceptNameCodeSequence = [_code("410668003", "Length", "SCT")]
    measured.MeasuredValueSequence, measured.ContentSequence = [value], [named]
    sent.ContentSequence = [measured]
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, sent)
    return bytes(stream.getvalue())


def _code(value: str, meaning: str, scheme: str = "DCM") -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _rejection_note(planted: Planted, uid: str) -> bytes:
    """A rejection note (IHE RAD IOCM) that names image and measurements: Rejected for Quality Reasons."""
    target = planted.there
    title = Dataset()
    title.CodeValue, title.CodingSchemeDesignator, title.CodeMeaning = "113001", "DCM", "Rejected"
    image = Dataset()
    image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = CT, target.sop_uid
    series = Dataset()
    series.SeriesInstanceUID, series.ReferencedSOPSequence = target.series_uid, [image]
    measured = Dataset()
    measured.ReferencedSOPClassUID, measured.ReferencedSOPInstanceUID = COMPREHENSIVE, target.measured_uid
    other = Dataset()
    other.SeriesInstanceUID, other.ReferencedSOPSequence = f"{target.series_uid}.7", [measured]
    study = Dataset()
    study.StudyInstanceUID, study.ReferencedSeriesSequence = target.study_uid, [series, other]
    note = Dataset()
    note.SpecificCharacterSet = "ISO_IR 192"
    note.SOPClassUID, note.SOPInstanceUID = KEY_OBJECTS, uid
    note.StudyInstanceUID, note.SeriesInstanceUID = target.study_uid, f"{target.series_uid}.9"
    note.PatientID, note.PatientName = target.patient_id, "Provsson^Provan"
    note.PatientBirthDate, note.PatientSex = "19500101", "F"
    note.Modality, note.InstanceNumber, note.SeriesNumber = "KO", 1, 9
    note.ValueType, note.ConceptNameCodeSequence = "CONTAINER", [title]
    note.CurrentRequestedProcedureEvidenceSequence = [study]
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, note)
    return bytes(stream.getvalue())


_BIRTHDAYS = {
    "twelve": (13, True),
    "thirteen": (13, False),
    "fifteen": (16, True),
    "sixteen": (16, False),
    "seventeen": (18, True),
    "eighteen": (18, False),
}
"""The birthday that each age is near, and whether it is tomorrow."""


def _born(state: State, now: datetime) -> str:
    """YYYYMMDD in Sweden; whose age is of no account keeps the day that his images tell."""
    if not state.guardian and not state.age:
        return "19500101"
    if not state.age:
        return ""
    today = now.astimezone(STOCKHOLM).date()
    years, is_tomorrow = _BIRTHDAYS[state.age]
    day = today + timedelta(days=1) if is_tomorrow else today
    return f"{day.year - years:04d}{day.month:02d}{day.day:02d}"


def _guardianship(transaction: Transaction, key: int, state: State) -> None:
    now = datetime.fromisoformat(transaction.time)
    starts, ends, ended = now - timedelta(days=2), now + timedelta(days=2), None
    if state.guardian == "later":
        starts = now + timedelta(days=1)
    if state.guardian == "over":
        ends = now - timedelta(days=1)
    if state.guardian == "taken back":
        ended = (now - timedelta(days=1)).isoformat()
    transaction.insert(
        "guardianship",
        guardianship_id=f"g{key}",
        child_key=key,
        guardian_key=2,
        starts=starts.isoformat(),
        ends=ends.isoformat(),
        source="file",
        ended=ended,
    )


def _registers(transaction: Transaction, key: int, state: State) -> None:
    """The state's registers as rows about one person."""
    now = datetime.fromisoformat(transaction.time)

    def at(hours: float | None) -> str | None:
        return (now + timedelta(hours=hours)).isoformat() if hours is not None else None

    if state.guardian:
        _guardianship(transaction, key, state)
    for place, relation in enumerate(state.relations):
        transaction.insert(
            "care_relation",
            relation_id=f"r{key}-{place}",
            patient_key=key,
            provider=relation.place.provider,
            unit=relation.place.unit,
            employee=relation.employee,
            starts=at(relation.starts),
            ends=at(relation.ends),
            source="attested",
        )
    for place, ground in enumerate(state.grounds):
        transaction.insert(
            "consent",
            consent_id=f"c{key}-{place}",
            patient_key=key,
            ground=ground.kind,
            provider=ground.place.provider,
            unit=ground.place.unit,
            employee=ground.employee,
            starts=at(ground.starts),
            ends=at(ground.ends),
            channel="visit",
            ended=at(ground.ended),
        )
    for block in state.blocks:
        transaction.insert(
            "block",
            block_id=f"{block.name}-{key}",
            patient_key=key,
            kind=block.kind,
            provider=block.provider,
            unit=block.unit,
            first_day=block.first,
            last_day=block.last,
            ended=at(block.ended),
        )
    for place, lift in enumerate(state.lifts):
        transaction.insert(
            "lift",
            lift_id=f"l{key}-{place}",
            block_id=f"{lift.block}-{key}",
            patient_key=key,
            unit=lift.unit,
            employee=lift.employee,
            starts=at(lift.starts),
            ends=at(lift.ends),
            reason="consent",
            ended=at(lift.ended),
        )


def _texts(transaction: Transaction, key: int, state: State, target: Target, number: int) -> None:
    """Referral and report of the same examination, by the same owner."""
    day = state.last_day
    result = f"{str(day)[:4]}-{str(day)[4:6]}-{str(day)[6:]}T12:00:00+00:00" if day else None
    common = {
        "patient_key": key,
        "provider": state.owner.provider,
        "unit": state.owner.unit,
        "begins": state.first_day,
        "ends": state.last_day,
        "accession_issuer": ISSUER,
        "accession": f"KANACC{number:03d}",
        "message_key": 0,
    }
    transaction.insert(
        "referral",
        referral_key=transaction.next_key("referral"),
        placer_id=f"KANREF{number:03d}",
        status="reported",
        priority="",
        ordered=result,
        procedure_code="",
        procedure_text=f"KANREF{number:03d} undersökning",
        question=f"KANREF{number:03d} frågeställning",
        history=f"KANREF{number:03d} anamnes",
        referrer=f"KANREF{number:03d}",
        performer_provider="",
        performer_unit="",
        changed=transaction.time,
        **common,
    )
    for status in ("final", "annulled") if state.report == "annulled" else (state.report,):
        transaction.insert(
            "report",
            report_key=transaction.next_key("report"),
            filler_id=f"KANREP{number:03d}",
            study_uid=target.study_uid,
            status=status,
            result_time=result,
            author=f"KANREP{number:03d}",
            signer="",
            procedure_text=f"KANREP{number:03d}",
            text=f"KANREP{number:03d} utlåtande {status}",
            fragment=0,
            reason="",
            received=transaction.time,
            **common,
        )


@contextmanager
def running(folder: Path, sink_port: int = 0, changes: dict[str, Any] | None = None) -> Iterator[Instance]:
    """An instance that is stopped cleanly."""
    instance = Instance(folder, sink_port, changes)
    instance.start()
    try:
        yield instance
    finally:
        instance.stop()
