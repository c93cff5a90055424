"""`Filing`: the one way in for HL7 messages of known sources.

A message is parsed, interpreted by its source's profile and filed in one durable record together with its
bytes. Only after that is there an answer that accepts. What can not be filed without guessing is held for a
steward, byte for byte, and refused with a reason, so nothing is lost and nothing is under the wrong person.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial

from samsyn import limits
from samsyn.audit import journal as audit
from samsyn.clock import Clock, Today
from samsyn.errors import BadInput, Conflict, IdentityConflict, SamsynError, UnknownIssuer
from samsyn.hl7v2.acknowledgement import ACCEPTED, Code, Verdict, verdict_on
from samsyn.hl7v2.alike import AlikeReports
from samsyn.hl7v2.header import Header, peek
from samsyn.hl7v2.interpret import read_message
from samsyn.hl7v2.meaning import Interpretation, SentIdentifier
from samsyn.hl7v2.profile import Profile
from samsyn.model.organisation import CareProvider, Owner
from samsyn.model.patient import PatientIdentifier
from samsyn.model.sender import Receipt, Sender
from samsyn.model.value import value
from samsyn.reports import people
from samsyn.reports.apply import Resolved, apply, claims_of
from samsyn.reports.entries import entry_of, held_entry
from samsyn.reports.forms.fhir import read_reports
from samsyn.reports.profiles import load_profile
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction

_SMALL_BYTES = 256 * limits.KIB
"""Messages below are read on the event loop (under a millisecond); larger ones in a thread."""


@value
class Filed:
    """What became of a message, durable when a receipt is there."""

    receipt: Receipt
    verdict: Verdict
    """Accepting only when the receipt's outcome is "stored" or "already-stored"."""
    when: datetime
    """When it was first decided: a repetition is answered with the same bytes."""


