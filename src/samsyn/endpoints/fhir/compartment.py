"""All resources of one patient under one View, made when they are asked for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import orjson

from samsyn.access.events import Event, entry
from samsyn.access.registers_shown import registers_shown
from samsyn.access.view import Gatekeeper, View
from samsyn.endpoints.fhir import consents, documents, imaging, observations, people, texts
from samsyn.endpoints.fhir.common import Resource, mark
from samsyn.errors import NotFound
from samsyn.model.imaging import StoredInstance, StudySummary
from samsyn.model.measurements import MeasurementDocument
from samsyn.model.patient import Patient
from samsyn.model.texts import ReportVersion
from samsyn.providers.connections import Connections
from samsyn.reports.examination import Examination
from samsyn.reports.measured import Measured
from samsyn.reports.order import by_report
from samsyn.retrieve.retrieve import Retriever
from samsyn.search.find import Finder
from samsyn.search.query import Level, Query

KINDS: Final = (
    "Patient",
    "ServiceRequest",
    "ImagingStudy",
    "DiagnosticReport",
    "Observation",
    "DocumentReference",
    "PractitionerRole",
    "Provenance",
    "Consent",
)
_TEXTS: Final = {
    "ServiceRequest": ("referral",),
    "DiagnosticReport": ("report",),
    "PractitionerRole": ("report", "referral"),
    "Provenance": ("report",),
}
"""What is opened, in the audit journal's words, when a resource of the kind is given out."""
_OF_THE_PERSON: Final = frozenset({"Patient", "Consent"})
"""Kinds that belong to no examination."""


@dataclass(frozen=True, slots=True)
class Held:
    """One resource with what it was before, and the examination that it belongs to (None: the patient)."""

    states: tuple[Resource, ...]
    """Oldest first; the last one is the present state."""
    examination: Examination | None
    study_uid: str = ""
    """The study whose object says it, where it is read from one."""

    @property
    def resource(self) -> Resource:
        """The present state."""
        return self.states[-1]

    def versioned(self) -> "Held":
        """The same with a version in every state. Where the content has no history, the content names it."""
        return replace(self, states=tuple(_with_version(each) for each in self.states))


