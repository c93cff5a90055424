"""The access registers: who cares for whom, on what ground, what is blocked and what is lifted.

Every write is one durable record together with its audit entry. Rows are ended, never removed. `version`
grows with every write, so that a View made before is not used after.
"""

import uuid
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from samsyn import limits
from samsyn.access import duties
from samsyn.access.events import Event, entry
from samsyn.access.facts import Choices, Facts, Policy
from samsyn.access.grounds import TWO_STEP
from samsyn.access.masters import NO_MASTERS, Masters, national_number, put_grant
from samsyn.audit import journal as audit
from samsyn.clock import STOCKHOLM, Clock
from samsyn.errors import BadInput, NotFound, NotSupported, OutOfResources
from samsyn.model.audit import AuditEntry
from samsyn.model.national import NationalGrant, Register
from samsyn.model.patient import PatientIdentifier
from samsyn.model.registers import Block, BlockKind, CareRelation, Consent, Ground, Lift, LiftRequest
from samsyn.model.subject import Purpose, Subject, SubjectKind
from samsyn.store.index import grant_rows, guardian_rows, patient_rows, register_rows
from samsyn.store.index.register_rows import Ask
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction

T = TypeVar("T")


def end_of_day(now: datetime) -> datetime:
    """Midnight in Sweden after `now`, in UTC: when consent, relation and lift end unless a longer time is chosen."""
    day = now.astimezone(STOCKHOLM).date() + timedelta(days=1)
    return datetime(day.year, day.month, day.day, tzinfo=STOCKHOLM).astimezone(now.tzinfo)


def read_facts(
    ask: Ask,
    subject: Subject,
    purpose: Purpose,
    patient_keys: frozenset[int],
    now: datetime,
    choices: Choices,
    policy: Policy,
    blocks_known: bool,
    masters: Masters = NO_MASTERS,
    with_age: bool = False,
) -> Facts:
    """The rows about one person (all keys of a closure) that count now or later, as the rules want them.

    `masters`: rows of registers elsewhere count beside the own ones as long as their copies are young enough.
    `with_age`: the birth is told although nothing that is registered asks for it.
    """
    text = now.isoformat()
    consents = consents_of(ask, masters, patient_keys, text)
    age_decides = (
        with_age
        or subject.kind is SubjectKind.PATIENT
        or any(each.ground is Ground.CHILD for each in consents)
    )
    if subject.kind is SubjectKind.PATIENT and subject.patient_key is not None:
        own_keys = patient_rows.closure(ask, subject.patient_key)
        children = guardian_rows.children_of(ask, own_keys, text)
        subject = replace(subject, guardian_of=frozenset(each.child_key for each in children))
    provider = subject.assignment.provider_hsa_id if subject.assignment else ""
    relations = register_rows.relations_of(ask, patient_keys, text)
    if masters.counts(Register.RELATION, provider):
        relations += grant_rows.relations_of(ask, patient_keys, text)
    return Facts(
        subject,
        purpose,
        patient_keys,
        now,
        relations,
        consents,
        register_rows.blocks_of(ask, patient_keys, text),
        register_rows.lifts_of(ask, patient_keys, text),
        choices,
        policy,
        blocks_known,
        _births(ask, subject, patient_keys) if age_decides else frozenset(),
    )


def consents_of(ask: Ask, masters: Masters, patient_keys: frozenset[int], now: str) -> tuple[Consent, ...]:
    """Grounds of the own register and of the national one, where that can be trusted now."""
    own = register_rows.consents_of(ask, patient_keys, now)
    if not masters.is_connected(Register.CONSENT):
        return own
    copied = grant_rows.consents_of(ask, patient_keys, now)
    return own + tuple(each for each in copied if masters.counts(Register.CONSENT, each.provider))


def _births(ask: Ask, subject: Subject, patient_keys: frozenset[int]) -> frozenset[int]:
    """For a guardian a number is not enough: of a child of unknown birth he reads nothing."""
    if subject.kind is SubjectKind.PATIENT and subject.patient_key not in patient_keys:
        return patient_rows.births_of(ask, patient_keys)
    return patient_rows.own_births(ask, patient_keys)


