"""The steward's console: quarantine, differences, a person's numbers, and what was done, each act with its undo."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from samsyn.access.duties import sees_protected, stewarding
from samsyn.access.events import Event, entry
from samsyn.endpoints.viewer.dependencies import ViewerDependencies
from samsyn.endpoints.viewer.pages import go_to
from samsyn.endpoints.viewer.steward_joining import images_told
from samsyn.endpoints.viewer.visits import Visit, Visits
from samsyn.endpoints.viewer.wording import PatientShown, day, moment, patient_shown, person_name
from samsyn.errors import BadInput, Conflict, NotFound, UnknownIssuer
from samsyn.model.patient import Demographics, Patient, PatientIdentifier
from samsyn.patients.identifiers import MAX_CHARACTERS, display
from samsyn.reports.stewardship.acts import ActKind
from samsyn.reports.stewardship.moving import Consequences
from samsyn.reports.stewardship.worklists import DoneAct, FindingCase, HeldCase

_UNDOABLE = frozenset(
    {ActKind.LEAVE_HELD, ActKind.SETTLE_FINDING, ActKind.LINK, ActKind.PART, ActKind.MOVE, ActKind.JOIN}
)


@dataclass(frozen=True, slots=True)
class Told:
    """What somebody said about a person, as it reads."""

    name: str
    born: str
    sex: str


class Stewarding:
    """Pages under /steward, for stewards alone."""

    def __init__(self, deps: ViewerDependencies, visits: Visits) -> None:
        self._deps = deps
        self._visits = visits
        self._key = secrets.token_bytes(32)

    def routes(self) -> list[BaseRoute]:
        """The addresses of this part."""
        staff = self._visits.staff
        return [
            Route("/steward", staff(self.overview), methods=["GET"]),
            Route("/steward/held", staff(self.held), methods=["GET"]),
            Route("/steward/held/{key:int}", staff(self.held_case), methods=["GET", "POST"]),
            Route("/steward/held/{key:int}/release", staff(self.release), methods=["POST"]),
            Route("/steward/held/{key:int}/leave", staff(self.leave_held), methods=["POST"]),
            Route("/steward/findings", staff(self.findings), methods=["GET"]),
            Route("/steward/findings/{key:int}/settle", staff(self.settle_finding), methods=["POST"]),
            Route("/steward/person", staff(self.find_person), methods=["POST"]),
            Route("/steward/person/{handle}", staff(self.person), methods=["GET", "POST"]),
            Route("/steward/person/{handle}/link", staff(self.link), methods=["POST"]),
            Route("/steward/person/{handle}/part", staff(self.part), methods=["POST"]),
            Route("/steward/person/{handle}/alone", staff(self.stand_alone), methods=["POST"]),
            Route("/steward/move/{key}", staff(self.moving), methods=["GET", "POST"]),
            Route("/steward/move/{key}/done", staff(self.move), methods=["POST"]),
            Route("/steward/texts/{key}", staff(self.moving_texts), methods=["POST"]),
            Route("/steward/texts/{key}/done", staff(self.move_texts), methods=["POST"]),
            Route("/steward/acts", staff(self.acts), methods=["GET"]),
            Route("/steward/acts/{key:int}/undo", staff(self.undo), methods=["POST"]),
        ]

    async def overview(self, visit: Visit) -> Response:
        """How much waits, and the way to a person's numbers."""
        return await self._overview(visit)

    async def _overview(self, visit: Visit, trouble: str = "", status: int = 200) -> Response:
        counts = await self._deps.work_lists.counts(visit.subject)
        counts |= await self._deps.joining.counts(visit.subject)
        return self._show(visit, "steward.html", {"counts": counts, "trouble": trouble}, status)

    # -- quarantine -------------------------------------------------------------------------------------------

    async def held(self, visit: Visit) -> Response:
        """Everything that is kept aside."""
        cases = await self._deps.work_lists.held(visit.subject)
        shown = [self._case(visit, case) for case in cases]
        return self._show(visit, "steward_held.html", {"cases": shown})

    async def held_case(self, visit: Visit) -> Response:
        """One case; with a number in the form, who it is, to be confirmed."""
        return await self._case_page(visit, trouble="", number=visit.form.text("number"))

    async def release(self, visit: Visit) -> Response:
        """Files the case: images under the confirmed number, a message by what it says."""
        try:
            identifier = self._confirmed(visit)
            filed, left = await self._deps.decisions.release(
                visit.subject, self._int(visit), visit.form.text("reason"), identifier
            )
        except BadInput:
            return await self._case_page(visit, "steward.no_reason", visit.form.text("number"))
        except Conflict:
            return await self._case_page(visit, "steward.source_gone", "")
        if left:
            return await self._case_page(visit, "steward.still_held", "")
        return go_to("/steward/acts" if filed else "/steward/held")

    async def leave_held(self, visit: Visit) -> Response:
        """Takes the case off the list; the bytes stay."""
        try:
            await self._deps.decisions.leave_held(visit.subject, self._int(visit), visit.form.text("reason"))
        except BadInput:
            return await self._case_page(visit, "steward.no_reason", "")
        return go_to("/steward/held")

    async def _case_page(self, visit: Visit, trouble: str, number: str) -> Response:
        case = await self._deps.work_lists.held_case(visit.subject, self._int(visit))
        values: dict[str, Any] = {"case": self._case(visit, case), "number": number, "proposed": None}
        if number:
            try:
                identifier = self._deps.decisions.identify(number[:MAX_CHARACTERS])
                values["proposed"] = await self._proposed(visit, identifier)
            except UnknownIssuer:
                trouble = trouble or "steward.no_number"
        values["trouble"] = visit.words(trouble) if trouble else ""
        return self._show(visit, "steward_case.html", values, 400 if trouble else 200)

    async def _proposed(self, visit: Visit, identifier: PatientIdentifier) -> dict[str, Any]:
        """Who has the number, with a ticket that only this page can have made."""
        found = await self._deps.lookup.by_identifier(identifier)
        await self._deps.gatekeeper.record(
            *(
                entry(visit.subject, Event.SEARCH_PATIENT, key, details={"door": "steward"})
                for key in ([each.key for each in found] or [0])
            )
        )
        shown = self._person(visit, found[0]) if found else None
        text = f"{identifier.issuer} {identifier.value}"
        return {"number": display(identifier), "shown": shown, "ticket": f"{text} {self._sign(visit, text)}"}

    def _confirmed(self, visit: Visit) -> PatientIdentifier | None:
        ticket = visit.form.text("ticket")
        if not ticket:
            return None
        text, _, signature = ticket.rpartition(" ")
        if not hmac.compare_digest(self._sign(visit, text).encode(), signature.encode()):
            raise NotFound
        issuer, _, value = text.partition(" ")
        return PatientIdentifier(issuer, value)

    def _sign(self, visit: Visit, text: str) -> str:
        told = f"{visit.subject.session_id} {visit.path('key')} {text}".encode()
        return hmac.new(self._key, told, hashlib.sha256).hexdigest()

    def _case(self, visit: Visit, case: HeldCase) -> dict[str, Any]:
        numbered = self._person(visit, case.numbered)
        hidden = case.numbered is not None and case.numbered.demographics.protected
        return {
            "key": case.held_key,
            "is_message": case.is_message,
            "reason": visit.words(f"steward.held_{case.reason.replace('-', '_')}"),
            "advice": visit.words(f"steward.advice_{case.reason.replace('-', '_')}"),
            "may_file": case.is_message or case.reason in ("identity-conflict", "unknown-issuer"),
            "detail": case.detail,
            "content": images_told(visit, case.count),
            "first": moment(case.first),
            "last": moment(case.last),
            "sender": case.sender,
            "study_uid": case.study_uid,
            "accession": case.accession,
            "patient_id": case.patient_id,
            "sent": self._told(visit, case.sent, hidden),
            "numbered": numbered,
            "other": self._person(visit, case.other),
        }

    # -- differences ------------------------------------------------------------------------------------------

    async def findings(self, visit: Visit) -> Response:
        """What was sent with other words about the patient than the register's."""
        return await self._findings_page(visit, "")

    async def settle_finding(self, visit: Visit) -> Response:
        """The difference is explained."""
        try:
            await self._deps.decisions.settle_finding(
                visit.subject, self._int(visit), visit.form.text("reason")
            )
        except BadInput:
            return await self._findings_page(visit, visit.words("steward.no_reason"))
        return go_to("/steward/findings")

    async def _findings_page(self, visit: Visit, trouble: str) -> Response:
        found = await self._deps.work_lists.findings(visit.subject)
        cases = [self._finding(visit, each) for each in found]
        values = {"cases": cases, "trouble": trouble}
        return self._show(visit, "steward_findings.html", values, 400 if trouble else 200)

    def _finding(self, visit: Visit, case: FindingCase) -> dict[str, Any]:
        hidden = case.patient is not None and case.patient.demographics.protected
        return {
            "key": case.finding_key,
            "kind": visit.words(f"steward.finding_{case.kind.replace('-', '_')}"),
            "fields": [visit.words(f"steward.field_{field}") for field in case.fields],
            "found": moment(case.found),
            "person": self._person(visit, case.patient),
            "handle": self._deps.lookup.handle(case.patient.key) if case.patient else "",
            "title": case.title,
            "date": day(case.study_date),
            "accession": case.accession,
            "sent": self._told(visit, case.sent, hidden) if case.kind == "image-header" else None,
        }

    # -- a person's numbers -------------------------------------------------------------------------------------

    async def find_person(self, visit: Visit) -> Response:
        """Looks a person up by number; the look-up is in the audit journal."""
        stewarding(visit.subject, self._deps.clock.now())
        found = await self._deps.lookup.by_number(visit.form.text("number")[:MAX_CHARACTERS])
        await self._deps.gatekeeper.record(
            *(
                entry(visit.subject, Event.SEARCH_PATIENT, key, details={"door": "steward"})
                for key in ([each.key for each in found] or [0])
            )
        )
        if len(found) != 1:
            trouble = visit.words("steward.several" if found else "steward.nobody")
            return await self._overview(visit, trouble, 400)
        return go_to(f"/steward/person/{self._deps.lookup.handle(found[0].key)}")

    async def person(self, visit: Visit) -> Response:
        """The person's numbers, every word about them, and a second number to link with, to be confirmed."""
        return await self._person_page(visit, "")

    async def link(self, visit: Visit) -> Response:
        """Links the person with another one who was shown first."""
        return await self._relate(visit, "link")

    async def part(self, visit: Visit) -> Response:
        """Parts two of the person's numbers."""
        return await self._relate(visit, "part")

    async def _relate(self, visit: Visit, what: str) -> Response:
        one, other = (self._key_of(visit, name) for name in ("one", "other"))
        act = self._deps.decisions.link if what == "link" else self._deps.decisions.part
        try:
            await act(visit.subject, one, other, visit.form.text("reason"))
        except BadInput:
            return await self._person_page(visit, "steward.no_reason")
        except Conflict:
            return await self._person_page(visit, "steward.link_refused")
        return go_to("/steward/acts")

    async def stand_alone(self, visit: Visit) -> Response:
        """The number is linked with no other from now on."""
        try:
            await self._deps.decisions.stand_alone(
                visit.subject, self._key_of(visit, "one"), visit.form.text("reason")
            )
        except BadInput:
            return await self._person_page(visit, "steward.no_reason")
        return go_to("/steward/acts")

    def _key_of(self, visit: Visit, field: str) -> int:
        return self._deps.lookup.key_of(visit.form.text(field))

    async def _person_page(self, visit: Visit, trouble: str) -> Response:
        key = self._deps.lookup.key_of(visit.path("handle"))
        history = await self._deps.work_lists.history(visit.subject, key)
        patient = await self._deps.lookup.patient(key)
        keys = sorted(await self._deps.lookup.linked(key))
        numbers = await self._deps.lookup.numbers(keys)
        other = None
        if second := visit.form.text("number")[:MAX_CHARACTERS]:
            found = [each for each in await self._deps.lookup.by_number(second) if each.key not in keys]
            if len(found) == 1:
                other = {
                    "shown": self._person(visit, found[0]),
                    "handle": self._deps.lookup.handle(found[0].key),
                }
                await self._deps.gatekeeper.record(
                    entry(visit.subject, Event.SEARCH_PATIENT, found[0].key, details={"door": "steward"})
                )
            else:
                trouble = trouble or ("steward.several" if found else "steward.nobody")
        named = await self._deps.lookup.numbers(
            [each for event in history for each in (event.one_key, event.other_key) if each]
        )
        values = {
            "person": self._person(visit, patient),
            "this": self._deps.lookup.handle(key),
            "survivor": patient.key,
            "numbers": [
                {
                    "text": " ".join(display(each) for each in numbers[each_key]),
                    "key": each_key,
                    "handle": self._deps.lookup.handle(each_key),
                }
                for each_key in keys
            ],
            "events": [
                {
                    "what": visit.words(f"steward.word_{event.act.value.replace('-', '_')}"),
                    "one": _texts(named, event.one_key),
                    "other": _texts(named, event.other_key),
                    "told": moment(datetime.fromisoformat(event.told)),
                    "source": event.source,
                    "reason": event.reason,
                    "effective": event.effective,
                }
                for event in history
            ],
            "other": other,
            "studies": [
                {
                    "uid": row["study_uid"],
                    "title": row["description"] or visit.words("steward.untitled"),
                    "date": day(row["study_date"]),
                    "accession": row["accession"],
                    "count": row["instance_count"],
                }
                for row in await self._deps.mover.studies(visit.subject, key)
            ],
            "texts": [
                {
                    "number": f"{row['accession_issuer']} {row['accession']}",
                    "title": row["title"] or visit.words("steward.untitled"),
                    "date": day(str(row["day"] or "")),
                    "accession": row["accession"],
                }
                for row in await self._deps.mover.texts(visit.subject, key)
            ],
            "trouble": visit.words(trouble) if trouble else "",
        }
        return self._show(visit, "steward_person.html", values, 400 if trouble else 200)

    # -- another patient ------------------------------------------------------------------------------------------

    async def moving(self, visit: Visit) -> Response:
        """The study; with a number in the form, everything that would follow from giving it to that person."""
        return await self._move_page(visit, "")

    async def move(self, visit: Visit) -> Response:
        """Gives the study, or the chosen series, to the confirmed person."""
        identifier = self._confirmed(visit)
        if identifier is None:
            raise NotFound
        try:
            await self._deps.mover.move(
                visit.subject,
                visit.path("key"),
                identifier,
                visit.form.text("reason"),
                series=frozenset(visit.form.every("series")),
                with_texts=visit.form.text("texts") == "yes",
            )
        except BadInput:
            return await self._move_page(visit, "steward.no_reason")
        except Conflict:
            return await self._move_page(visit, "steward.move_refused")
        return go_to("/steward/acts")

    async def _move_page(self, visit: Visit, trouble: str) -> Response:
        uid, number = visit.path("key"), visit.form.text("number")[:MAX_CHARACTERS]
        values: dict[str, Any] = {
            "address": f"/steward/move/{uid}",
            "hidden": {},
            "number": number,
            "chosen": visit.form.every("series"),
            "texts": visit.form.text("texts") == "yes" or not number,
            "proposed": None,
            "facts": None,
        }
        identifier = None
        if number:
            try:
                identifier = self._deps.decisions.identify(number)
                values["proposed"] = await self._proposed(visit, identifier)
            except UnknownIssuer:
                trouble = trouble or "steward.no_number"
        values["facts"] = self._facts(
            visit, await self._deps.mover.consequences(visit.subject, uid, identifier)
        )
        values["trouble"] = visit.words(trouble) if trouble else ""
        return self._show(visit, "steward_move.html", values, 400 if trouble else 200)

    async def moving_texts(self, visit: Visit) -> Response:
        """Texts without images; with a number in the form, what would follow from giving them to that person."""
        return await self._texts_page(visit, "")

    async def move_texts(self, visit: Visit) -> Response:
        """Gives the texts to the confirmed person."""
        identifier = self._confirmed(visit)
        if identifier is None:
            raise NotFound
        key = self._deps.lookup.key_of(visit.path("key"))
        try:
            await self._deps.mover.move_texts(
                visit.subject, key, _text_number(visit), identifier, visit.form.text("reason")
            )
        except BadInput:
            return await self._texts_page(visit, "steward.no_reason")
        except Conflict:
            return await self._texts_page(visit, "steward.move_refused")
        return go_to("/steward/acts")

    async def _texts_page(self, visit: Visit, trouble: str) -> Response:
        handle, number = visit.path("key"), visit.form.text("number")[:MAX_CHARACTERS]
        identifier, proposed = None, None
        if number:
            try:
                identifier = self._deps.decisions.identify(number)
                proposed = await self._proposed(visit, identifier)
            except UnknownIssuer:
                trouble = trouble or "steward.no_number"
        found = await self._deps.mover.text_consequences(
            visit.subject, self._deps.lookup.key_of(handle), _text_number(visit), identifier
        )
        values: dict[str, Any] = {
            "address": f"/steward/texts/{handle}",
            "hidden": {"text": visit.form.text("text")},
            "number": number,
            "chosen": [],
            "texts": True,
            "proposed": proposed,
            "facts": self._facts(visit, found),
            "trouble": visit.words(trouble) if trouble else "",
        }
        return self._show(visit, "steward_move.html", values, 400 if trouble else 200)

    def _facts(self, visit: Visit, found: Consequences) -> dict[str, Any]:
        names = self._deps.connections
        return {
            "title": found.title or visit.words("steward.untitled"),
            "date": day(found.date),
            "accession": found.accession,
            "content": images_told(visit, found.instances),
            "size": max(1, round(found.size_bytes / 1_000_000)),
            "series": found.series,
            "former": self._person(visit, found.former),
            "reports": found.reports,
            "referrals": found.referrals,
            "seen": [
                {
                    "who": each.actor,
                    "unit": names.unit_name(each.provider, each.unit),
                    "what": visit.words(f"steward.seen_{each.event}"),
                    "receiver": each.receiver,
                    "last": moment(each.last),
                    "times": each.times,
                }
                for each in found.seen
            ],
            "to_tell": [
                f"{names.unit_name(provider, unit)}, {names.provider_name(provider)}"
                for provider, unit in found.to_tell
            ],
            "former_blocked": found.former_blocked,
            "owner_blocked": found.owner_blocked,
        }

    # -- what was done --------------------------------------------------------------------------------------------

    async def acts(self, visit: Visit) -> Response:
        """What the provider's stewards did."""
        return await self._acts_page(visit, "")

    async def undo(self, visit: Visit) -> Response:
        """Undoes one act; it stays in the list."""
        try:
            await self._deps.decisions.undo(visit.subject, self._int(visit))
        except Conflict:
            return await self._acts_page(visit, visit.words("steward.undo_refused"))
        return go_to("/steward/acts")

    async def _acts_page(self, visit: Visit, trouble: str) -> Response:
        done = [self._done(visit, each) for each in await self._deps.work_lists.acts(visit.subject)]
        return self._show(
            visit, "steward_acts.html", {"acts": done, "trouble": trouble}, 400 if trouble else 200
        )

    def _done(self, visit: Visit, act: DoneAct) -> dict[str, Any]:
        return {
            "key": act.act_key,
            "kind": visit.words(f"steward.act_{act.kind.value.replace('-', '_')}"),
            "reference": act.reference,
            "one": self._person(visit, act.patient),
            "other": self._person(visit, act.other),
            "numbers": [" ".join(map(display, each)) for each in act.numbers]
            if act.kind in (ActKind.LINK, ActKind.PART)
            else [],
            "is_move": act.kind is ActKind.MOVE,
            "actor": act.actor,
            "happened": moment(act.happened),
            "reason": act.reason,
            "undone": moment(act.undone),
            "undone_by": act.undone_by,
            "can_undo": act.kind in _UNDOABLE and act.undone is None,
        }

    # -- parts of every page ----------------------------------------------------------------------------------------

    def _show(self, visit: Visit, template: str, values: dict[str, Any], status: int = 200) -> Response:
        stewarding(visit.subject, self._deps.clock.now())
        tab = template.removesuffix(".html")
        return self._visits.show(
            visit, template, "steward", {"tab": tab, "here": "/steward", **values}, status
        )

    def _person(self, visit: Visit, patient: Patient | None) -> PatientShown | None:
        may_see = sees_protected(visit.subject)
        return (
            patient_shown(patient, visit.words, self._deps.clock.now(), may_see=may_see) if patient else None
        )

    def _told(self, visit: Visit, said: Demographics, hidden: bool) -> Told:
        masked = hidden and not sees_protected(visit.subject)
        name = visit.words("patient.protected_name") if masked else person_name(said.name)
        sex = visit.words(f"patient.sex_{said.sex}") if said.sex in ("M", "F", "O") else ""
        return Told(name or visit.words("common.unknown"), "" if masked else day(said.birth_date), sex)

    @staticmethod
    def _int(visit: Visit) -> int:
        return int(visit.path("key"))


def _text_number(visit: Visit) -> tuple[str, str]:
    issuer, _, accession = visit.form.text("text").partition(" ")
    return issuer, accession


def _texts(numbers: dict[int, tuple[PatientIdentifier, ...]], key: int) -> str:
    return " ".join(display(each) for each in numbers.get(key, ()))
