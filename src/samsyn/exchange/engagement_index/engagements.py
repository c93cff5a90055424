"""Engagements: what the index should know of a person, and what must be told so that it does. Pure.

One engagement is one person x source system x controller (personuppgiftsansvarig), all of a person's reports there
together. Only the population register's numbers are told; a reserve number never is.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from samsyn.model.patient import PatientIdentifier
from samsyn.patients.identifiers import ISSUERS, Kind, preference
from samsyn.reports.engagements import EngagedReport

NATIONAL: Final = frozenset({ISSUERS[Kind.PERSONNUMMER], ISSUERS[Kind.SAMORDNINGSNUMMER]})
_NUMBER: Final = re.compile("[0-9]{8}[0-9A-Zptf]{4}")

SourcesOf = Callable[[str, str], Iterable[str]]
"""HSA-ids of the source systems that serve a (provider, unit)."""


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """What makes an engagement one and the same for the index."""

    number: str
    logical_address: str
    controller: str


@dataclass(frozen=True, slots=True)
class Engagement:
    """What the index knows or should know under a key."""

    mark: str
    """Names everything that it stands for; another mark = it has changed."""
    most_recent: datetime
    first_told: datetime
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to tell: an engagement as it is now, or None = it is no more."""

    key: Key
    engagement: Engagement | None
    before: Engagement | None


def main_number(identifiers: Iterable[PatientIdentifier]) -> str:
    """The number under which the person stands in the index, "" when there is none that may be told."""
    known = [each for each in identifiers if each.issuer in NATIONAL and _NUMBER.fullmatch(each.value)]
    # Own numbers come before those of linked persons, and stay before them among equals.
    return min(known, key=preference).value if known else ""


def engagements(
    number: str, reports: Iterable[EngagedReport], sources_of: SourcesOf, now: datetime
) -> dict[Key, Engagement]:
    """What the index should know now; a report that has been released to the patient has changed by that."""
    if not number:
        return {}
    groups: dict[Key, list[EngagedReport]] = {}
    for report in reports:
        for source in sources_of(report.provider, report.unit):
            groups.setdefault(Key(number, source, report.provider), []).append(report)
    return {
        key: Engagement(_mark(group, now), max(_changed(each, now) for each in group), now)
        for key, group in groups.items()
    }


def next_change(reports: Iterable[EngagedReport], now: datetime) -> datetime | None:
    """When the passing of time alone changes something next: a report reaches its patient."""
    return min(
        (each.released for each in reports if each.released is not None and each.released > now), default=None
    )


def steps(wanted: Mapping[Key, Engagement], told: Mapping[Key, Engagement], now: datetime) -> list[Step]:
    """What must be told, in a steady order; nothing for what the index knows already."""
    found: list[Step] = []
    for key in sorted(wanted.keys() | told.keys()):
        before, after = told.get(key), wanted.get(key)
        if after is None:
            found.append(Step(key, None, before))
        elif before is None:
            found.append(Step(key, after, None))
        elif before.mark != after.mark or before.refusal:
            moment = after.most_recent
            if before.mark != after.mark and moment <= before.most_recent:
                # Something was taken away: then the change itself is the most recent.
                moment = now
            found.append(Step(key, Engagement(after.mark, moment, before.first_told), before))
    return found


def _mark(group: Iterable[EngagedReport], now: datetime) -> str:
    parts = sorted(f"{each.mark}{_is_released(each, now)}" for each in group)
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:24]


def _changed(report: EngagedReport, now: datetime) -> datetime:
    if report.released is not None and _is_released(report, now):
        return max(report.changed, report.released)
    return report.changed


def _is_released(report: EngagedReport, now: datetime) -> bool:
    return report.released is not None and report.released <= now