class Registers:
    """Reads and writes the registers. NotAllowed and NotFound leave nothing but an unchanged register."""

    def __init__(self, store: Store, clock: Clock, policy: Policy) -> None:
        self._store = store
        self._clock = clock
        self.policy = policy
        """What the law leaves to the region."""
        self.version = 0
        """Grows with every write of this process."""
        self.masters: Masters = NO_MASTERS

    def connect(self, masters: Masters) -> None:
        """Goes by these registers elsewhere from now on."""
        self.masters = masters
        self.version += 1

    async def attest_relation(
        self, subject: Subject, patient_key: int, ends: datetime | None = None, wording: str = ""
    ) -> CareRelation:
        """The reader attests to take part in the patient's care (PDL 4:1); until the end of the day by default."""
        until = ends or end_of_day(self._clock.now())

        def decide(transaction: Transaction) -> CareRelation:
            facts = self.facts_in(transaction, subject, patient_key)
            own = duties.check_relation(facts, until)
            relation = CareRelation(
                new_id(),
                patient_key,
                own.provider_hsa_id,
                own.unit_hsa_id,
                subject.hsa_id,
                facts.now,
                until,
                "attested",
            )
            insert_row(transaction, "care_relation", relation)
            if self.masters.is_connected(Register.RELATION):
                grant = grant_of(transaction, relation, "relation")
                if grant is not None:
                    self.masters.tell(transaction, Register.RELATION, grant, subject, "", act="register")
            details = {"relation": relation.relation_id, "wording": wording}
            audit.append(transaction, entry(subject, Event.ATTEST_RELATION, patient_key, details=details))
            return relation

        return await self.change(decide)

    async def register_ground(
        self,
        subject: Subject,
        patient_key: int,
        ground: Ground,
        *,
        personal: bool,
        ends: datetime | None,
        channel: str = "visit",
        starts: datetime | None = None,
        wording: str = "",
    ) -> Consent:
        """Registers a ground for the reader's unit, or for the reader alone (`personal`).

        `ends` None = until withdrawn; an emergency gets its longest time instead.
        """
        now = self._clock.now()
        if ground is Ground.EMERGENCY and ends is None:
            ends = now + timedelta(hours=limits.EMERGENCY_HOURS)
        if ground is Ground.CONSENT and self.masters.is_connected(Register.CONSENT):
            return await self._register_at_master(
                subject,
                patient_key,
                personal=personal,
                starts=starts,
                ends=ends,
                channel=channel,
                wording=wording,
            )

        def decide(transaction: Transaction) -> Consent:
            facts = self.facts_in(transaction, subject, patient_key)
            begins = starts or facts.now
            own = duties.check_ground(facts, ground, personal, begins, ends, channel)
            consent = Consent(
                new_id(),
                patient_key,
                ground,
                own.provider_hsa_id,
                own.unit_hsa_id,
                subject.hsa_id if personal else "",
                begins,
                ends,
                channel,
            )
            insert_row(transaction, "consent", consent)
            if ground in TWO_STEP and self.masters.is_connected(Register.CONSENT):
                # Danger does not wait for a register elsewhere: it counts here, and the register is told.
                grant = grant_of(transaction, consent, Ground.EMERGENCY.value)
                if grant is not None:
                    reason = f"{ground.value}: {wording}"
                    self.masters.tell(transaction, Register.CONSENT, grant, subject, reason, act="register")
            event = Event.EMERGENCY_CONSENT if ground in TWO_STEP else Event.ATTEST_CONSENT
            details = {
                "consent": consent.consent_id,
                "ground": ground.value,
                "for": "person" if personal else "unit",
                "channel": channel,
                "until": utc_text(ends) if ends else "withdrawn",
                "wording": wording,
            }
            audit.append(transaction, entry(subject, event, patient_key, details=details))
            return consent

        return await self.change(decide)

    async def _register_at_master(
        self,
        subject: Subject,
        patient_key: int,
        *,
        personal: bool,
        starts: datetime | None,
        ends: datetime | None,
        channel: str,
        wording: str,
    ) -> Consent:
        """A consent whose register is elsewhere: that it was asked for is durable before the register is called, and
        it counts here when the register has taken it. OutOfResources, NotSupported: the register has not.
        """
        given = new_id()
        details = {
            "consent": given,
            "ground": Ground.CONSENT.value,
            "for": "person" if personal else "unit",
            "channel": channel,
            "until": utc_text(ends) if ends else "withdrawn",
            "wording": wording,
            "register": "national",
        }

        def decide(transaction: Transaction) -> tuple[Consent, NationalGrant]:
            facts = self.facts_in(transaction, subject, patient_key)
            begins = starts or facts.now
            own = duties.check_ground(facts, Ground.CONSENT, personal, begins, ends, channel)
            employee = subject.hsa_id if personal else ""
            provider, unit = own.provider_hsa_id, own.unit_hsa_id
            consent = Consent(
                given, patient_key, Ground.CONSENT, provider, unit, employee, begins, ends, channel
            )
            grant = grant_of(transaction, consent, Ground.CONSENT.value)
            if grant is None:
                raise NotSupported("the person has no number that the national register knows")
            audit.append(transaction, entry(subject, Event.ATTEST_CONSENT, patient_key, details=details))
            return consent, grant

        consent, grant = (await self._store.commit(decide)).value
        try:
            await self.masters.register(Register.CONSENT, grant, subject, f"{channel}: {wording}")
        except (OutOfResources, NotSupported) as problem:
            refused = details | {"outcome": problem.code}
            refusal = entry(subject, Event.ATTEST_CONSENT, patient_key, details=refused, allowed=False)
            await audit.write(self._store, refusal)
            raise
        await self.change(lambda transaction: put_grant(transaction, Register.CONSENT, grant))
        return consent

    async def end_ground(
        self, subject: Subject, consent_id: str, *, annulled: bool = False, wording: str = ""
    ) -> None:
        """Withdraws a consent, or annuls a wrong registration; twice is once. NotFound: not this unit's.

        It counts here from now on, whether or not a register elsewhere can be told at once.
        """

        def decide(transaction: Transaction) -> None:
            own = register_rows.consent(transaction.all, consent_id)
            consent = own or grant_rows.consent(transaction.all, consent_id)
            if consent is None:
                raise NotFound
            facts = self.facts_in(transaction, subject, consent.patient_key)
            duties.check_end_of_ground(facts, consent)
            if consent.ended is not None:
                return
            if own is not None:
                transaction.update("consent", {"consent_id": consent_id}, ended=transaction.time)
            else:
                there = {"register": Register.CONSENT.value, "grant_id": consent_id}
                transaction.update("national_grant", there, ended=transaction.time)
            if own is None or own.ground in TWO_STEP:
                self._tell_end(transaction, subject, consent, annulled)
            event = Event.ANNUL_CONSENT if annulled else Event.WITHDRAW_CONSENT
            details = {"consent": consent_id, "wording": wording}
            audit.append(transaction, entry(subject, event, consent.patient_key, details=details))

        await self.change(decide)

    def _tell_end(self, transaction: Transaction, subject: Subject, consent: Consent, annulled: bool) -> None:
        if not self.masters.is_connected(Register.CONSENT):
            return
        kind = Ground.CONSENT if consent.ground is Ground.CONSENT else Ground.EMERGENCY
        grant = grant_of(transaction, consent, kind.value)
        if grant is not None:
            act = "annul" if annulled else "cancel"
            self.masters.tell(transaction, Register.CONSENT, grant, subject, "", act=act)

    async def register_block(
        self,
        subject: Subject,
        patient_key: int,
        kind: BlockKind,
        provider: str,
        unit: str = "",
        *,
        first: int | None = None,
        last: int | None = None,
        wording: str = "",
    ) -> Block:
        """Blocks a unit's or a provider's information at once (PDL 4:4, SVOD 2:3). Days are YYYYMMDD."""

        def decide(transaction: Transaction) -> Block:
            facts = self.facts_in(transaction, subject, patient_key)
            duties.check_block(facts, kind, provider, unit, (first, last))
            block = Block(new_id(), patient_key, kind, provider, unit, first, last)
            transaction.insert(
                "block",
                block_id=block.block_id,
                patient_key=patient_key,
                kind=kind.value,
                provider=provider,
                unit=unit,
                first_day=first,
                last_day=last,
                ended=None,
            )
            details = {"block": block.block_id, "kind": kind.value, "wording": wording}
            audit.append(
                transaction,
                entry(
                    subject,
                    Event.REGISTER_BLOCK,
                    patient_key,
                    owner_provider=provider,
                    owner_unit=unit,
                    details=details,
                ),
            )
            return block

        return await self.change(decide)

    async def end_block(self, subject: Subject, block_id: str, wording: str = "") -> None:
        """Lifts a block for good; twice is once. Only the owner's block administrator (SVOD 2:3)."""

        def decide(transaction: Transaction) -> None:
            block = _existing_block(transaction, block_id)
            facts = self.facts_in(transaction, subject, block.patient_key)
            duties.check_end_of_block(facts, block)
            if block.ended is not None:
                return
            transaction.update("block", {"block_id": block_id}, ended=transaction.time)
            audit.append(transaction, about_block(subject, Event.END_BLOCK, block, {"wording": wording}))

        await self.change(decide)

    async def lift_block(
        self,
        subject: Subject,
        block_id: str,
        *,
        unit: str,
        employee: str = "",
        ends: datetime | None = None,
        reason: str,
        wording: str = "",
    ) -> Lift:
        """Lifts a block for a unit or one person there, at most limits.LIFT_DAYS; the end of the day by default.

        The owner's block administrator lifts any of his blocks; a reader only an inner block of the own
        provider, for the own unit (PDL 4:5).
        """
        until = ends or end_of_day(self._clock.now())

        def decide(transaction: Transaction) -> Lift:
            block = _existing_block(transaction, block_id)
            facts = self.facts_in(transaction, subject, block.patient_key)
            by_reader = duties.check_lift(facts, block, unit, employee, until, reason)
            if block.ended is not None:
                raise NotFound
            lift = Lift(new_id(), block_id, block.patient_key, unit, employee, facts.now, until, reason)
            insert_row(transaction, "lift", lift)
            event = Event.LIFT_BLOCK
            if by_reader:
                event = Event.EMERGENCY_PASS_BLOCKED if reason == "emergency" else Event.PASS_BLOCKED
            details = {"lift": lift.lift_id, "unit": unit, "until": utc_text(until), "wording": wording}
            audit.append(transaction, about_block(subject, event, block, details))
            return lift

        return await self.change(decide)

    async def end_lift(self, subject: Subject, lift_id: str) -> None:
        """Ends a lift before its time; twice is once. Whoever could have made it may end it."""

        def decide(transaction: Transaction) -> None:
            lift = register_rows.lift(transaction.all, lift_id)
            if lift is None:
                raise NotFound
            block = _existing_block(transaction, lift.block_id)
            facts = self.facts_in(transaction, subject, block.patient_key)
            until = facts.now + timedelta(minutes=1)
            duties.check_lift(facts, block, lift.unit, lift.employee, until, lift.reason)
            if lift.ended is not None:
                return
            transaction.update("lift", {"lift_id": lift_id}, ended=transaction.time)
            audit.append(transaction, about_block(subject, Event.END_LIFT, block, {"lift": lift_id}))

        await self.change(decide)

    async def blocks_at(self, subject: Subject) -> tuple[Block, ...]:
        """The blocks in force at the provider whose block administrator asks; NotAllowed for others."""
        now = self._clock.now()
        facts = Facts(subject, Purpose.CARE, frozenset(), now, policy=self.policy)
        provider = duties.administered_provider(facts)
        return await self._store.read(
            lambda connection: register_rows.blocks_at(
                register_rows.asking(connection), provider, now.isoformat()
            )
        )

    async def consents_for(self, subject: Subject, patient_key: int) -> tuple[Consent, ...]:
        """The grounds that the reader's unit (or the patient himself) can see and end, in force or to come."""
        now = self._clock.now()

        def question(ask: Ask) -> tuple[Consent, ...]:
            keys = patient_rows.closure(ask, patient_key)
            if subject.kind is SubjectKind.PATIENT:
                own_record = subject.patient_key in keys
                return consents_of(ask, self.masters, keys, now.isoformat()) if own_record else ()
            own = subject.assignment
            return tuple(
                consent
                for consent in consents_of(ask, self.masters, keys, now.isoformat())
                if own is not None
                and (consent.provider, consent.unit) == (own.provider_hsa_id, own.unit_hsa_id)
            )

        return await self._store.read(lambda connection: question(register_rows.asking(connection)))

    async def change(self, decide: Callable[[Transaction], T]) -> T:
        """Makes a change of the registers durable; every View made before is made anew after it."""
        committed = await self._store.commit(decide)
        self.version += 1
        return committed.value

    def facts_in(self, transaction: Transaction, subject: Subject, patient_key: int) -> Facts:
        """What counts for the subject and the person, as the registers stand in the record. NotFound: nobody there."""
        if transaction.one("SELECT 1 FROM patient WHERE patient_key = ?", patient_key) is None:
            raise NotFound
        keys = patient_rows.closure(transaction.all, patient_key)
        purpose = Purpose.OWN_RECORD if subject.kind is SubjectKind.PATIENT else Purpose.CARE
        now = datetime.fromisoformat(transaction.time)
        return read_facts(
            *(transaction.all, subject, purpose, keys, now, Choices(), self.policy, True, self.masters),
            with_age=True,
        )


