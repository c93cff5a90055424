"""The people and providers of the demo region are what their published patterns say."""

import tomllib
from pathlib import Path

import pytest

from samsyn import settings as samsyn_settings
from samsyn_demo.people import PEOPLE, SLL_RESERVNUMMER, STORY, luhn_digit, personnummer
from samsyn_demo.region import LINDEN, REGION, Ports, settings_toml


def test_computed_numbers_agree_with_the_published_vectors() -> None:
    vectors = ("189001019802", "190001019801", "200002292399", "202402292383", "199001012385")
    assert all(personnummer(number[:8], number[8:11]) == number for number in vectors)


def test_every_number_is_one_of_the_test_series() -> None:
    for person in PEOPLE:
        if person.issuer == SLL_RESERVNUMMER:
            assert person.number[:2] == "99"
            assert luhn_digit(person.number[4:11]) == person.number[11]
            continue
        assert luhn_digit(person.number[2:11]) == person.number[11]
        serial = int(person.number[8:11])
        assert 980 <= serial <= 999 or serial in (238, 239) or person is STORY
        assert (serial % 2 == 1) == (person.sex == "M")


def test_about_forty_people_with_the_special_cases_among_them() -> None:
    assert 38 <= len(PEOPLE) <= 45
    assert len({person.number for person in PEOPLE}) == len(PEOPLE) == len({p.key for p in PEOPLE})
    assert STORY.number == "191212121212"
    assert sum(person.protected for person in PEOPLE) == 1
    assert sum(person.deceased for person in PEOPLE) == 1
    assert sum(bool(person.earlier_number) for person in PEOPLE) == 1
    letters = "".join(person.family + person.given for person in PEOPLE).lower()
    assert all(letter in letters for letter in "åäöé")


def test_the_written_settings_are_taken_by_samsyn(tmp_path: Path) -> None:
    path = tmp_path / "samsyn.toml"
    path.write_text(settings_toml(str(tmp_path / "data"), Ports(), {"solsidan-stow": "t"}), encoding="utf-8")
    settings = samsyn_settings.load(path, {})
    assert [provider.hsa_id for provider in settings.provider] == [provider.hsa_id for provider in REGION]
    linden = next(provider for provider in settings.provider if provider.hsa_id == LINDEN.hsa_id)
    assert linden.reading
    assert not linden.images_in
    assert "NORDPACS" in {peer.ae_title for p in settings.provider for peer in p.dicom_peer if peer.port}


def test_settings_without_a_token_for_the_breast_centre_are_refused() -> None:
    with pytest.raises(KeyError):
        settings_toml("data", Ports(), {})


def test_the_settings_file_never_holds_a_token() -> None:
    text = settings_toml("data", Ports(), {"solsidan-stow": "hemligt-ord"})
    assert "hemligt-ord" not in text
    assert tomllib.loads(text)["provider"][2]["token"][0]["may_query"] is False
