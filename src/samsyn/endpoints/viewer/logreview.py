"""The log reviewer's pages: search, samples, findings and their history, and the extract that a patient asks for.

Rules and rows are in access.followup; here is what is asked and shown. What is searched for may be personal, so it
travels in forms and never in an address.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from samsyn import limits
from samsyn.access.events import Activity
from samsyn.access.followup.review import (
    FINDINGS,
    VERDICTS,
    Check,
    LogEntry,
    LogQuestion,
)
from samsyn.access.followup.targets import CheckKind
from samsyn.clock import STOCKHOLM
from samsyn.endpoints.viewer.dependencies import ViewerDependencies
from samsyn.endpoints.viewer.extract_file import in_pdf
from samsyn.endpoints.viewer.pages import go_to
from samsyn.endpoints.viewer.secure import PAGE_HEADERS
from samsyn.endpoints.viewer.visits import Visit, Visits
from samsyn.endpoints.viewer.wording import PatientShown, moment, patient_shown
from samsyn.errors import BadInput, LimitExceeded, NotAllowed, NotFound
from samsyn.model.subject import Role
from samsyn.patients.identifiers import MAX_CHARACTERS

_ASKED: Final = ("actor", "number", "unit", "from", "to", "emergencies")
_DAYS_BACK: Final = 30
_SAMPLE: Final = 20


@dataclass(frozen=True, slots=True)
class EntryShown:
    """One entry of the journal in words."""

    sequence: int
    time: str
    reader: str
    reader_id: str
    unit: str
    what: str
    activity: str
    patient: PatientShown | None
    owner: str
    rule: str
    wording: str
    is_emergency: bool
    allowed: bool


class LogReviewPages:
    """The addresses under /log."""

    def __init__(self, deps: ViewerDependencies, visits: Visits) -> None:
        self._deps = deps
        self._visits = visits

    def routes(self) -> list[BaseRoute]:
        """The addresses of this part."""
        staff = self._visits.staff
        return [
            Route("/log", staff(self.start), methods=["GET"]),
            Route("/log/search", staff(self.start), methods=["GET"]),
            Route("/log/search", staff(self.search), methods=["POST"]),
            Route("/log/extract", staff(self.extract), methods=["POST"]),
            Route("/log/checks", staff(self.make), methods=["POST"]),
            Route("/log/checks/{key:int}", staff(self.check), methods=["GET"]),
            Route("/log/checks/{key:int}/sign", staff(self.sign), methods=["POST"]),
        ]

    async def start(self, visit: Visit) -> Response:
        """Search, new check, and the history of checks."""
        return await self._page(visit, {})

    async def search(self, visit: Visit) -> Response:
        """What was looked for."""
        _demand_reviewer(visit)
        form = visit.form
        asked = {name: form.text(name) for name in _ASKED}
        try:
            first, last = _day(asked["from"]), _day(asked["to"])
        except BadInput:
            return await self._page(visit, {"asked": asked, "trouble": "bad_day"}, 400)
        if last < first:
            return await self._page(visit, {"asked": asked, "trouble": "bad_day"}, 400)
        keys: frozenset[int] | None = None
        if asked["number"]:
            keys = frozenset().union(*(await self._persons(visit, asked["number"])).values())
            if not keys:
                return await self._page(visit, {"asked": asked, "trouble": "no_patient"}, 404)
        page = await self._deps.review.search(
            visit.subject,
            LogQuestion(
                first,
                last,
                asked["actor"].upper(),
                keys,
                asked["unit"],
                bool(asked["emergencies"]),
                _number(form.text("before")),
            ),
        )
        values = {
            "asked": asked,
            "entries": await self._shown(visit, page.entries),
            "before": page.before,
        }
        return await self._page(visit, values)

    async def extract(self, visit: Visit) -> Response:
        """The log extract of one patient as a PDF: the own provider's readings, to be handed out on request."""
        _demand_reviewer(visit)
        asked = {name: visit.form.text(name) for name in _ASKED}
        if not asked["number"]:
            return await self._page(visit, {"asked": asked, "trouble": "no_number"}, 400)
        found = list(await self._persons(visit, asked["number"]))
        if len(found) != 1:
            # Somebody's extract is handed out: a number that may mean two persons names none.
            trouble, status = ("several", 400) if found else ("no_patient", 404)
            return await self._page(visit, {"asked": asked, "trouble": trouble}, status)
        patient = await self._deps.lookup.patient(found[0])
        extract = await self._deps.extracts.on_request(visit.subject, patient.key)
        shown = patient_shown(patient, visit.words, self._deps.clock.now())
        own = visit.subject.assignment
        elsewhere = None
        if self._deps.elsewhere.is_connected:
            elsewhere = await self._deps.elsewhere.on_request(visit.subject, patient.key)
        provider = own.provider_name if own else ""
        pdf = await in_pdf(extract, shown, visit.words, self._deps.connections, provider, elsewhere)
        headers = {**PAGE_HEADERS, "Content-Disposition": 'attachment; filename="loggutdrag.pdf"'}
        return Response(pdf, media_type="application/pdf", headers=headers)

    async def make(self, visit: Visit) -> Response:
        """Draws a sample; what can not be drawn is said on the page."""
        _demand_reviewer(visit)
        form = visit.form
        try:
            kind = CheckKind(form.text("kind"))
            first, last = _day(form.text("from")), _day(form.text("to"))
            size = _number(form.text("size")) or _SAMPLE
            key = await self._deps.review.make_check(visit.subject, kind, first, last, size)
        except ValueError as problem:
            raise BadInput("kind") from problem
        except BadInput:
            return await self._page(visit, {"trouble": "bad_day"}, 400)
        except LimitExceeded:
            return await self._page(visit, {"trouble": "too_long"}, 400)
        except NotFound:
            return await self._page(visit, {"trouble": "nothing_to_check"}, 200)
        return go_to(f"/log/checks/{key}")

    async def check(self, visit: Visit) -> Response:
        """A check with its accesses, to be judged or as it was signed."""
        return await self._check_page(visit, int(visit.request.path_params["key"]))

    async def sign(self, visit: Visit) -> Response:
        """Signs the check off with a verdict for each access."""
        key = int(visit.request.path_params["key"])
        form = visit.form
        verdicts = {
            int(name.removeprefix("verdict-")): (
                form.text(name),
                form.text(name.replace("verdict", "remark")),
            )
            for name in form
            if name.startswith("verdict-") and name.removeprefix("verdict-").isdecimal()
        }
        try:
            await self._deps.review.sign(
                visit.subject, key, verdicts, form.text("finding"), form.text("remark")
            )
        except BadInput:
            return await self._check_page(visit, key, "incomplete", 400)
        return go_to(f"/log/checks/{key}")

    async def _check_page(self, visit: Visit, key: int, trouble: str = "", status: int = 200) -> Response:
        check = await self._deps.review.check(visit.subject, key)
        values = {
            "check": check.summary,
            "period": _period(visit, check),
            "made": moment(check.summary.made),
            "signed": moment(check.summary.signed),
            "accesses": [
                {
                    "sequence": access.sequence,
                    "entries": await self._shown(visit, access.entries),
                    "verdict": access.verdict or visit.form.text(f"verdict-{access.sequence}"),
                    "remark": access.remark or visit.form.text(f"remark-{access.sequence}"),
                }
                for access in check.accesses
            ],
            "verdicts": VERDICTS,
            "findings": FINDINGS,
            "finding": check.summary.finding or visit.form.text("finding"),
            "remark": check.summary.remark or visit.form.text("remark"),
            "trouble": visit.words(f"log.{trouble}") if trouble else "",
            "here": f"/log/checks/{key}",
        }
        return self._visits.show(visit, "log_check.html", "log", values, status)

    async def _page(self, visit: Visit, values: dict[str, Any], status: int = 200) -> Response:
        _demand_reviewer(visit)
        review, own = self._deps.review, visit.subject.assignment
        today = self._deps.clock.now().astimezone(STOCKHOLM).date()
        trouble = values.get("trouble", "")
        units = next(
            (
                each.units
                for each in self._deps.connections.providers
                if own is not None and each.hsa_id == own.provider_hsa_id
            ),
            (),
        )
        defaults = {
            "entries": None,
            "before": 0,
            **values,
            "asked": {**dict.fromkeys(_ASKED, ""), **values.get("asked", {})},
            "trouble": visit.words(f"log.{trouble}") if trouble else "",
            "today": today.isoformat(),
            "month_ago": (today - timedelta(days=_DAYS_BACK)).isoformat(),
            "units": units,
            "kinds": [kind.value for kind in CheckKind],
            "size": _SAMPLE,
            "most": limits.MAX_CHECK_SIZE,
            "waiting": await review.waiting_emergencies(visit.subject),
            "checks": [
                {"summary": each, "made": moment(each.made), "signed": moment(each.signed)}
                for each in await review.checks(visit.subject)
            ],
            "here": "/log",
        }
        return self._visits.show(visit, "log.html", "log", defaults, status)

    async def _persons(self, visit: Visit, number: str) -> dict[int, frozenset[int]]:
        found = await self._deps.lookup.by_number(number[:MAX_CHARACTERS])
        return await self._deps.review.persons(visit.subject, [person.key for person in found])

    async def _shown(self, visit: Visit, entries: Iterable[LogEntry]) -> list[EntryShown]:
        patients: dict[int, PatientShown | None] = {0: None}
        shown = []
        for each in entries:
            if each.patient_key not in patients:
                patients[each.patient_key] = await self._patient(visit, each.patient_key)
            shown.append(self._entry(visit, each, patients[each.patient_key]))
        return shown

    async def _patient(self, visit: Visit, key: int) -> PatientShown | None:
        try:
            return patient_shown(await self._deps.lookup.patient(key), visit.words, self._deps.clock.now())
        except NotFound:
            return None

    def _entry(self, visit: Visit, each: LogEntry, patient: PatientShown | None) -> EntryShown:
        words, names = visit.words, self._deps.connections
        known = self._visits.pages.languages
        event = f"event.{each.event}"
        reason = f"log_rule.{each.details.get('rule', '').replace('-', '_')}"
        owner = ""
        if each.owner_provider:
            owner = names.unit_name(each.owner_provider, each.owner_unit)
            if each.owner_provider != each.provider:
                owner = f"{owner}, {names.provider_name(each.owner_provider)}"
        return EntryShown(
            sequence=each.sequence,
            time=each.time.astimezone(STOCKHOLM).strftime("%Y-%m-%d %H:%M:%S"),
            reader=each.actor_name or (words("log.a_system") if each.is_system else ""),
            reader_id=each.actor,
            unit=names.unit_name(each.provider, each.unit),
            what=words(event) if known.has(event) else each.event,
            activity=each.activity,
            patient=patient,
            owner=owner,
            rule=words(reason) if known.has(reason) else each.details.get("rule", ""),
            wording=each.details.get("wording", ""),
            is_emergency=each.activity == Activity.EMERGENCY,
            allowed=each.allowed,
        )


def _demand_reviewer(visit: Visit) -> None:
    """So that nobody else learns even that a number is known here; the rule itself stands in access.followup."""
    if Role.LOG_REVIEWER not in visit.subject.roles:
        raise NotAllowed("no-log-reviewer")


def _period(visit: Visit, check: Check) -> str:
    return visit.words("log.period", first=check.summary.first_day, last=check.summary.last_day)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as problem:
        raise BadInput("day") from problem


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 18 else 0
