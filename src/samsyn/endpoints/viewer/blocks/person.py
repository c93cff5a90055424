"""One person's registers at the administrator's own provider: blocks, lifts, grounds and care relations."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeAlias

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from samsyn.access.administration import Overview
from samsyn.access.duties import LIFT_REASONS
from samsyn.access.registers import end_of_day
from samsyn.endpoints.viewer.dependencies import ViewerDependencies
from samsyn.endpoints.viewer.pages import go_to
from samsyn.endpoints.viewer.secure import Form
from samsyn.endpoints.viewer.typed import day_typed, moment_typed, typed_day, typed_moment
from samsyn.endpoints.viewer.visits import Endpoint, Visit, Visits
from samsyn.endpoints.viewer.wording import PatientShown, moment, patient_shown
from samsyn.errors import BadInput, NotFound
from samsyn.model.registers import Block, BlockKind, CareRelation, Consent, Lift


@dataclass(frozen=True, slots=True)
class Opened:
    """A request about one opened person."""

    visit: Visit
    handle: str
    patient_key: int
    shown: PatientShown
    provider: str
    """HSA-id of the administrator's provider."""

    @property
    def base(self) -> str:
        """The address of the page."""
        return f"/blocks/p/{self.handle}/"


@dataclass(frozen=True, slots=True)
class BlockShown:
    """A block in words."""

    block_id: str
    kind: str
    unit: str
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class RowShown:
    """A lift, ground or relation in words."""

    row_id: str
    what: str
    who: str
    starts: str
    ends: str


_TYPED: Final = ("kind", "unit", "first", "last")
"""What a new block is made of: a form that comes back with a fault comes back as it was filled in, so that nobody
registers another kind of block than the patient asked for."""
_NOTHING: Final = Form([])
PersonAnswer: TypeAlias = Callable[[Opened], Awaitable[Response]]


