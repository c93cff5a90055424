"""When a patient may read a report: the provider's rule, and never before the region's own."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samsyn.access.facts import Facts, Policy, Release
from samsyn.access.rules import decide
from samsyn.model.predicate import Item
from samsyn.model.subject import Purpose, Subject, SubjectKind
from samsyn.model.texts import ReportStatus, ReportVersion, Vidimering
from samsyn.reports.order import arrange
from samsyn.reports.release import released_at, shown_from
from samsyn.reports.vidimering import state_mark

MADE = datetime(2026, 10, 1, 10, 0, tzinfo=UTC)
DAY = timedelta(days=1)
PROVIDER, UNIT = "SE9990000001-0001", "SE9990000001-1001"
AT_ONCE, FORTNIGHT = Release(PROVIDER), Release(PROVIDER, 14)


def version(status: ReportStatus = ReportStatus.FINAL, made: datetime = MADE, key: int = 1) -> ReportVersion:
    return ReportVersion(
        key, "SE9990000001-0001", UNIT, "ACC1", "RIS1", status, made, "A", "S", f"text {key}", made
    )


def at(rule: Release | None, *versions: ReportVersion, days: int = 0, **more: object) -> datetime | None:
    words = more.get("words", ())
    policy = Policy(patient_delay_days=days, releases=(rule,) if rule else ())
    return released_at(policy, arrange(versions), words, more.get("last_day", 20261001))  # type: ignore[arg-type]


def test_who_has_set_no_rule_lets_nobody_read() -> None:
    assert at(None, version()) is None
    assert at(Release("SE9990000002-0001"), version()) is None


def test_a_signed_report_is_released_when_the_days_have_passed_to_the_second() -> None:
    assert at(FORTNIGHT, version()) == MADE + 14 * DAY
    assert at(AT_ONCE, version()) == MADE


@pytest.mark.parametrize("status", [ReportStatus.PRELIMINARY, ReportStatus.ANNULLED])
def test_what_is_not_signed_or_annulled_is_not_released(status: ReportStatus) -> None:
    assert at(AT_ONCE, version(status)) is None


def test_a_later_text_sets_the_time_anew() -> None:
    later = version(ReportStatus.CORRECTION, MADE + 3 * DAY, 2)
    assert at(FORTNIGHT, version(), later) == MADE + 17 * DAY


def test_an_addendum_alone_is_not_released() -> None:
    alone = replace(version(ReportStatus.ADDENDUM), fragment=True)
    assert at(AT_ONCE, alone) is None


def test_an_excluded_unit_releases_nothing() -> None:
    assert at(Release(PROVIDER, excluded_units=frozenset({UNIT})), version()) is None


def test_of_an_unknown_day_nothing_is_released() -> None:
    assert at(AT_ONCE, version(), last_day=None) is None


def test_vidimering_of_what_stands_there_now_releases_and_of_what_stood_there_before_does_not() -> None:
    rule = Release(PROVIDER, after_vidimering=True)
    assert at(rule, version()) is None
    said = MADE + 2 * DAY
    word = Vidimering(1, state_mark(arrange([version()])), "Eva Lindgren", "Linden", said)
    assert at(rule, version(), words=(word,)) == said
    assert at(rule, version(), version(ReportStatus.CORRECTION, MADE + 3 * DAY, 2), words=(word,)) is None


def test_the_regions_rule_holds_besides_the_providers() -> None:
    assert at(AT_ONCE, version(), days=14) == datetime(2026, 10, 15, tzinfo=UTC)


@given(
    st.dates(datetime(2020, 1, 1).date(), datetime(2026, 12, 31).date()),
    st.datetimes(datetime(2020, 1, 1), datetime(2027, 1, 31), timezones=st.just(UTC)),
    st.integers(0, 30),
    st.integers(0, 30),
)
def test_the_moment_is_that_of_the_rule_for_the_own_record(
    ends: object, now: datetime, days: int, own: int
) -> None:
    day = int(ends.strftime("%Y%m%d"))  # type: ignore[attr-defined]
    himself = Subject(SubjectKind.PATIENT, "p", "P", None, patient_key=7)
    rule = Release(PROVIDER, own)
    policy = Policy(patient_delay_days=days, releases=(rule,))
    told = Facts(himself, Purpose.OWN_RECORD, frozenset({7}), now, policy=policy)
    item = Item(7, "SE9990000001-0001", UNIT, day, day)
    assert decide(told, item).visible == (shown_from(policy, rule, day) <= now)