class Compartment:
    """The resources; nothing in it that its View does not show. `person` None: the reader may not be told who."""

    def __init__(
        self,
        base: str,
        handle: str,
        person: Patient | None,
        view: View,
        examinations: Sequence[Examination],
        finder: Finder,
        retriever: Retriever,
        connections: Connections,
        measured: Measured,
        keeps: Callable[[str, Resource], bool] | None = None,
    ) -> None:
        """`keeps`: what a token leaves of it, None = everything."""
        self.handle = handle
        self.view = view
        self._base = base
        self._person = person
        self.examinations = examinations
        self._finder = finder
        self._retriever = retriever
        self._connections = connections
        self._measured = measured
        self._keeps = keeps
        self._made: dict[str, list[Held]] = {}

    async def of(self, kind: str) -> list[Held]:
        """The resources of one kind, the newest examination first."""
        if kind not in self._made:
            self._made[kind] = self._left(kind, [held.versioned() for held in await self._make(kind)])
        return self._made[kind]

    async def find(self, kind: str, identity: str) -> Held:
        """One of them; NotFound when it is absent or hidden, which look alike."""
        if kind in _OF_THE_PERSON or kind in self._made:
            found = [each for each in await self.of(kind) if each.resource["id"] == identity]
        else:
            found = self._left(kind, await self._first(kind, identity))
        if not found:
            raise NotFound
        return found[0]

    async def _first(self, kind: str, identity: str) -> list[Held]:
        """The one of that id, without making those of older examinations."""
        for examination in self.examinations:
            for held in await self._made_of(kind, examination):
                if held.resource["id"] == identity:
                    return [held.versioned()]
        return []

    def _left(self, kind: str, made: list[Held]) -> list[Held]:
        return made if self._keeps is None else _kept(made, kind, self._keeps)

    async def _make(self, kind: str) -> list[Held]:
        if kind == "Patient":
            known = self._person
            return [Held((people.patient(self.handle, known),), None)] if known is not None else []
        if kind == "Consent":
            shown = registers_shown(self.view.standings)
            return [Held((each,), None) for each in consents.consents(self.handle, shown, self._owner_name)]
        found: dict[str, Held] = {}
        for examination in self.examinations:
            for held in await self._made_of(kind, examination):
                found.setdefault(held.resource["id"], held)
        return list(found.values())

    async def _made_of(self, kind: str, examination: Examination) -> list[Held]:
        match kind:
            case "ServiceRequest":
                return self._referrals(examination)
            case "ImagingStudy":
                return [await self._study(examination, each) for each in examination.studies]
            case "DiagnosticReport":
                return await self._reports(examination)
            case "Observation":
                return await self._observations(examination)
            case "DocumentReference":
                return await self._documents(examination)
            case "PractitionerRole":
                return self._roles(examination)
            case _:
                return self._provenances(examination)

    def _referrals(self, examination: Examination) -> list[Held]:
        return [
            Held(
                (
                    texts.service_request(
                        self.handle, examination.reference, each, self._connections.unit_name
                    ),
                ),
                examination,
            )
            for each in examination.referrals
        ]

    async def _study(self, examination: Examination, study: StudySummary) -> Held:
        series = await self._finder.find(self.view, Query(Level.SERIES, {0x0020000D: study.study_uid}))
        return Held((imaging.imaging_study(self.handle, examination, study, series),), examination)

    async def _reports(self, examination: Examination) -> list[Held]:
        studies = [imaging.imaging_study_id(self.handle, each.study_uid) for each in examination.studies]
        results = [
            each
            for _, found in await self._measurements(examination)
            for each in observations.observation_ids(self.handle, found)
        ]
        return [
            Held(
                tuple(
                    texts.diagnostic_report_states(
                        self.handle, examination, versions, studies, results, self._connections.unit_name
                    )
                ),
                examination,
            )
            for versions in _by_report(examination.reports)
        ]

    async def _measurements(
        self, examination: Examination
    ) -> list[tuple[StudySummary, list[MeasurementDocument]]]:
        return [(study, await self._measured.of(self.view, study)) for study in examination.studies]

    async def _observations(self, examination: Examination) -> list[Held]:
        owner = self.owner(examination)
        return [
            Held((each,), examination, study.study_uid)
            for study, found in await self._measurements(examination)
            for document in found
            for each in observations.observations(self.handle, examination, study.study_uid, document, owner)
        ]

    async def _documents(self, examination: Examination) -> list[Held]:
        owner = self.owner(examination)
        made = [
            documents.report_reference(self._base, self.handle, examination, held.resource, owner)
            for held in await self._reports(examination)
        ]
        for study in examination.studies:
            instances = await self.instances(study.study_uid)
            if instances:
                made += documents.manifest_references(
                    self._base, self.handle, examination, study, instances, owner
                )
        return [Held((each,), examination) for each in made]

    def _roles(self, examination: Examination) -> list[Held]:
        named = [
            (each.signer or each.author, each.provider, each.unit or each.provider)
            for each in examination.reports
        ]
        named += [(each.referrer, each.provider, each.unit) for each in examination.referrals]
        return [
            Held(
                (
                    people.practitioner_role(
                        self.handle, name, unit, self._connections.unit_name(provider, unit)
                    ),
                ),
                examination,
            )
            for name, provider, unit in named
            if name
        ]

    def _provenances(self, examination: Examination) -> list[Held]:
        return [
            Held((each,), examination)
            for versions in _by_report(examination.reports)
            for each in texts.provenances(self.handle, versions, self._connections.unit_name)
        ]

    def _owner_name(self, provider: str, unit: str) -> str:
        known = self._connections
        return known.unit_name(provider, unit) if unit else known.provider_name(provider)

    def owner(self, examination: Examination) -> tuple[str, str]:
        """HSA-id and name of the unit, or provider, that answers for an examination."""
        hsa_id = examination.unit or examination.provider
        name = self._connections.unit_name(examination.provider, hsa_id)
        return hsa_id, name if name != hsa_id else self._connections.provider_name(examination.provider)

    async def instances(self, study_uid: str) -> Sequence[StoredInstance]:
        """A study's instances, none when there are none to see."""
        try:
            return await self._retriever.instances(self.view, study_uid)
        except NotFound:
            return ()

    async def record(self, gatekeeper: Gatekeeper, kind: str, given: Sequence[Held]) -> None:
        """Writes down which texts, objects and rows are opened by these resources; before any byte leaves."""
        if kind == "Consent" and given:
            person = min(self.view.patient_keys or {0})
            await gatekeeper.record(entry(self.view.subject, Event.READ_REGISTER, person))
        for study_uid in {held.study_uid for held in given if held.study_uid}:
            await gatekeeper.record_opening(self.view, study_uid, "metadata")
        for held in given:
            examination = held.examination
            if examination is None:
                continue
            for opening in _TEXTS.get(kind, ()):
                item = examination.report_item if opening == "report" else examination.referral_item
                if item is not None:
                    await gatekeeper.record_opening(self.view, examination.reference, opening, item)


def _kept(made: Sequence[Held], kind: str, keeps: Callable[[str, Resource], bool]) -> list[Held]:
    """Those whose present state a token leaves, with as much of their history as it leaves."""
    return [
        replace(held, states=tuple(state for state in held.states if keeps(kind, state)))
        for held in made
        if keeps(kind, held.resource)
    ]


def _by_report(versions: Sequence[ReportVersion]) -> list[list[ReportVersion]]:
    """Versions by report, in the order in which every door shows reports."""
    groups: dict[tuple[str, str, str], list[ReportVersion]] = {}
    for version in versions:
        groups.setdefault(version.report_name, []).append(version)
    first = [arrangement.current for arrangement in by_report(versions)]
    return [groups[current.report_name] for current in first if current is not None]


def _with_version(resource: Resource) -> Resource:
    meta: Mapping[str, object] = resource.get("meta", {})
    if "versionId" in meta:
        return resource
    version = mark(orjson.dumps(resource, option=orjson.OPT_SORT_KEYS).decode())
    return {**resource, "meta": {**meta, "versionId": version}}
