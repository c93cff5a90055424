"""The staged reveal (SVOD 2:4-5 and 3 kap.; PDL 4:4-5): that more exists, then whose it is, then what it says.

Each step is an active choice, sent as a form, and the exact words that the reader saw go into the audit journal.
The rules are in the access room; here is only what the reader is told and asked.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from samsyn.access.grounds import TWO_STEP
from samsyn.access.lift_requests import is_waiting
from samsyn.access.reveal import Step
from samsyn.endpoints.viewer.dependencies import ViewerDependencies
from samsyn.endpoints.viewer.pages import go_to
from samsyn.endpoints.viewer.visits import PatientVisit, Visits
from samsyn.endpoints.viewer.wording import moment, short_moment
from samsyn.errors import BadInput, NotFound
from samsyn.model.registers import BlockKind, Consent, LiftAnswer, LiftRequest
from samsyn.model.subject import Scope

LIFT_REASONS = ("consent", "emergency")


@dataclass(frozen=True, slots=True)
class Named:
    """A unit or provider that may be named, with whom to ring."""

    hsa_id: str
    name: str
    phone: str = ""


@dataclass(frozen=True, slots=True)
class GroundShown:
    """A ground in force that the reader's unit may end."""

    consents: tuple[str, ...]
    """Its registrations: what was registered twice in the same words stands once, and ends as one."""
    told: str
    who: str
    is_consent: bool


@dataclass(frozen=True, slots=True)
class AskedShown:
    """A request to lift that the reader has made for this patient, with what became of it."""

    provider: str
    asked: str
    answer: str
    state: str
    told: str


@dataclass(frozen=True, slots=True)
class RevealState:
    """What the box "more information" tells, and which steps are open."""

    provider: str
    """The reader's own provider."""
    is_narrow: bool
    is_within_provider: bool
    blocks_known: bool
    unreachable: tuple[str, ...]
    """National registers that are out of reach, by name."""
    more_units: bool
    units: tuple[Named, ...]
    blocked_units_exist: bool
    blocked_units: tuple[Named, ...]
    more_elsewhere: bool
    providers: tuple[Named, ...]
    needs_second_attestation: bool
    blocked_elsewhere: bool
    blocked_providers: tuple[Named, ...]
    may_ask_who_blocked: bool
    has_ground: bool
    grounds: tuple[GroundShown, ...]
    without_owner: bool
    asked: tuple[AskedShown, ...]
    asked_already: frozenset[str]
    """Providers that have a request of this reader to answer."""

    @property
    def is_more(self) -> bool:
        """Whether something exists that the list does not show."""
        return (
            self.more_units
            or self.more_elsewhere
            or self.blocked_elsewhere
            or self.blocked_units_exist
            or self.without_owner
        )

    @property
    def may_open_in_emergency(self) -> bool:
        """Whether something exists that an emergency would open (SVOD 3:6) or tell whom to ring about (3:5), and
        nothing does that already."""
        if self.may_ask_who_blocked:
            return False
        return (self.more_elsewhere and not self.has_ground) or self.blocked_elsewhere

    @property
    def is_everything(self) -> bool:
        """Whether nothing more exists as far as the assignment reaches."""
        return not (
            self.is_more
            or self.is_narrow
            or self.is_within_provider
            or not self.blocks_known
            or self.unreachable
        )


