"""The View: the only key to reading, and the Gatekeeper, which alone makes one.

Every read in the house takes a View and puts its predicate into the query. A View is made from the registers as
they stand, is audited before it is handed out, and lives at most limits.VIEW_SECONDS.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import Final, TypeAlias

from samsyn import limits
from samsyn.access import duties
from samsyn.access.choices import ActiveChoices
from samsyn.access.compile import predicate_of, system_predicate
from samsyn.access.events import OPENINGS, PERSON_OPENED, Activity, Event, entry
from samsyn.access.facts import Choices, Policy
from samsyn.access.grounds import attested_facts, next_change
from samsyn.access.holdings import in_care_of, items_of, persons, untold_issuers
from samsyn.access.once import Once
from samsyn.access.refusals import Refusals
from samsyn.access.registers import Registers, read_facts
from samsyn.access.reveal import STEP_EVENTS, Step, step_taken
from samsyn.access.rules import (
    Indicators,
    Level,
    Names,
    Reason,
    Told,
    Verdict,
    indicators_of,
    judge,
    judged,
    may_be_told_who,
    names_of,
    told_of,
)
from samsyn.access.standing import Standing, standing
from samsyn.audit import journal as audit
from samsyn.clock import Clock
from samsyn.errors import LimitExceeded, NotFound
from samsyn.model.audit import AuditEntry
from samsyn.model.national import Register
from samsyn.model.patient import Patient
from samsyn.model.predicate import NO_ITEM, AnyOf, Item, Nothing, Predicate, holds
from samsyn.model.registers import Ground
from samsyn.model.subject import Purpose, Subject, SubjectKind
from samsyn.store.index import (
    identity_rows,
    instance_rows,
    patient_rows,
    register_rows,
    version_rows,
)
from samsyn.store.index.port import IndexConnection
from samsyn.store.index.register_rows import Ask
from samsyn.store.store import Store

DocumentsGiven: TypeAlias = Callable[[IndexConnection, Standing, datetime], frozenset[str]]
_MADE_BY_THE_GATEKEEPER: Final = object()
_SURELY_TRUE_S: Final = 1.0
"""So young a View is not looked at again: a series of small objects must not cost a look-up for each."""


@dataclass(frozen=True, slots=True)
class View:
    """What one reader may see now. Only a Gatekeeper makes one; there is no way to widen it.

    `patient_keys`: every key of the persons that the view is for; None = a system's view that names nobody.
    `indicators` and `names` tell what may be told about hidden information of the one person.
    """

    subject: Subject
    purpose: Purpose
    predicate: Predicate
    patient_keys: frozenset[int] | None
    indicators: Indicators
    names: Names
    choices: Choices
    grounds: frozenset[Ground]
    blocks_known: bool
    """False: the block register is out of reach, only the own unit's information is shown; say so."""
    unreachable: frozenset[Register]
    """Registers elsewhere that are out of reach: no consent or relation of theirs counts; say so."""
    rejected_of: str
    """HSA-id of the provider whose rejected instances are shown, "" = none: only its stewards see them."""
    documents_of: frozenset[str] | None
    """A patient's: UIDs of the only studies of which documents (SR, PDF, CDA) are shown; None = of all."""
    opened: datetime
    told: frozenset[Told]
    """What a page about the one person may tell as long as this View is true; see Gatekeeper.watching."""
    standings: tuple[Standing, ...] = field(repr=False)
    shows_something: bool
    """Whether anything of the one person is shown; not asked for patients themselves."""
    untold_issuers: frozenset[str] = field(repr=False)
    """Issuers of local patient numbers that would tell which provider has something, before that may be told."""
    asked: frozenset[int] | None = field(repr=False)
    """The keys that it was opened for."""
    renew: "Callable[[View], Awaitable[View]]" = field(repr=False, compare=False)
    """Gives the same View as the registers stand at that moment. Work that lasts calls it before every object, so
    that a block stops it within limits.VIEW_SECONDS."""
    made_by: object = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.made_by is not _MADE_BY_THE_GATEKEEPER:
            raise TypeError("only a Gatekeeper makes a View")

    def told_numbers(self, patient: Patient, sought: str = "") -> Patient:
        """The person with only the numbers that may be told: a provider's own local number says that the person
        has been there (SVOD 2:4). `sought` is what the reader knows already; somebody known by one number only was
        found by it."""
        told = tuple(
            each
            for each in patient.identifiers
            if each.issuer not in self.untold_issuers or (sought and each.value == sought)
        )
        return replace(patient, identifiers=told or patient.identifiers[:1])

    def shows(self, item: Item) -> bool:
        """Whether the item may be seen."""
        return holds(self.predicate, item)

    def withholds_documents(self, study_uid: str) -> bool:
        """Whether documents among the pictures of the study are not shown, as their report is not."""
        return self.documents_of is not None and study_uid not in self.documents_of

    def why(self, item: Item) -> Verdict:
        """The rule that decides on the item, for screens and the audit journal."""
        last = Verdict(Level.NOTHING, Reason.OTHER_PATIENT)
        for reader in self.standings:
            last = judge(reader, item)
            if last.reason is not Reason.OTHER_PATIENT:
                return last
        if self.patient_keys is None and self.shows(item):
            return Verdict(Level.CONTENT, Reason.OWN_SYSTEM)
        return last