def grant_of(transaction: Transaction, row: CareRelation | Consent, kind: str) -> NationalGrant | None:
    """The row as a national register takes it; None: the person has no number that one knows."""
    keys = patient_rows.closure(transaction.all, row.patient_key)
    marks = ",".join("?" * len(keys))
    # Only question marks are put into the statement; the values are bound.
    found = transaction.all(
        f"SELECT issuer, value FROM patient_identifier WHERE patient_key IN ({marks}) ORDER BY value",  # noqa: S608 - marks
        *sorted(keys),
    )
    number = national_number([PatientIdentifier(issuer, value) for issuer, value in found])
    if number is None:
        return None
    row_id = row.relation_id if isinstance(row, CareRelation) else row.consent_id
    return NationalGrant(
        row_id, number.issuer, number.value, kind, row.provider, row.unit, row.employee, row.starts, row.ends
    )


def _existing_block(transaction: Transaction, block_id: str) -> Block:
    block = register_rows.block(transaction.all, block_id)
    if block is None:
        raise NotFound
    return block


def insert_row(
    transaction: Transaction, table: str, row: CareRelation | Consent | Lift | LiftRequest
) -> None:
    """Writes a register row whose columns bear the names of its fields."""
    values = {field.name: getattr(row, field.name) for field in fields(row)}
    texts = {
        name: utc_text(value) if isinstance(value, datetime) else getattr(value, "value", value)
        for name, value in values.items()
    }
    transaction.insert(table, **texts)


def about_block(subject: Subject, event: Event, block: Block, details: dict[str, str]) -> AuditEntry:
    """The audit entry of an act on a block, which names the block's owner."""
    return entry(
        subject,
        event,
        block.patient_key,
        owner_provider=block.provider,
        owner_unit=block.unit,
        details={"block": block.block_id, **details},
    )


def new_id() -> str:
    """A name for a new row of a register."""
    return str(uuid.uuid4())


def utc_text(moment: datetime) -> str:
    """How times stand in the registers. BadInput: a time without zone."""
    if moment.tzinfo is None:
        raise BadInput("a time without zone")
    return moment.astimezone(UTC).isoformat()
