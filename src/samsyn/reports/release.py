"""When a patient may read a report: the provider's rule (approvedForPatient), as a moment. Pure.

It depends on the report's state and on time. The law's rule for the own record (access.rules.own_record), which
every View holds to, counts besides: the later of the two moments. The patient's own pages and a guardian's, apps that
they let in, and national contracts all ask here, so that none tells what another withholds.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from samsyn.access.facts import Policy, Release
from samsyn.model.texts import ReportStatus, ReportVersion, Vidimering
from samsyn.reports.order import Arrangement
from samsyn.reports.vidimering import vidimerad


def released_at(
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
    if current is None or last_day is None or arrangement.base_missing:
        return None
    rule = policy.release_of(current.provider)
    if rule is None:
        return None
    if arrangement.standing is ReportStatus.ANNULLED or current.unit in rule.excluded_units:
        return None
    # What nobody has signed no patient reads (rules.own_record).
    if arrangement.standing is ReportStatus.PRELIMINARY:
        return None
    newest = max(_made(each.version) for each in arrangement.shown)
    moments = [newest + timedelta(days=rule.days), shown_from(policy, rule, last_day)]
    if rule.after_vidimering:
        said = vidimerad(arrangement, words).current
        if not said:
            return None
        moments.append(min(each.noted for each in said))
    return max(moments)


def shown_from(policy: Policy, rule: Release, last_day: int) -> datetime:
    """From when the View of a patient (rules.last_day_for_patient) shows what documents until that day."""
    day = datetime(last_day // 10_000, last_day // 100 % 100, last_day % 100, tzinfo=UTC)
    return day + timedelta(days=max(rule.days, policy.patient_delay_days))


def _made(version: ReportVersion) -> datetime:
    return version.result_time or version.received