@dataclass(frozen=True, slots=True)
class _Kept:
    view: View
    version: tuple[int, ...]
    until: float
    changes: datetime | None


@dataclass(frozen=True, slots=True)
class _Read:
    """What the store knew when a View was made."""

    persons: tuple[Standing, ...]
    items: tuple[Item, ...] = ()
    """What exists of the one person, as far as the rules tell it apart."""
    documents_of: frozenset[str] | None = None


class Gatekeeper:
    """Opens Views, takes the steps of the reveal and writes down what is opened."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        policy: Policy | None = None,
        blocks_known: Callable[[], bool] = lambda: True,
        local_issuers: Mapping[str, str] = MappingProxyType({}),
        choices: ActiveChoices | None = None,
        documents_given: DocumentsGiven = lambda *_: frozenset(),
    ) -> None:
        """`local_issuers`: provider HSA-id by the issuer of its own patient numbers. `documents_given`: the studies
        of which a patient may read documents, for the connection, what is read of him and the moment; none without
        it."""
        self._documents_given = documents_given
        self._local_issuers = MappingProxyType(dict(local_issuers))
        self._store = store
        self._clock = clock
        self._policy = policy or Policy()
        self._blocks_known = blocks_known
        self.choices = choices or ActiveChoices()
        self.registers = Registers(store, clock, self._policy)
        self._kept: OrderedDict[object, _Kept] = OrderedDict()
        self.refusals = Refusals(clock, self._write)
        self._watched: OrderedDict[object, _Kept] = OrderedDict()
        self._opened: OrderedDict[object, _Kept] = OrderedDict()
        """By the id of the View: sooner judged, for each object that is sent, than found by who reads what of whom."""
        self._once = Once(clock, limits.AUDIT_REPEAT_S, limits.MAX_KEPT_OPENINGS)

    async def open_view(
        self,
        subject: Subject,
        patient_keys: frozenset[int] | None = None,
        purpose: Purpose | None = None,
        *,
        with_rejected: bool = False,
    ) -> View:
        """The View for these persons (any key of each), or for a system without naming anybody.

        Always answers; whoever may see nothing gets a View that shows nothing. It is in the audit journal before
        it is returned, once per session, persons and quarter of an hour. Without `purpose` it is opened for care,
        or for a patient's own record. `with_rejected`: what rejection notes hide of the own provider's studies is
        shown too; NotAllowed for who is no steward. LimitExceeded: more than limits.MAX_VIEW_PERSONS keys. Errors of
        the store: no View, so nothing is read without being written down.
        """
        if patient_keys is not None and len(patient_keys) > limits.MAX_VIEW_PERSONS:
            raise LimitExceeded("MAX_VIEW_PERSONS")
        purpose = purpose or subject.usual_purpose
        if with_rejected:
            duties.check_sees_rejected(subject)
        key = (subject, purpose, patient_keys, *((with_rejected,) if with_rejected else ()))
        kept = self._kept.get(key)
        if kept is not None and self._still_true(kept):
            return kept.view
        version = self._version
        view = await self._make(subject, purpose, patient_keys, with_rejected)
        if view.patient_keys != frozenset():
            opened = (*subject.audited_as, purpose, view.patient_keys)
            await self._once.do(opened, partial(self._write_opened, view))
        self._keep(self._kept, key, view, version, limits.VIEW_SECONDS)
        self._keep(self._opened, id(view), view, version, limits.VIEW_SECONDS)
        return view

    def kept_view(self, subject: Subject, patient_keys: frozenset[int] | None) -> View | None:
        """What `open_view` would answer without asking or writing anything, so lately has it; None = ask it."""
        kept = self._kept.get((subject, subject.usual_purpose, patient_keys))
        return kept.view if kept is not None and self._still_true(kept) else None

    async def watching(self, subject: Subject, patient_keys: frozenset[int], purpose: Purpose) -> View:
        """The View by which an open page about the person is told what it may go on telling, and whether what it
        shows is still all. Nothing else may leave by it.

        Pages that are open ask this every other second, so it opens nothing and is not written down. A change of
        the registers or choices in this process shows at the next asking.
        """
        key = (subject, purpose, patient_keys)
        for kept in (self._kept.get(key), self._watched.get(key)):
            if kept is not None and self._still_true(kept):
                return kept.view
        version = self._version
        view = await self._make(subject, purpose, patient_keys, False)
        self._keep(self._watched, key, view, version, limits.VIEW_SECONDS / 2)
        return view

    async def safekeeping(self, subject: Subject) -> View:
        """By it a system hears whether what it sent is kept, rejected or not. Nothing else may leave by it. In the
        audit journal it is the View by which the system reads; errors as there."""
        await self.open_view(subject)
        return await self._make(subject, subject.usual_purpose, None, True)

    def _keep(
        self,
        kept: OrderedDict[object, _Kept],
        key: object,
        view: View,
        version: tuple[int, ...],
        seconds: float,
    ) -> None:
        changes = min(
            (change for reader in view.standings if (change := next_change(reader.facts)) is not None),
            default=None,
        )
        kept[key] = _Kept(view, version, self._clock.monotonic() + seconds, changes)
        kept.move_to_end(key)
        while len(kept) > limits.MAX_KEPT_VIEWS:
            kept.popitem(last=False)

    async def open_view_of_studies(
        self, subject: Subject, study_uids: Sequence[str], *, with_rejected: bool = False
    ) -> View:
        """The View for reading studies that are named without their persons, over those persons alone who have
        one of these that it shows.

        NotFound: none is shown. Hidden and absent cost the same work, and both leave a refusal in the audit
        journal, with the rule that decided, once per session, study and quarter of an hour. What reading a person's
        registers takes is lost in the step at which a first refusal is answered.
        """
        began, is_first = self._clock.monotonic(), False
        if with_rejected:
            # Before anything is looked up: what exists must not decide the answer.
            duties.check_sees_rejected(subject)
        shown: set[int] = set()
        for study_uid in study_uids[: limits.MAX_VIEW_PERSONS]:
            found = self._store.recall(instance_rows.study_facts, study_uid)
            item = found[1] if found else NO_ITEM
            view = await self._view_of_study(subject, study_uid, item)
            if view.shows(item):
                shown.add(item.patient_key)
            else:
                key = (*subject.audited_as, "refused", study_uid)
                is_first = is_first or not self._once.is_done(key)
                await self._once.do(key, partial(self._write_about, view, Event.REFUSED, study_uid, item))
        if not shown:
            if is_first:
                step = limits.REFUSAL_STEP_S
                await asyncio.sleep(step - (self._clock.monotonic() - began) % step)
            raise NotFound
        return await self.open_view(subject, frozenset(shown), with_rejected=with_rejected)

    async def _view_of_study(self, subject: Subject, study_uid: str, item: Item) -> View:
        """The View that decides on one study; kept by the study, so that an absent one costs no less than a hidden."""
        keys = frozenset({item.patient_key})
        for key in ((subject, Purpose.CARE, keys), (subject, Purpose.CARE, study_uid)):
            kept = self._kept.get(key)
            if kept is None or kept.view.asked != keys or not self._still_true(kept):
                continue
            if kept.view.shows(item) or key[2] == study_uid:
                return kept.view
        version = self._version
        view = await self._make(subject, Purpose.CARE, keys, False, tells_more=False)
        self._keep(self._kept, (subject, Purpose.CARE, study_uid), view, version, limits.VIEW_SECONDS)
        return view

    async def _renewed(self, view: View) -> View:
        kept = self._opened.get(id(view))
        is_true = kept is not None and self._still_true(kept)
        if is_true or (self._clock.now() - view.opened).total_seconds() < _SURELY_TRUE_S:
            return view
        subject, with_rejected = view.subject, bool(view.rejected_of)
        if with_rejected and not duties.sees_rejected(subject):
            return await self.safekeeping(subject)
        return await self.open_view(subject, view.asked, view.purpose, with_rejected=with_rejected)

    def forget_views(self) -> None:
        """Makes every View anew at its next opening: after merges and other changes outside the registers."""
        for views in (self._kept, self._watched, self._opened):
            views.clear()

    def forget_session(self, session_id: str) -> None:
        """Drops what a session had chosen and opened: log-out, change of assignment."""
        self.choices.forget(session_id)
        for views in (self._kept, self._watched, self._opened):
            for key in [key for key, kept in views.items() if kept.view.subject.session_id == session_id]:
                del views[key]

    async def reveal(
        self,
        subject: Subject,
        patient_key: int,
        step: Step,
        names: frozenset[str] = frozenset(),
        wording: str = "",
    ) -> View:
        """Takes one step of the staged reveal and answers with the View after it.

        `names`: HSA-ids of the units or providers chosen (or ALL) at steps UNITS and PROVIDERS. `wording`: the
        exact text that the reader saw. The step is in the audit journal before it works. NotAllowed: the step's
        ground or the step before it is missing.
        """
        view = await self.open_view(subject, frozenset({patient_key}))
        reader = view.standings[0]
        after = step_taken(reader, view.choices, step, names)
        if step is Step.RELEVANT:
            after = replace(after, attested=self._clock.now())
        event = STEP_EVENTS[step]
        in_danger = step is Step.RELEVANT and Ground.EMERGENCY in view.grounds
        details = {"step": step.value, "wording": wording}
        if names:
            details["chosen"] = " ".join(sorted(names))
        await self._write(
            entry(
                subject,
                event,
                patient_key,
                details=details,
                activity=Activity.EMERGENCY if in_danger else None,
            )
        )
        self.choices.record(subject.session_id, reader.facts.patient_keys, after)
        return await self.open_view(subject, frozenset({patient_key}))

    async def may_be_told_who(self, subject: Subject, patient_key: int) -> bool:
        """Whether the subject may learn this person's name, birth date and numbers; see the rule of that name."""
        view = await self.open_view(subject, frozenset({patient_key}))
        return may_be_told_who(view.standings[0], view.shows_something)

    async def as_told(self, subject: Subject, patient: Patient, sought: str = "") -> Patient | None:
        """The person as the subject may learn who he is, with the numbers that may be told; None = not at all."""
        view = await self.open_view(subject, frozenset({patient.key}))
        if not may_be_told_who(view.standings[0], view.shows_something):
            return None
        return view.told_numbers(patient, sought)

    async def record_opening(
        self, view: View, reference: str, kind: str, item: Item | None = None, receiver: str = ""
    ) -> None:
        """Writes down that a study, referral or report is opened; the door sends no byte before this returns.

        `reference` is the StudyInstanceUID, or the key of a text that comes with its `item`. `kind` is one of
        events.OPENINGS. The same kind of opening of the same thing in the same session is written once per
        limits.AUDIT_REPEAT_S and receiver. `receiver` names who gets what is sent or exported (PDL 3:11).
        NotFound: absent, or not shown by this View.
        """
        if self.is_recorded(view, reference, kind, receiver):
            return
        key = _opening(view, reference, kind, receiver)
        if item is None:
            found = self._store.recall(instance_rows.study_facts, reference)
            item = found[1] if found else None
        if item is None or not view.shows(item):
            raise NotFound
        await self._once.do(key, partial(self._write_about, view, OPENINGS[kind], reference, item, receiver))

    def is_recorded(self, view: View, reference: str, kind: str, receiver: str = "") -> bool:
        """Whether `record_opening` has written this down lately, so that it would do nothing."""
        return self._once.is_done(_opening(view, reference, kind, receiver))

    async def record_search(
        self, view: View, door: str, patient_keys: frozenset[int] | None = None, details: str = ""
    ) -> None:
        """Writes down that a list was asked for at a door; once per session, door, persons and quarter of an hour."""
        key = (*view.subject.audited_as, view.purpose, "search", door, patient_keys)
        if self._once.is_done(key):
            return
        people = sorted(patient_keys or {0})
        entries = [
            entry(
                view.subject,
                Event.SEARCH,
                person,
                purpose=view.purpose,
                details={"door": door, **({"query": details} if details else {})},
            )
            for person in people
        ]
        await self._once.do(key, partial(self._write, *entries))

    async def record(self, *entries: AuditEntry) -> None:
        """Makes other entries durable (log-in, refusal, export); `events.entry` builds them."""
        await self._write(*entries)

    async def _write(self, *entries: AuditEntry) -> None:
        await audit.write(self._store, *entries)

    def _still_true(self, kept: _Kept) -> bool:
        return (
            kept.version == self._version
            and self._clock.monotonic() < kept.until
            and (kept.changes is None or self._clock.now() < kept.changes)
            and kept.view.blocks_known == self._blocks_known()
            and kept.view.unreachable == self._unreachable(kept.view.subject)
        )

    def _unreachable(self, subject: Subject) -> frozenset[Register]:
        own = subject.assignment
        return self.registers.masters.unreachable(own.provider_hsa_id) if own else frozenset()

    @property
    def _version(self) -> tuple[int, ...]:
        return self.registers.version, self.choices.version, *self._store.recall(version_rows.views)

    async def _make(
        self,
        subject: Subject,
        purpose: Purpose,
        patient_keys: frozenset[int] | None,
        with_rejected: bool,
        *,
        tells_more: bool = True,
    ) -> View:
        """`tells_more`: whether the View also tells what exists beside what it shows; a decision alone does not ask."""
        now = self._clock.now()
        known, unreachable = self._blocks_known(), self._unreachable(subject)
        masters = self.registers.masters

        def standing_of(ask: Ask, keys: frozenset[int]) -> Standing:
            chosen = self.choices.of(subject.session_id, keys)
            facts = read_facts(ask, subject, purpose, keys, now, chosen, self._policy, known, masters)
            return standing(attested_facts(facts))

        def question(connection: IndexConnection) -> _Read:
            ask = register_rows.asking(connection)
            if patient_keys is None:
                return _Read(tuple(standing_of(ask, keys) for keys in in_care_of(ask, subject, now, masters)))
            found = tuple(standing_of(ask, keys) for keys in persons(ask, patient_keys))
            if subject.kind is SubjectKind.PATIENT:
                given = (self._documents_given(connection, reader, now) for reader in found)
                return _Read(found, documents_of=frozenset().union(*given))
            if not tells_more or len(found) != 1:
                return _Read(found)
            return _Read(found, items_of(connection, found[0]))

        read = await self._store.read(question)
        return _view(
            *(subject, purpose, patient_keys, read, known, unreachable, now, with_rejected),
            self._renewed,
            self._local_issuers,
        )

    async def _write_opened(self, view: View) -> None:
        event = PERSON_OPENED[view.subject.kind] if view.patient_keys is not None else Event.SYSTEM_VIEW
        # Every number of a merged person: should it prove to be two, the log of each tells who had both open.
        persons = sorted(view.patient_keys) if view.patient_keys else [0]
        allowed = not isinstance(view.predicate, Nothing)
        await self._write(
            *(
                entry(
                    view.subject,
                    event,
                    person,
                    purpose=view.purpose,
                    allowed=allowed,
                    details=self._mark(person) if view.patient_keys else None,
                )
                for person in persons
            )
        )

    def _mark(self, person: int) -> dict[str, str] | None:
        """Every look-up of somebody with protected identity is marked, so that all of them can be reviewed."""

        def question(connection: IndexConnection) -> bool:
            return identity_rows.is_protected(connection, patient_rows.closure_of(connection, person))

        return {"protected": "yes"} if self._store.peek(question) else None

    async def _write_about(
        self, view: View, event: Event, reference: str, item: Item, receiver: str = ""
    ) -> None:
        """What was opened or refused of one person, with the rule that decided."""
        verdict = view.why(item)
        details = {"of": reference, "rule": verdict.reason.value, "paragraph": verdict.paragraph}
        if receiver:
            details["to"] = receiver
        await self._write(
            entry(
                view.subject,
                event,
                item.patient_key,
                purpose=view.purpose,
                owner_provider=item.provider,
                owner_unit=item.unit,
                allowed=event is not Event.REFUSED,
                details=details,
                activity=Activity.EMERGENCY if verdict.reason is Reason.EMERGENCY else None,
            )
        )


