"""Registering and ending a ground for reading other providers' information (SVOD 3:1, 3:3, 3:6)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from samsyn import limits
from samsyn.access.registers import end_of_day
from samsyn.access.reveal import Step
from samsyn.endpoints.viewer.dependencies import ViewerDependencies
from samsyn.endpoints.viewer.pages import go_to
from samsyn.endpoints.viewer.typed import moment_typed, typed_moment
from samsyn.endpoints.viewer.visits import PatientVisit, Visits
from samsyn.errors import BadInput, Conflict, NotAllowed, NotFound, NotSupported, OutOfResources
from samsyn.model.registers import Ground
from samsyn.model.subject import Scope

UNTOLD: Final = "untold"
"""The page after an end of a ground that the national register could not be told at once says so."""
CHANNELS: Final = ("visit", "phone", "referral")
_LONGEST_DAYS: Final = 3_660
"""A consent with an end: at most ten years; longer is "until withdrawn"."""
_SCOPES: Final = MappingProxyType({"unit": False, "person": True})


@dataclass(frozen=True, slots=True)
class Asked:
    """What the form says, as sent."""

    scope: str
    channel: str
    starts: str
    ends: str


class Grounds:
    """The pages under /p/{handle}/ground."""

    def __init__(self, deps: ViewerDependencies, visits: Visits) -> None:
        self._deps = deps
        self._visits = visits

    def routes(self) -> list[BaseRoute]:
        """The addresses of this part."""
        patient = self._visits.patient
        return [
            Route("/p/{handle}/ground/end", patient(self.end), methods=["POST"]),
            Route("/p/{handle}/ground/{ground}", patient(self.ask), methods=["GET"]),
            Route("/p/{handle}/ground/{ground}", patient(self.register), methods=["POST"]),
        ]

    async def ask(self, there: PatientVisit) -> Response:
        """The form with its defaults: the whole unit, at the visit, from now to the end of today."""
        ground = self._ground(there)
        now = self._deps.clock.now()
        last = end_of_day(now) - timedelta(minutes=1)
        if ground is Ground.EMERGENCY:
            last = now + timedelta(hours=limits.EMERGENCY_HOURS)
        scope = "person" if ground is Ground.EMERGENCY else "unit"
        asked = Asked(scope, "visit", typed_moment(now), typed_moment(last))
        return self._page(there, ground, asked, "")

    async def register(self, there: PatientVisit) -> Response:
        """Registers the ground and shows which providers have information: one act, with the words seen."""
        ground, form, words = self._ground(there), there.visit.form, there.visit.words
        asked = Asked(form.text("scope"), form.text("channel"), form.text("starts"), form.text("ends"))
        if ground is not Ground.CONSENT and form.text("attest") != "yes":
            return self._page(there, ground, asked, words("ground.attest_first"), 400)
        personal = ground is Ground.EMERGENCY or _SCOPES.get(asked.scope, True)
        try:
            starts, ends = self._times(ground, asked)
            await self._deps.gatekeeper.registers.register_ground(
                there.visit.subject,
                there.patient_key,
                ground,
                personal=personal,
                starts=starts,
                ends=ends,
                channel=asked.channel if asked.channel in CHANNELS else "visit",
                wording=self._wording(there, ground, personal, asked),
            )
        except BadInput:
            return self._page(there, ground, asked, words("ground.bad_time"), 400)
        except Conflict:
            return self._page(there, ground, asked, words("ground.no_child"), 409)
        except OutOfResources:
            return self._page(there, ground, asked, words("ground.register_away"), 503)
        except NotSupported:
            return self._page(there, ground, asked, words("ground.register_refuses"), 409)
        if starts is None:
            saw = f"{words('reveal.providers_text')} {words('reveal.providers_show')}"
            await self._deps.gatekeeper.reveal(
                there.visit.subject, there.patient_key, Step.OTHER_PROVIDERS, wording=saw
            )
        return go_to(f"{there.base}#more")

    async def end(self, there: PatientVisit) -> Response:
        """Withdraws a consent, or takes back a wrong registration; what it had opened closes at once."""
        form = there.visit.form
        registers = self._deps.gatekeeper.registers
        known = await registers.consents_for(there.visit.subject, there.patient_key)
        wanted = set(form.every("consent"))
        ended = [each for each in known if each.consent_id in wanted]
        if not ended or len(ended) != len(wanted):
            raise NotFound
        annulled, words = form.text("how") == "annul", there.visit.words
        is_told = True
        for consent in ended:
            act = "annul" if annulled else "withdraw" if consent.ground is Ground.CONSENT else "end"
            name = words("ground." + consent.ground.value)
            saw = f"{name}. {words('ground.end_note')} {words('ground.' + act)}"
            await registers.end_ground(
                there.visit.subject, consent.consent_id, annulled=annulled, wording=saw
            )
            is_told &= await registers.masters.told(consent.consent_id)
        return go_to(f"{there.base}#more" if is_told else f"{there.base}?{UNTOLD}=1#more")

    def _ground(self, there: PatientVisit) -> Ground:
        try:
            ground = Ground(there.visit.path("ground"))
        except ValueError:
            raise NotFound from None
        if there.visit.assignment.reading_scope() is not Scope.CROSS_PROVIDER:
            raise NotAllowed("scope")
        return ground

    def _times(self, ground: Ground, asked: Asked) -> tuple[datetime | None, datetime | None]:
        """Beginning (None = now) and end (None = until withdrawn) from local times. BadInput: no such time."""
        now = self._deps.clock.now()
        starts = moment_typed(asked.starts)
        ends = moment_typed(asked.ends)
        if ends is not None:
            # "Until and including" a minute: the end itself is the next one.
            ends += timedelta(minutes=1)
            if ends > now + timedelta(days=_LONGEST_DAYS) or ends <= (starts or now):
                raise BadInput("end of ground")
        if ground is Ground.EMERGENCY:
            longest = now + timedelta(hours=limits.EMERGENCY_HOURS)
            return None, min(ends or longest, longest)
        is_later = starts is not None and starts > now + timedelta(minutes=1)
        return (starts if is_later else None), ends

    def _wording(self, there: PatientVisit, ground: Ground, personal: bool, asked: Asked) -> str:
        """Everything that the reader saw and chose, as it stood on the page."""
        words = there.visit.words
        own = there.visit.assignment
        who = (
            words("ground.who_person", name=there.visit.subject.name)
            if personal
            else words("ground.who_unit", unit=own.unit_name)
        )
        parts = [words(f"ground.{ground.value}_wording"), words("ground.who"), who]
        if ground is Ground.CONSENT and asked.channel in CHANNELS:
            parts += [words("ground.channel"), words(f"ground.channel_{asked.channel}")]
        parts += [words("ground.from"), asked.starts, words("ground.until"), asked.ends or "-"]
        return " | ".join(parts)

    def _page(
        self, there: PatientVisit, ground: Ground, asked: Asked, trouble: str, status: int = 200
    ) -> Response:
        values = {
            "ground": ground.value,
            "asked": asked,
            "channels": CHANNELS,
            "trouble": trouble,
            "others": [each.value for each in Ground if each is not ground],
        }
        return self._visits.show_patient(there, "ground.html", "consent", values, status)
