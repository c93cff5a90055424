"""What a person's reports mean for the engagement index: that they are there, whose, and when they last changed.

No text leaves here, so that no View is needed for telling others that there is something (SVOD 2:4-5).
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from samsyn.access.facts import Policy
from samsyn.model.predicate import Everything
from samsyn.model.texts import ReportVersion
from samsyn.reports.examination import versions_of
from samsyn.reports.order import arrange
from samsyn.reports.release import released_at
from samsyn.reports.vidimering import words_about
from samsyn.store.index import examination_rows
from samsyn.store.index.port import IndexConnection


@dataclass(frozen=True, slots=True)
class EngagedReport:
    """One report of a person, without anything that it says."""

    provider: str
    unit: str
    mark: str
    """Changes whenever another text stands there."""
    changed: datetime
    """When it last became what it is: a version, an annulment or a vidimering came."""
    released: datetime | None
    """From when the patient may read it; None = not as it stands now."""


def reports_of(
    connection: IndexConnection,
    keys: frozenset[int],
    policy: Policy,
) -> list[EngagedReport]:
    """Every report with a known owner of these persons, annulled ones included: the contract tells those too."""
    rows = [
        row
        for row in examination_rows.reports(connection, Everything(), keys)
        if row["provider"] and row["unit"]
    ]
    days = {row["report_key"]: row["ends"] for row in rows if row["ends"]}
    groups: dict[tuple[str, str, str], list[ReportVersion]] = {}
    for version in versions_of(rows):
        groups.setdefault(version.report_name, []).append(version)
    found: list[EngagedReport] = []
    for (provider, _, _), versions in sorted(groups.items()):
        arrangement = arrange(versions)
        current = arrangement.current
        if current is None:
            continue
        keys_of_report = {version.version_key for version in versions}
        words = words_about(connection, keys_of_report)
        rule = policy.release_of(provider)
        last_day = max((day for key, day in days.items() if key in keys_of_report), default=None)
        moments = [version.received for version in versions]
        moments += [each.noted for each in words if rule is not None and rule.after_vidimering]
        keys_shown = [f"{each.role}{each.version.version_key}" for each in arrangement.shown]
        found.append(
            EngagedReport(
                provider,
                current.unit,
                hashlib.sha256(" ".join(sorted(keys_shown)).encode()).hexdigest()[:16],
                max(moments),
                released_at(policy, arrangement, words, last_day),
            )
        )
    return found