def _opening(view: View, reference: str, kind: str, receiver: str) -> tuple[Hashable, ...]:
    return (*view.subject.audited_as, view.purpose, view.grounds, reference, kind, receiver)


def _view(
    subject: Subject,
    purpose: Purpose,
    patient_keys: frozenset[int] | None,
    read: _Read,
    blocks_known: bool,
    unreachable: frozenset[Register],
    now: datetime,
    with_rejected: bool,
    renew: Callable[[View], Awaitable[View]],
    local_issuers: Mapping[str, str],
) -> View:
    """The View that the facts give; the only place where one is made."""
    readers = read.persons
    one = readers[0] if patient_keys is not None and len(readers) == 1 else None
    if patient_keys is None:
        seen = system_predicate(subject, purpose, readers)
    else:
        parts = [predicate_of(reader) for reader in readers]
        seen = AnyOf(tuple(part for part in parts if not isinstance(part, Nothing)))
        seen = seen.parts[0] if len(seen.parts) == 1 else seen if seen.parts else Nothing()
    verdicts = judged(one, read.items) if one else []
    return View(
        subject=subject,
        purpose=purpose,
        predicate=seen,
        patient_keys=(
            None
            if patient_keys is None
            else frozenset(key for reader in readers for key in reader.facts.patient_keys)
        ),
        indicators=indicators_of(verdicts),
        names=names_of(verdicts),
        choices=one.facts.choices if one else Choices(),
        grounds=one.grounds if one else frozenset(),
        blocks_known=blocks_known,
        unreachable=unreachable,
        rejected_of=subject.assignment.provider_hsa_id if with_rejected and subject.assignment else "",
        documents_of=read.documents_of,
        opened=now,
        told=told_of(one, verdicts) if one else frozenset(),
        standings=readers,
        shows_something=any(verdict.visible for _, verdict in verdicts),
        untold_issuers=untold_issuers(subject, verdicts, local_issuers),
        asked=patient_keys,
        renew=renew,
        made_by=_MADE_BY_THE_GATEKEEPER,
    )
