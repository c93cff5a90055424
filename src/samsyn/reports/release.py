"""When a patient may read a report: the provider's rule (approvedForPatient), as a moment. Pure.

It depends on the report's state and on time. The region's own rule for the own record (access.rules.own_record) holds
besides: the later of the two moments counts, so that no contract tells what the patient's own page withholds.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from samsyn.access.facts import Policy
from samsyn.model.texts import ReportStatus, ReportVersion, Vidimering
from samsyn.reports.order import Arrangement
from samsyn.reports.vidimering import vidimerad
from samsyn.settings.contracts import ReleaseSettings


def released_at(
    rule: ReleaseSettings,
    policy: Policy,
    arrangement: Arrangement,
    words: Iterable[Vidimering],
    last_day: int | None,
) -> datetime | None:
    """The moment from which the patient may read what stands there now; None = no moment has been set by anything yet.

    `last_day`: YYYYMMDD of the last day that the report documents, None = unknown. A text that comes later (addendum,
    correction) sets the time anew. An annulled report, and an addendum without what it adds to, are not released.
    """
    current = arrangement.current
    if current is None or last_day is None or rule.when == "never" or arrangement.base_missing:
        return None
    if arrangement.standing is ReportStatus.ANNULLED or current.unit in rule.excluded_units:
        return None
    # What nobody has signed no patient reads (rules.own_record).
    if arrangement.standing is ReportStatus.PRELIMINARY:
        return None
    newest = max(_made(each.version) for each in arrangement.shown)
    moments = [newest + timedelta(days=rule.days), region_from(policy, last_day)]
    if rule.after_vidimering:
        said = vidimerad(arrangement, words).current
        if not said:
            return None
        moments.append(min(each.noted for each in said))
    return max(moments)


def region_from(policy: Policy, last_day: int) -> datetime:
    """From when the region's rule (rules.last_day_for_patient) shows the patient what documents until that day."""
    day = datetime(last_day // 10_000, last_day // 100 % 100, last_day % 100, tzinfo=UTC)
    return day + timedelta(days=policy.patient_delay_days)


def _made(version: ReportVersion) -> datetime:
    return version.result_time or version.received