class Reveal:
    """The forms under /p/{handle}/reveal."""

    def __init__(self, deps: ViewerDependencies, visits: Visits) -> None:
        self._deps = deps
        self._visits = visits

    def routes(self) -> list[BaseRoute]:
        """The addresses of this part."""
        patient = self._visits.patient
        return [
            Route("/p/{handle}/reveal/units", patient(self.show_units), methods=["POST"]),
            Route("/p/{handle}/reveal/choose-units", patient(self.choose_units), methods=["POST"]),
            Route("/p/{handle}/reveal/blocked-units", patient(self.show_blocked_units), methods=["POST"]),
            Route("/p/{handle}/reveal/lift", patient(self.lift), methods=["POST"]),
            Route("/p/{handle}/reveal/providers", patient(self.show_providers), methods=["POST"]),
            Route("/p/{handle}/reveal/choose-providers", patient(self.choose_providers), methods=["POST"]),
            Route("/p/{handle}/reveal/blocked-providers", patient(self.show_blockers), methods=["POST"]),
            Route("/p/{handle}/reveal/request-lift", patient(self.request_lift), methods=["POST"]),
        ]

    async def state(self, there: PatientVisit) -> RevealState:
        """The box for this View."""
        view, own = there.view, there.visit.assignment
        bits, names = view.indicators, view.names
        consents = await self._deps.gatekeeper.registers.consents_for(there.visit.subject, there.patient_key)
        requests = await self._deps.lift_requests.asked(view)
        scope = own.reading_scope()
        needs_second = bool(view.grounds) and view.grounds <= TWO_STEP and not view.choices.relevant
        return RevealState(
            provider=own.provider_name,
            is_narrow=scope is Scope.UNIT,
            is_within_provider=scope is Scope.PROVIDER,
            blocks_known=view.blocks_known,
            unreachable=tuple(sorted(each.value for each in view.unreachable)),
            more_units=bits.more_in_own_provider or bool(names.units),
            units=self._units(own.provider_hsa_id, names.units),
            blocked_units_exist=bits.blocked_in_own_provider or bool(names.blocked_units),
            blocked_units=self._units(own.provider_hsa_id, names.blocked_units),
            more_elsewhere=bits.unblocked_elsewhere or bool(names.providers),
            providers=self._providers(names.providers),
            needs_second_attestation=needs_second,
            blocked_elsewhere=bits.blocked_elsewhere or bool(names.blocked_providers),
            blocked_providers=self._providers(names.blocked_providers),
            may_ask_who_blocked="emergency" in view.grounds,
            has_ground=bool(view.grounds),
            grounds=self._grounds(there, [each for each in consents if self._counts(there, each)]),
            without_owner=bits.without_owner,
            asked=tuple(self._asked(there, each) for each in requests),
            asked_already=frozenset(
                each.owner for each in requests if is_waiting(each, self._deps.clock.now())
            ),
        )

    async def show_units(self, there: PatientVisit) -> Response:
        """Step: which other units of the own provider have information."""
        words = there.visit.words
        saw = words("reveal.units_text", provider=there.visit.assignment.provider_name)
        return await self._step(there, Step.OTHER_UNITS, f"{saw} {words('reveal.units_show')}")

    async def choose_units(self, there: PatientVisit) -> Response:
        """Step: these units' information is shown."""
        chosen = there.visit.form.every("chosen")
        offered = there.view.names.units
        return await self._choose(there, Step.UNITS, chosen, offered, "reveal.units_choose")

    async def show_blocked_units(self, there: PatientVisit) -> Response:
        """Step: which units of the own provider have a block (PDL 4:5)."""
        words = there.visit.words
        saw = words("reveal.blocked_units_text", provider=there.visit.assignment.provider_name)
        return await self._step(there, Step.BLOCKED_UNITS, f"{saw} {words('reveal.blocked_units_warning')}")

    async def lift(self, there: PatientVisit) -> Response:
        """Lifts an inner block of the own provider until the end of the day (PDL 4:5)."""
        form, words, own = there.visit.form, there.visit.words, there.visit.assignment
        unit, reason = form.text("unit"), form.text("reason")
        if unit not in there.view.names.blocked_units or reason not in LIFT_REASONS:
            raise NotFound
        if form.text("attest") != "yes":
            raise BadInput("not attested")
        reader = words("ground.all_unit", unit=own.unit_name)
        told = {"unit": self._deps.connections.unit_name(own.provider_hsa_id, unit)}
        if reason == "consent":
            told["reader"] = reader
        wording = words(f"reveal.lift_{reason}_wording", **told)
        employee = there.visit.subject.hsa_id if reason == "emergency" else ""
        for block in there.view.standings[0].facts.blocks:
            is_inner_here = block.kind is BlockKind.INNER and block.provider == own.provider_hsa_id
            if is_inner_here and block.unit in (unit, "") and block.ended is None:
                await self._deps.gatekeeper.registers.lift_block(
                    there.visit.subject,
                    block.block_id,
                    unit=own.unit_hsa_id,
                    employee=employee,
                    reason=reason,
                    wording=wording,
                )
        return go_to(f"{there.base}#more")

    async def show_providers(self, there: PatientVisit) -> Response:
        """Step: which other providers have information; a ground is registered already."""
        words = there.visit.words
        saw = f"{words('reveal.providers_text')} {words('reveal.providers_show')}"
        return await self._step(there, Step.OTHER_PROVIDERS, saw)

    async def choose_providers(self, there: PatientVisit) -> Response:
        """Step: these providers' information is shown; on an emergency the need is attested first (SVOD 3:6)."""
        chosen, offered = there.visit.form.every("chosen"), there.view.names.providers
        if there.view.grounds and there.view.grounds <= TWO_STEP and not there.view.choices.relevant:
            if there.visit.form.text("attest") != "yes" or not chosen or not offered.issuperset(chosen):
                raise BadInput("not attested")
            wording = there.visit.words("reveal.attest_relevant_wording")
            await self._deps.gatekeeper.reveal(
                there.visit.subject, there.patient_key, Step.RELEVANT, wording=wording
            )
        return await self._choose(there, Step.PROVIDERS, chosen, offered, "reveal.providers_choose")

    async def show_blockers(self, there: PatientVisit) -> Response:
        """Step: in danger, which providers have blocked, to ring them (SVOD 3:5)."""
        if there.visit.form.text("attest") != "yes":
            raise BadInput("not attested")
        wording = there.visit.words("reveal.blocked_wording")
        return await self._step(there, Step.BLOCKED_PROVIDERS, wording)

    async def request_lift(self, there: PatientVisit) -> Response:
        """Asks a provider that has been named to lift its block (SVOD 3:5); nothing opens by it."""
        form, words = there.visit.form, there.visit.words
        owner = form.text("owner")
        for_unit = form.text("scope") == "unit"
        told = words("lift.wording", provider=self._deps.connections.provider_name(owner))
        await self._deps.lift_requests.ask(
            there.view,
            owner,
            for_unit=for_unit,
            phone=form.text("phone"),
            need=form.text("need"),
            wording=told,
        )
        return go_to(f"{there.base}#more")

    async def _step(self, there: PatientVisit, step: Step, wording: str) -> Response:
        await self._deps.gatekeeper.reveal(there.visit.subject, there.patient_key, step, wording=wording)
        return go_to(f"{there.base}#more")

    async def _choose(
        self, there: PatientVisit, step: Step, chosen: list[str], offered: frozenset[str], key: str
    ) -> Response:
        """Only what was named may be chosen, and something must be."""
        if not chosen:
            return go_to(f"{there.base}#more")
        if not offered.issuperset(chosen):
            raise NotFound
        await self._deps.gatekeeper.reveal(
            there.visit.subject,
            there.patient_key,
            step,
            frozenset(chosen),
            wording=f"{there.visit.words(key)} ({len(chosen)}/{len(offered)})",
        )
        return go_to(there.base)

    def _counts(self, there: PatientVisit, consent: Consent) -> bool:
        return consent.ended is None and consent.employee in ("", there.visit.subject.hsa_id)

    def _grounds(self, there: PatientVisit, consents: Iterable[Consent]) -> tuple[GroundShown, ...]:
        """Each in the order of registration, those that read alike as one."""
        found: dict[tuple[str, str], GroundShown] = {}
        for consent in consents:
            shown = self._ground(there, consent)
            same = found.get((shown.told, shown.who))
            consents_of = (same.consents if same else ()) + shown.consents
            found[shown.told, shown.who] = replace(shown, consents=consents_of)
        return tuple(found.values())

    def _ground(self, there: PatientVisit, consent: Consent) -> GroundShown:
        words, ground = there.visit.words, there.visit.words(f"ground.{consent.ground.value}")
        if consent.ends is None:
            told = words("ground.now_open", ground=ground)
        else:
            until = short_moment(consent.ends, self._deps.clock.now())
            told = words("ground.now", ground=ground, until=until)
        own = there.visit.assignment
        who = (
            words("ground.scope_person")
            if consent.employee
            else words("ground.scope_unit", unit=own.unit_name)
        )
        if consent.channel == "national":
            who = f"{who} · {words('ground.from_national')}"
        is_consent = consent.ground.value == "consent"
        return GroundShown((consent.consent_id,), told, who, is_consent)

    def _asked(self, there: PatientVisit, request: LiftRequest) -> AskedShown:
        words, now = there.visit.words, self._deps.clock.now()
        if request.answer is LiftAnswer.GRANTED and request.until is not None:
            over = request.until <= now
            state = words("lift.over" if over else "lift.granted", until=short_moment(request.until, now))
        elif request.answer is LiftAnswer.REFUSED:
            state = words("lift.refused")
        else:
            state = words("lift.waiting" if is_waiting(request, now) else "lift.unanswered")
        provider = self._deps.connections.provider_name(request.owner)
        return AskedShown(provider, moment(request.asked), request.answer.value, state, request.told)

    def _units(self, provider: str, hsa_ids: Iterable[str]) -> tuple[Named, ...]:
        named = [Named(each, self._deps.connections.unit_name(provider, each)) for each in hsa_ids]
        return tuple(sorted(named, key=lambda each: each.name))

    def _providers(self, hsa_ids: Iterable[str]) -> tuple[Named, ...]:
        phones = {each.hsa_id: each.phone for each in self._deps.connections.providers}
        named = [
            Named(each, self._deps.connections.provider_name(each), phones.get(each, "")) for each in hsa_ids
        ]
        return tuple(sorted(named, key=lambda each: each.name))