class Filing:
    """Files messages. One per server. `providers` tell which unit codes are known HSA-ids."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        providers: Iterable[CareProvider] = (),
    ) -> None:
        self._store = store
        self._clock = clock
        self._units = {
            unit.hsa_id: Owner(provider.hsa_id, unit.hsa_id)
            for provider in providers
            for unit in provider.units
        }
        self._profiles: dict[str, Profile] = {}
        self._readers: dict[tuple[str, Sender], AlikeReports] = {}
        """Of each source, for the event loop alone."""
        self._under_way = 0
        self._today = Today(clock)
        self.stored = 0
        self.repeated = 0
        self.held = 0
        """Counts since start, for metrics."""

    def profile(self, name: str) -> Profile:
        """The named profile; read once. ConfigurationError when there is none: call it for every source at start."""
        if name not in self._profiles:
            self._profiles[name] = load_profile(name).knowing_units(self._units)
        return self._profiles[name]

    async def file_message(
        self,
        sender: Sender,
        profile: str,
        raw: bytes,
        session_id: str = "",
        header: Header | None = None,
        arrived: datetime | None = None,
    ) -> Filed:
        """Takes one message of a known source and returns when its fate is durable. `header` = `peek(raw)`, for who
        has it already. `arrived`: when it came, for one that has waited; None = now.

        Outcome "stored": every event of it is filed, or "already-stored": the same bytes under the same control
        id came before, nothing is done twice. "held": the bytes are kept aside with the reason (BadInput,
        UnknownIssuer, IdentityConflict, Conflict); nothing is filed. Sent again after the cause is mended, a held
        message is filed and its case settled. Raises NotSupported and LimitExceeded (nothing kept),
        OutOfResources and StoreFailed (nothing kept, a retry helps).
        """
        header = header or peek(raw)
        self._under_way += 1
        try:
            return await self._take(
                sender,
                header,
                raw,
                session_id,
                partial(self._read, sender, profile, raw, arrived or self._clock.now()),
                in_thread=len(raw) >= _SMALL_BYTES,
            )
        finally:
            self._under_way -= 1

    async def file_resource(self, sender: Sender, raw: bytes, session_id: str = "") -> Filed:
        """Takes a FHIR DiagnosticReport, or a transaction Bundle of them as a whole; outcomes as `file_message`."""
        header = Header(code="FHIR", trigger="DiagnosticReport", control_id=message_digest(raw))

        read = partial(read_reports, raw, sender, self._units, self._clock.now())
        return await self._take(sender, header, raw, session_id, read, in_thread=True)

    async def _take(
        self,
        sender: Sender,
        header: Header,
        raw: bytes,
        session_id: str,
        read: Callable[[], Interpretation],
        *,
        in_thread: bool,
    ) -> Filed:
        source = source_name(sender, header)
        try:
            interpretation = await asyncio.to_thread(read) if in_thread else read()
            resolved = self._resolve(sender, interpretation)
            return await self._file(sender, source, header, raw, session_id, resolved, interpretation.notes)
        except (BadInput, UnknownIssuer, IdentityConflict, Conflict) as refusal:
            return await self._hold(sender, source, header, raw, session_id, refusal)

    def _read(self, sender: Sender, profile: str, raw: bytes, arrived: datetime) -> Interpretation:
        if len(raw) >= _SMALL_BYTES:  # in a thread
            return read_message(raw, self.profile(profile), sender, arrived)
        reader = self._readers.get((profile, sender))
        if reader is None:
            reader = self._readers[profile, sender] = AlikeReports(self.profile(profile), sender)
        return reader.read(raw, arrived)

    def _resolve(self, sender: Sender, interpretation: Interpretation) -> list[Resolved]:
        today = self._today.date()

        def one(identifiers: tuple[SentIdentifier, ...]) -> PatientIdentifier:
            return people.resolve(identifiers, sender, today)

        found = []
        for event in interpretation.events:
            claim, others = claims_of(event)
            person = one(claim.identifiers)
            named = tuple(dict.fromkeys(one(identifiers) for identifiers in others))
            if person in named:
                raise BadInput("MRG-1: names the same person as PID-3")
            found.append(Resolved(event, person, named))
        return found

    async def _file(
        self,
        sender: Sender,
        source: str,
        header: Header,
        raw: bytes,
        session_id: str,
        resolved: list[Resolved],
        notes: tuple[str, ...],
    ) -> Filed:
        verdict = Verdict(Code.ACCEPT, "Not understood: " + "; ".join(notes)) if notes else ACCEPTED

        def decide(transaction: Transaction) -> tuple[Verdict, str]:
            digest = transaction.body_sha256
            waiting = {"sop_uid": _held_name(source), "sha256": digest}
            known, is_held = _before(transaction, source, header.control_id, waiting)
            if known is not None:
                if known[0] != digest:
                    raise Conflict("MSH-10: this control id was used for another message; each needs its own")
                transaction.outcome = "already-stored"
                return Verdict(Code.ACCEPT, known[2]), known[1]
            key = transaction.next_key("message")
            for each in resolved:
                for patient_key in apply(transaction, each, sender, key):
                    audit.append(transaction, entry_of(sender, source, session_id, each.event, patient_key))
            transaction.insert_with_body(
                "message",
                message_key=key,
                source=source,
                control_id=header.control_id,
                kind=header.kind,
                digest=digest,
                received=transaction.time,
                sha256=digest,
                outcome=verdict.code.value,
                answer=verdict.sentence,
            )
            if is_held:
                transaction.update("held", waiting, settled=transaction.time)
            return verdict, transaction.time

        committed = None
        if session_id and self._under_way == 1 and self._store.goes_at_once(session_id, len(raw)):
            committed = self._store.commit_at_once(decide, raw)
        if committed is None:
            committed = await self._store.commit(decide, raw, sender=session_id)
        if committed.receipt.outcome == "stored":
            self.stored += 1
        else:
            self.repeated += 1
        answer, time = committed.value
        return Filed(committed.receipt, answer, datetime.fromisoformat(time))

    async def _hold(
        self,
        sender: Sender,
        source: str,
        header: Header,
        raw: bytes,
        session_id: str,
        refusal: SamsynError,
    ) -> Filed:
        """Keeps the bytes aside once, however often they come."""
        verdict = verdict_on(refusal)

        def decide(transaction: Transaction) -> str:
            transaction.outcome, transaction.reason = "held", refusal.code
            name = _held_name(source)
            same = transaction.one(
                "SELECT received, settled FROM held WHERE sop_uid = ? AND sha256 = ?",
                name,
                transaction.body_sha256,
            )
            if same is not None:
                return str(same[0])
            transaction.insert_with_body(
                "held",
                held_key=transaction.next_key("held"),
                kind="message",
                reason=refusal.code,
                sop_uid=name,
                study_uid="",
                transfer_syntax=header.kind,
                sender=source,
                provider=sender.provider,
                detail=verdict.sentence,
                received=transaction.time,
                sha256=transaction.body_sha256,
                settled="",
            )
            audit.append(transaction, held_entry(sender, source, session_id, refusal.code))
            return transaction.time

        committed = await self._store.commit(decide, raw)
        self.held += 1
        return Filed(committed.receipt, verdict, datetime.fromisoformat(committed.value))


def _before(
    transaction: Transaction, source: str, control_id: str, waiting: dict[str, str]
) -> tuple[tuple[str, str, str] | None, bool]:
    """(digest, received, answer) of the message that had this control id, None when none had; and whether these very
    bytes are held."""
    known, is_held = None, False
    for digest, received, answer in transaction.all(
        "SELECT digest, received, answer FROM message WHERE source = ? AND control_id = ?"
        " UNION ALL SELECT NULL, NULL, NULL FROM held WHERE sop_uid = ? AND sha256 = ?",
        source,
        control_id,
        *waiting.values(),
        of=(("message", control_id),),
    ):
        if digest is None:
            is_held = True
        else:
            known = (digest, received, answer)
    return known, is_held


def source_name(sender: Sender, header: Header) -> str:
    """Names the system whose control ids are one series: provider, MSH-3 and MSH-4."""
    return f"{sender.provider}/{sender.name}/{header.sending_facility}"


def message_digest(raw: bytes) -> str:
    """The hex SHA-256 under which a message's bytes are known."""
    return hashlib.sha256(raw).hexdigest()


def _held_name(source: str) -> str:
    return f"message:{source}"
