"""The demo region's ten years of examinations are believable and the same every time."""

from datetime import date, datetime, time, timedelta

import pytest

from samsyn_demo.catalogue import KINDS
from samsyn_demo.history import Examination, Stage, history
from samsyn_demo.instances.objects import study_uid
from samsyn_demo.people import PEOPLE, STORY

ANCHOR = date(2026, 7, 12)


@pytest.fixture(scope="module")
def everything() -> tuple[Examination, ...]:
    return history(ANCHOR)


def test_the_same_anchor_date_gives_the_same_history(everything: tuple[Examination, ...]) -> None:
    assert history(ANCHOR) == everything


def test_another_anchor_date_shares_no_number_and_no_uid(everything: tuple[Examination, ...]) -> None:
    later = history(ANCHOR + timedelta(days=1))
    assert not {study_uid(each) for each in later} & {study_uid(each) for each in everything}
    for number in ("accession", "placer"):
        assert not {getattr(each, number) for each in later} & {getattr(each, number) for each in everything}


def test_numbers_are_unique_and_fit_their_fields(everything: tuple[Examination, ...]) -> None:
    accessions = {(each.provider.key, each.accession) for each in everything}
    assert len(accessions) == len({each.placer for each in everything}) == len(everything)
    assert all(len(each.accession) <= 16 for each in everything)


def test_everybody_has_a_history_of_at_most_ten_years(everything: tuple[Examination, ...]) -> None:
    for person in PEOPLE:
        mine = [each for each in everything if each.person is person]
        assert 1 <= len(mine) <= 13
        for each in mine:
            if person.birth_date:
                assert each.when > datetime.strptime(person.birth_date, "%Y%m%d")
            assert each.when.date() >= ANCHOR - timedelta(days=3655)


def test_only_what_is_booked_lies_in_the_future(everything: tuple[Examination, ...]) -> None:
    midnight = datetime.combine(ANCHOR, time(1))
    for each in everything:
        assert each.ordered < each.when
        assert (each.when > midnight) == (each.stage is Stage.SCHEDULED)
        moments = [version.when for version in each.versions]
        assert moments == sorted(moments)
        assert all(each.when < moment < midnight for moment in moments)


def test_the_newest_of_the_story_patient_come_first(everything: tuple[Examination, ...]) -> None:
    owners = [each.person is STORY for each in everything]
    assert owners == sorted(owners, reverse=True)
    days = [each.when.date() for each in everything if each.person is STORY]
    assert days == sorted(days, reverse=True)


def test_the_story_holds_for_the_general_practitioner(everything: tuple[Examination, ...]) -> None:
    story = [each for each in everything if each.person is STORY]
    own = [each for each in story if each.provider.key == "linden" and each.versions]
    assert own, "the GP's own unit must own a report that needs no consent"
    tomography = next(each for each in story if each.case.name == "tumour")
    assert tomography.provider.key == "nord"
    assert tomography.referrer_provider.key == "linden"
    assert "".join(version.status for version in tomography.versions) == "PFA"
    assert tomography.images
    kinds = {each.kind.key for each in story if each.images}
    assert kinds >= {"chest", "ct-chest", "ct-head", "mr-brain", "echo", "ecg", "knee", "us-aorta"}


def test_a_deceased_person_is_not_examined_after_death(everything: tuple[Examination, ...]) -> None:
    last = max(each.when for each in everything if each.person.deceased)
    assert (ANCHOR - last.date()).days > 700


def test_every_state_of_a_report_comes_up(everything: tuple[Examination, ...]) -> None:
    shapes = {"".join(version.status for version in each.versions) for each in everything}
    assert shapes >= {"", "P", "F", "PF", "FA", "PFA", "FC", "FX"}
    assert {each.stage for each in everything} >= {Stage.SCHEDULED, Stage.CANCELLED, Stage.PERFORMED}


def test_texts_without_images_and_images_without_texts_are_normal(
    everything: tuple[Examination, ...],
) -> None:
    assert any(each.versions and not each.images for each in everything if each.kind.quota)
    assert all(not each.versions for each in everything if each.provider.key == "solsidan")
    assert any(each.images for each in everything if each.provider.key == "solsidan")
    assert not any(each.images for each in everything if each.provider.key == "linden")


def test_examinations_before_the_merge_stand_under_the_reserve_number(
    everything: tuple[Examination, ...],
) -> None:
    numbers = {each.number for each in everything if each.person.key == "byter"}
    person = next(person for person in PEOPLE if person.key == "byter")
    assert numbers == {person.number, person.earlier_number}


def test_texts_can_be_written_in_the_hospital_s_character_set(everything: tuple[Examination, ...]) -> None:
    for each in everything:
        for text in (each.title, each.case.question, each.case.history, *(v.text for v in each.versions)):
            text.encode("iso8859-1")


def test_every_kind_has_its_own_name_and_code_at_each_unit_that_does_it() -> None:
    for kind in KINDS.values():
        assert {provider for provider, _, _ in kind.units} == set(kind.codes)