class PersonRegister:
    """The addresses under /blocks/p/{handle}/."""

    def __init__(self, deps: ViewerDependencies, visits: Visits) -> None:
        self._deps = deps
        self._visits = visits

    def routes(self) -> list[BaseRoute]:
        """The addresses of this part."""
        base = "/blocks/p/{handle}/"
        acts: dict[str, PersonAnswer] = {
            "register": self.register,
            "end": self.end,
            "lift": self.lift,
            "end-lift": self.end_lift,
            "end-ground": self.end_ground,
            "end-relation": self.end_relation,
            "close": self.close,
        }
        return [
            Route(base, self._person(self.show), methods=["GET"]),
            *(Route(f"{base}{name}", self._person(act), methods=["POST"]) for name, act in acts.items()),
        ]

    async def show(self, there: Opened) -> Response:
        """Everything of the own provider that is in force, and the forms."""
        return await self._page(there)

    async def register(self, there: Opened) -> Response:
        """A new block on the patient's own request (PDL 4:4, SVOD 2:3); it works at once."""
        form, words = there.visit.form, there.visit.words
        unit = form.text("unit")
        kind = BlockKind.INNER if form.text("kind") == BlockKind.INNER.value else BlockKind.OUTER
        if form.text("attest") != "yes":
            return await self._page(there, words("ground.attest_first"), 400, form)
        if kind is BlockKind.INNER and unit not in self._units(there.provider):
            return await self._page(there, words("blocks.choose_unit"), 400, form)
        try:
            await self._deps.gatekeeper.registers.register_block(
                there.visit.subject,
                there.patient_key,
                kind,
                there.provider,
                unit if kind is BlockKind.INNER else "",
                first=day_typed(form.text("first")),
                last=day_typed(form.text("last")),
                wording=f"{words('blocks.kind_' + kind.value)}. {words('blocks.register_wording')}",
            )
        except BadInput:
            return await self._page(there, words("blocks.bad_days"), 400, form)
        return go_to(there.base)

    async def end(self, there: Opened) -> Response:
        """Ends a block for good, on the patient's word."""
        block = self._known(await self._overview(there), there.visit.form.text("block"))
        if there.visit.form.text("attest") != "yes":
            return await self._page(there, there.visit.words("ground.attest_first"), 400)
        wording = there.visit.words("blocks.end_wording")
        await self._deps.gatekeeper.registers.end_block(there.visit.subject, block.block_id, wording)
        return go_to(there.base)

    async def lift(self, there: Opened) -> Response:
        """Lifts one block for a unit, or for one person there, for some time."""
        form, words = there.visit.form, there.visit.words
        block = self._known(await self._overview(there), form.text("block"))
        reason = form.text("reason") if form.text("reason") in LIFT_REASONS else "consent"
        if form.text("unit") not in self._all_units():
            return await self._page(there, words("blocks.choose_unit"), 400)
        try:
            ends = moment_typed(form.text("ends"))
            await self._deps.gatekeeper.registers.lift_block(
                there.visit.subject,
                block.block_id,
                unit=form.text("unit"),
                employee=form.text("employee").strip().upper(),
                ends=ends + timedelta(minutes=1) if ends else None,
                reason=reason,
                wording=words(f"blocks.grant_wording_{reason}"),
            )
        except BadInput:
            return await self._page(there, words("blocks.bad_end"), 400)
        return go_to(there.base)

    async def end_lift(self, there: Opened) -> Response:
        """Ends a lift before its time."""
        self._one_of([each.lift_id for each in (await self._overview(there)).lifts], there)
        await self._deps.gatekeeper.registers.end_lift(there.visit.subject, there.visit.form.text("row"))
        return go_to(there.base)

    async def end_ground(self, there: Opened) -> Response:
        """Withdraws a consent that a unit of the own provider has registered, or annuls a wrong registration."""
        self._one_of([each.consent_id for each in (await self._overview(there)).consents], there)
        annulled, words = there.visit.form.text("how") == "annul", there.visit.words
        await self._deps.gatekeeper.registers.end_ground(
            there.visit.subject,
            there.visit.form.text("row"),
            annulled=annulled,
            wording=f"{words('ground.end_note')} {words('ground.annul' if annulled else 'ground.withdraw')}",
        )
        return go_to(there.base)

    async def end_relation(self, there: Opened) -> Response:
        """Ends a care relation that does not hold."""
        self._one_of([each.relation_id for each in (await self._overview(there)).relations], there)
        await self._deps.administration.end_relation(
            there.visit.subject, there.visit.form.text("row"), there.visit.words("blocks.end_relation")
        )
        return go_to(there.base)

    async def close(self, there: Opened) -> Response:
        """Forgets the handle: the addresses with it lead nowhere any more."""
        self._deps.opened.close(there.visit.subject.session_id, there.handle)
        return go_to("/blocks")

    def _person(self, answer: PersonAnswer) -> Endpoint:
        async def opened(visit: Visit) -> Response:
            provider = self._deps.administration.check(visit.subject)
            handle = visit.path("handle")
            key = self._deps.opened.patient_key(visit.subject.session_id, handle)
            if not await self._deps.administration.knows(visit.subject, key):
                raise NotFound
            patient = await self._deps.lookup.patient(key)
            return await answer(
                Opened(
                    visit, handle, key, patient_shown(patient, visit.words, self._deps.clock.now()), provider
                )
            )

        return self._visits.staff(opened)

    async def _overview(self, there: Opened) -> Overview:
        return await self._deps.administration.overview(there.visit.subject, there.patient_key)

    async def _page(
        self, there: Opened, trouble: str = "", status: int = 200, typed: Form = _NOTHING
    ) -> Response:
        overview = await self._overview(there)
        own = {each.block_id: each for each in overview.blocks}
        units = self._units(there.provider)
        last = end_of_day(self._deps.clock.now()) - timedelta(minutes=1)
        values = {
            "patient": there.shown,
            "handle": there.handle,
            "close_address": f"{there.base}close",
            "blocks": [self._block(there, each) for each in overview.blocks],
            "lifts": [self._lift(there, each, own[each.block_id]) for each in overview.lifts],
            "consents": [self._consent(there, each) for each in overview.consents],
            "relations": [self._relation(there, each) for each in overview.relations],
            "units": sorted(units.items(), key=lambda each: each[1]),
            "all_units": sorted(self._all_units().items(), key=lambda each: each[1]),
            "provider": self._deps.connections.provider_name(there.provider),
            "ends": typed_moment(last),
            "trouble": trouble,
            "typed": {name: typed.text(name) for name in _TYPED},
            "here": "/blocks",
        }
        return self._visits.show(there.visit, "block_person.html", "blocks", values, status)

    def _block(self, there: Opened, block: Block) -> BlockShown:
        unit = self._deps.connections.unit_name(block.provider, block.unit) if block.unit else ""
        kind = there.visit.words(f"blocks.kind_{block.kind.value}")
        return BlockShown(block.block_id, kind, unit, typed_day(block.first), typed_day(block.last))

    def _lift(self, there: Opened, lift: Lift, block: Block) -> RowShown:
        words = there.visit.words
        what = f"{words('blocks.kind_' + block.kind.value)}: {words('blocks.reason_' + lift.reason)}"
        who = self._all_units().get(lift.unit, lift.unit)
        who = f"{who}, {lift.employee}" if lift.employee else who
        return RowShown(lift.lift_id, what, who, moment(lift.starts), moment(lift.ends))

    def _consent(self, there: Opened, consent: Consent) -> RowShown:
        words = there.visit.words
        unit = self._deps.connections.unit_name(consent.provider, consent.unit)
        who = f"{unit}, {consent.employee}" if consent.employee else unit
        ends = moment(consent.ends) or words("ground.until_withdrawn")
        what = words(f"ground.{consent.ground.value}")
        if consent.channel == "national":
            what = f"{what}, {words('ground.from_national')}"
        return RowShown(consent.consent_id, what, who, moment(consent.starts), ends)

    def _relation(self, there: Opened, relation: CareRelation) -> RowShown:
        unit = self._deps.connections.unit_name(relation.provider, relation.unit)
        who = f"{unit}, {relation.employee}" if relation.employee else unit
        what = there.visit.words(f"blocks.source_{relation.source}")
        return RowShown(relation.relation_id, what, who, moment(relation.starts), moment(relation.ends))

    def _known(self, overview: Overview, block_id: str) -> Block:
        for block in overview.blocks:
            if block.block_id == block_id:
                return block
        raise NotFound

    def _one_of(self, known: list[str], there: Opened) -> None:
        if there.visit.form.text("row") not in known:
            raise NotFound

    def _units(self, provider: str) -> dict[str, str]:
        return {
            unit.hsa_id: unit.name
            for each in self._deps.connections.providers
            if each.hsa_id == provider
            for unit in each.units
        }

    def _all_units(self) -> dict[str, str]:
        return {
            unit.hsa_id: f"{unit.name} ({each.name})"
            for each in self._deps.connections.providers
            for unit in each.units
        }
