"""Dates of a search: prefixes, precision and order against moments told in Swedish time and in UTC (R4 3.1.1.4.7)."""

from datetime import UTC, datetime

import pytest

from samsyn.endpoints.fhir.search import matches, ordered, understand
from samsyn.endpoints.fhir.texts import whole_text
from samsyn.model.texts import ReportStatus, ReportVersion
from samsyn.reports.order import arrange

STUDY = {"resourceType": "ImagingStudy", "started": "2026-03-02T00:30:00+01:00"}
"""On 1 March in UTC."""


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("2026-03-02", True),
        ("eq2026-03-01", False),
        ("ne2026-03-02", False),
        ("2026-03", True),
        ("2026", True),
        ("sa2026-03-01", True),
        ("sa2026-03-02", False),
        ("eb2026-03-02", False),
        ("eb2026-03-03", True),
        ("ge2026-03-02", True),
        ("ge2026-03-03", False),
        ("le2026-03-01", False),
        ("le2026-03-02", True),
        ("gt2026-03-02", False),
        ("lt2026-03-02", False),
        ("2026-03-01T23:30:00Z", True),
        ("2026-03-02T00:30:00", True),  # without zone: in Sweden
        ("2026-03-01T23:30Z", True),
        ("2026-03-02T00:30+01:00", True),
        ("2026-03-02T00:30 01:00", True),  # a plus sign that was not escaped
        ("2026-03-01T23:31Z", False),
        ("sa2026-03-01T23:29Z", True),
        ("gt2026-03-01T23:30:00Z", False),
        ("sa2026-03-01T23:29:59.250Z", True),
        ("eb2026-03-01T23:30:01.000Z", True),
    ],
)
def test_a_moment_is_held_against_swedish_days_and_told_precision(asked: str, found: bool) -> None:
    assert matches(understand("ImagingStudy", [("started", asked)]), STUDY) is found


@pytest.mark.parametrize("second", [0, 1, 45, 59])
def test_a_minute_takes_in_its_seconds(second: int) -> None:
    study = {**STUDY, "started": f"2026-03-02T10:30:{second:02d}+01:00"}
    for asked in ("2026-03-02T10:30+01:00", "le2026-03-02T10:30+01:00", "ge2026-03-02T10:30+01:00"):
        assert matches(understand("ImagingStudy", [("started", asked)]), study)
    for asked in ("gt2026-03-02T10:30+01:00", "lt2026-03-02T10:30+01:00", "sa2026-03-02T10:30+01:00"):
        assert not matches(understand("ImagingStudy", [("started", asked)]), study)


def test_days_of_23_and_25_hours_are_whole_days() -> None:
    for day, last in (("2026-03-29", "23:59:59+02:00"), ("2026-10-25", "23:59:59+01:00")):
        study = {**STUDY, "started": f"{day}T{last}"}
        assert matches(understand("ImagingStudy", [("started", day)]), study)
    for hour in ("02:10:00+02:00", "02:10:00+01:00"):
        study = {**STUDY, "started": f"2026-10-25T{hour}"}
        assert matches(understand("ImagingStudy", [("started", "2026-10-25")]), study)


def test_documents_are_sorted_by_time_whatever_zone_it_is_told_in() -> None:
    told = [
        "2026-02-28T23:20:00+00:00",
        "2026-03-01T00:30:00+01:00",
        "2026-02-28T23:40:00+00:00",
        "2026-03-01",
    ]
    documents = [
        {"resourceType": "DocumentReference", "id": str(number), "date": date}
        for number, date in enumerate(told)
    ]
    for descending, order in (("", "3012"), ("-", "2103")):
        asked = understand("DocumentReference", [("_sort", f"{descending}date")])
        assert "".join(each["id"] for each in ordered(asked, documents)) == order


def test_what_can_not_be_a_moment_is_sorted_all_the_same() -> None:
    periods = [
        {"start": "2026-03-01T00:30:00+01:00"},
        {"start": "2026-02-28T23:20:00+00:00"},
        {},
        {"end": "2026"},
    ]
    documents = [
        {"resourceType": "DocumentReference", "id": str(number), "context": {"period": period}}
        for number, period in enumerate(periods)
    ]
    asked = understand("DocumentReference", [("_sort", "period")])
    assert "".join(each["id"] for each in ordered(asked, documents)) == "3102"
    assert ordered(understand("ImagingStudy", [("_sort", "started")]), [{**STUDY, "started": "0001-01-01"}])


def test_an_addendum_is_of_its_swedish_day() -> None:
    """At half past midnight the one that came a minute ago was dated yesterday."""
    made = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)

    def version(key: int, status: ReportStatus, text: str, *, fragment: bool) -> ReportVersion:
        return ReportVersion(key, "P", "U", "A1", "F1", status, made, "", "", text, made, fragment)

    base = version(1, ReportStatus.FINAL, "Svar.", fragment=False)
    addendum = version(2, ReportStatus.ADDENDUM, "Tillägg.", fragment=True)
    assert whole_text(arrange([base, addendum])) == "Tilläggssvar 2026-03-02:\nTillägg.\n\nSvar."
