"""How facts read on the pages."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samsyn.endpoints import viewer
from samsyn.endpoints.viewer.language import Languages
from samsyn.endpoints.viewer.wording import age, changes, day, moment, short_moment
from samsyn.model.person_name import PersonName

LOCALE = Path(viewer.__file__).with_name("locale")
NOW = datetime(2026, 11, 22, 14, 30, tzinfo=UTC)


def test_a_day_is_written_year_first_and_what_is_no_day_stays_as_sent() -> None:
    assert day("20240315") == "2024-03-15"
    assert day("") == ""
    assert day("2024") == "2024"


def test_midnight_at_the_end_of_today_is_told_as_24_00() -> None:
    assert short_moment(datetime(2026, 11, 22, 23, 0, tzinfo=UTC), NOW) == "24:00"
    assert short_moment(datetime(2026, 11, 22, 17, 5, tzinfo=UTC), NOW) == "18:05"
    assert short_moment(datetime(2026, 11, 24, 8, 0, tzinfo=UTC), NOW) == "2026-11-24 09:00"


@pytest.mark.parametrize(
    ("birth", "sv", "en"),
    [
        ("20261122", "0 dagar", "0 days"),
        ("20261121", "1 dag", "1 day"),
        ("20261023", "30 dagar", "30 days"),
        ("20261022", "4 veckor", "4 weeks"),
        ("20260823", "13 veckor", "13 weeks"),
        ("20260822", "3 månader", "3 months"),
        ("20241123", "23 månader", "23 months"),
        ("20241122", "2 år", "2 years"),
        ("20041123", "21 år", "21 years"),
        ("19121212", "113 år", "113 years"),
        ("20240229", "2 år", "2 years"),
        ("20261123", "", ""),
        ("19140168", "", ""),
        ("1914", "", ""),
        ("", "", ""),
    ],
)
def test_an_age_is_told_in_the_units_of_care_and_never_guessed(birth: str, sv: str, en: str) -> None:
    languages = Languages(LOCALE)
    on = date(2026, 11, 22)
    assert (age(birth, on, languages.words("sv")), age(birth, on, languages.words("en"))) == (sv, en)


def test_a_dicom_name_is_read_given_name_first() -> None:
    assert PersonName.of("Åsk^Birgitta").written() == "Birgitta Åsk"
    assert PersonName.of("Yamada^Tarou=山田^太郎").written() == "Tarou Yamada"
    assert PersonName.of("=山田^太郎").written() == "太郎 山田"
    assert PersonName.of("Ek^Eva^Maria^Dr^").written() == "Dr Eva Maria Ek"
    assert PersonName.of("").written() == ""


def test_a_correction_shows_exactly_the_words_that_changed() -> None:
    found = changes("Fraktur i höger handled.", "Fraktur i vänster handled.")
    assert [(each.kind, each.text) for each in found] == [
        ("same", "Fraktur i "),
        ("gone", "höger"),
        ("new", "vänster"),
        ("same", " handled."),
    ]


@given(st.text(max_size=200), st.text(max_size=200))
def test_a_difference_loses_nothing_of_either_text(before: str, after: str) -> None:
    found = changes(before, after)
    assert "".join(each.text for each in found if each.kind != "new") == before
    assert "".join(each.text for each in found if each.kind != "gone") == after


def test_a_very_long_text_is_compared_by_lines_and_loses_nothing() -> None:
    before = "\n".join(f"rad {n} med några ord" for n in range(4_000))
    after = before.replace("rad 17 ", "rad sjutton ")
    found = changes(before, after)
    assert "".join(each.text for each in found if each.kind != "gone") == after
    assert sum(each.kind == "new" for each in found) == 1


def test_a_replaced_phrase_is_one_piece_and_lines_stay_apart() -> None:
    found = changes("Ospecifik förtätning.\nKontroll sedan.", "Misstänkt tumör.\nKontroll nu.")
    assert [(each.kind, each.text) for each in found] == [
        ("gone", "Ospecifik förtätning."),
        ("new", "Misstänkt tumör."),
        ("same", "\nKontroll "),
        ("gone", "sedan."),
        ("new", "nu."),
    ]


@pytest.mark.parametrize(
    ("hour", "told"),
    [
        ("2024-10-26T23:50", "2024-10-27 01:50"),
        ("2024-10-27T00:50", "2024-10-27 02:50 (UTC+02)"),
        ("2024-10-27T01:10", "2024-10-27 02:10 (UTC+01)"),
        ("2024-10-27T02:00", "2024-10-27 03:00"),
        ("2024-03-31T01:10", "2024-03-31 03:10"),
    ],
)
def test_of_the_hour_that_comes_twice_a_page_tells_which(hour: str, told: str) -> None:
    time = datetime.fromisoformat(f"{hour}Z")
    assert moment(time) == told
    assert short_moment(time, NOW) == told
    assert short_moment(time, time) == told[11:]
