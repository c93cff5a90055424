"""Free text search: what a doctor types finds the word in every form, and shows where."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samsyn.reports.textsearch import TextQuery

REPORT = (
    "DT thorax. I höger underlob finns en 22 mm stor lobulerad expansivitet, suspekt malignitet. "
    "Förstorade lymfkörtlar i mediastinum. Ingen pleuravätska. Jämförelse med lungröntgen 2026-10-23. "
    "Inga skelettmetastaser. André Åkesson informerad."
)


@pytest.mark.parametrize(
    "typed",
    [
        "lymfkörtel",
        "Lymfkörtlarna",
        "metastas",
        "metastaser",
        "röntgen",
        "expansiviteter",
        "PLEURAVÄTSKA",
        "vätska",
        "andre",
        "åkesson höger",
        "2026-10-23",
        "malign",
        "",
    ],
)
def test_every_form_of_a_word_and_parts_of_compounds_are_found(typed: str) -> None:
    assert TextQuery(typed).matches([REPORT])


@pytest.mark.parametrize(
    "typed", ["fraktur", "vanster", "akesson", "hoger", "lever", "metastas lever", "20261023"]
)
def test_other_words_are_not_found_and_swedish_letters_are_letters_of_their_own(typed: str) -> None:
    assert not TextQuery(typed).matches([REPORT])


def test_words_may_stand_in_different_texts_of_the_same_examination() -> None:
    assert TextQuery("metastas fråga").matches([REPORT, "Frågeställning: metastaser?"])


def test_the_snippet_shows_the_hits_in_the_text_s_own_letters() -> None:
    pieces = TextQuery("körtel").snippet(REPORT)
    assert [piece.text for piece in pieces if piece.is_hit] == ["lymfkörtlar"]
    assert "mediastinum" in "".join(piece.text for piece in pieces)


def test_text_without_a_hit_has_no_snippet() -> None:
    assert TextQuery("fraktur").snippet(REPORT) == ()


@given(st.text(max_size=100), st.text(max_size=2000))
def test_whatever_is_typed_the_snippet_is_made_of_the_text(typed: str, text: str) -> None:
    query = TextQuery(typed)
    whole = "".join(piece.text for piece in query.snippet(text))
    plain = " ".join(text.split())
    assert whole.removeprefix("… ").removesuffix(" …").strip() in plain
