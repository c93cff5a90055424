"""Which report version holds and in what order they are shown: never by arrival."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samsyn.model.texts import ReportStatus, ReportVersion
from samsyn.reports.order import Arrangement, Role, arrange, by_report

NOON = datetime(2024, 3, 15, 12, 0, tzinfo=UTC)
PRELIMINARY, FINAL, ADDENDUM, CORRECTION, ANNULLED = ReportStatus


def version(
    status: ReportStatus, hour: int | None, text: str = "", *, fragment: bool = False, accession: str = "A1"
) -> ReportVersion:
    return ReportVersion(
        version_key=0,
        provider="P",
        unit="U",
        accession=accession,
        filler_id="F1",
        status=status,
        result_time=None if hour is None else NOON + timedelta(hours=hour),
        author="",
        signer="",
        text=text or f"{status.value} {hour}",
        received=NOON,
        fragment=fragment,
    )


def arrived(versions: tuple[ReportVersion, ...]) -> list[ReportVersion]:
    """The versions with keys and times of arrival in this order."""
    return [
        ReportVersion(
            number, each.provider, each.unit, each.accession, each.filler_id, each.status, each.result_time,
            each.author, each.signer, each.text, NOON + timedelta(days=number), each.fragment, each.reason,
        )
        for number, each in enumerate(versions, start=1)
    ]  # fmt: skip


def look(arrangement: Arrangement) -> tuple[object, ...]:
    """What the reader sees, without keys of arrival."""
    return (
        [(shown.role, shown.version.text) for shown in arrangement.shown],
        [each.text for each in arrangement.earlier],
        arrangement.standing,
        arrangement.base_missing,
    )


P1 = version(PRELIMINARY, 1)
F2 = version(FINAL, 2)
A3 = version(ADDENDUM, 3, fragment=True)
A3_WHOLE = version(ADDENDUM, 3, "whole")
C4 = version(CORRECTION, 4)
A5 = version(ADDENDUM, 5, fragment=True)
X6 = version(ANNULLED, 6)
F7 = version(FINAL, 7)

PA3 = version(PRELIMINARY, 3, "added, not signed", fragment=True)

REPORT, ABOVE, STONE = Role.REPORT, Role.ADDENDUM, Role.TOMBSTONE

STORIES = [
    ([P1], [(REPORT, P1)], [], PRELIMINARY),
    ([P1, F2], [(REPORT, F2)], [P1], FINAL),
    ([P1, F2, A3], [(ABOVE, A3), (REPORT, F2)], [P1], ADDENDUM),
    ([P1, A3], [(ABOVE, A3), (REPORT, P1)], [], PRELIMINARY),
    ([P1, F2, A3_WHOLE], [(REPORT, A3_WHOLE)], [F2, P1], ADDENDUM),
    ([P1, F2, C4], [(REPORT, C4)], [F2, P1], CORRECTION),
    ([P1, F2, A3, C4], [(ABOVE, A3), (REPORT, C4)], [F2, P1], ADDENDUM),
    ([P1, F2, A3, C4, A5], [(ABOVE, A5), (ABOVE, A3), (REPORT, C4)], [F2, P1], ADDENDUM),
    ([P1, F2, C4, X6], [(STONE, X6)], [C4, F2, P1], ANNULLED),
    ([F2, A3, X6], [(STONE, X6)], [A3, F2], ANNULLED),
    ([F2, X6, F7], [(REPORT, F7)], [X6, F2], FINAL),
    ([F2, C4, F7], [(REPORT, F7)], [C4, F2], FINAL),
    ([X6], [(STONE, X6)], [], ANNULLED),
    ([F2, PA3], [(ABOVE, PA3), (REPORT, F2)], [], PRELIMINARY),
    ([F2, PA3, A3], [(ABOVE, A3), (REPORT, F2)], [PA3], ADDENDUM),
    ([F2, PA3, A5], [(ABOVE, A5), (REPORT, F2)], [PA3], ADDENDUM),
    ([F2, PA3, C4], [(REPORT, C4)], [PA3, F2], CORRECTION),
]


@pytest.mark.parametrize(("versions", "shown", "earlier", "standing"), STORIES)
def test_every_order_of_arrival_ends_in_the_same_page(
    versions: list[ReportVersion],
    shown: list[tuple[Role, ReportVersion]],
    earlier: list[ReportVersion],
    standing: ReportStatus,
) -> None:
    expected = ([(role, each.text) for role, each in shown], [each.text for each in earlier], standing, False)
    for order in permutations(versions):
        assert look(arrange(arrived(order))) == expected


def test_a_late_older_version_never_wins() -> None:
    assert arrange(arrived((C4, F2))).current == arrived((C4,))[0]


def test_a_preliminary_never_replaces_a_signed_text_however_late_its_time() -> None:
    late = version(PRELIMINARY, 9)
    arrangement = arrange(arrived((F2, late)))
    assert arrangement.current is not None
    assert arrangement.current.status is FINAL
    assert arrangement.standing is FINAL


def test_at_the_same_time_the_correction_holds_over_the_final() -> None:
    for order in permutations([version(FINAL, 2), version(CORRECTION, 2)]):
        arrangement = arrange(arrived(order))
        assert arrangement.standing is CORRECTION


def test_a_version_without_time_is_older_than_any_with_time() -> None:
    for order in permutations([version(FINAL, None, "untimed"), F2]):
        arrangement = arrange(arrived(order))
        assert arrangement.current is not None
        assert arrangement.current.text == F2.text


def test_an_addendum_without_its_report_is_shown_and_says_that_the_report_is_missing() -> None:
    arrangement = arrange(arrived((A3,)))
    assert [shown.role for shown in arrangement.shown] == [ABOVE]
    assert arrangement.base_missing


def test_the_same_version_sent_twice_is_shown_once() -> None:
    assert look(arrange(arrived((F2, F2, A3, A3)))) == look(arrange(arrived((F2, A3))))


def test_a_correction_names_what_it_replaced() -> None:
    arrangement = arrange(arrived((F2, P1, C4)))
    assert arrangement.replaced is not None
    assert arrangement.replaced.text == F2.text
    assert arrange(arrived((F2, P1))).replaced is None


def test_an_addendum_that_repeats_the_whole_names_what_it_added_to() -> None:
    arrangement = arrange(arrived((F2, A3_WHOLE)))
    assert arrangement.replaced is not None
    assert arrangement.replaced.text == F2.text
    assert arrange(arrived((F2, A3))).replaced is None
    assert arrange(arrived((A3,))).replaced is None


def test_nothing_is_arranged_as_nothing() -> None:
    arrangement = arrange([])
    assert arrangement.shown == ()
    assert arrangement.current is None
    assert arrangement.standing is None
    assert by_report([]) == ()


def test_reports_of_several_examinations_are_kept_apart_the_latest_first() -> None:
    other = version(FINAL, 9, accession="A2")
    arrangements = by_report([*arrived((P1, F2, other))])
    assert [[shown.version.text for shown in each.shown] for each in arrangements] == [
        [other.text],
        [F2.text],
    ]


versions = st.lists(
    st.builds(
        version,
        st.sampled_from(list(ReportStatus)),
        st.none() | st.integers(0, 4),
        st.sampled_from(["a", "b"]),
        fragment=st.booleans(),
    ),
    max_size=7,
)


@given(versions, st.randoms())
def test_any_set_of_versions_looks_the_same_in_any_order_and_loses_none(
    drawn: list[ReportVersion], random: object
) -> None:
    mixed = list(drawn)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    first, second = arrange(arrived(tuple(drawn))), arrange(arrived(tuple(mixed)))
    assert look(first) == look(second)
    seen = {(each.text, each.status, each.result_time) for each in first.earlier}
    seen |= {(shown.version.text, shown.version.status, shown.version.result_time) for shown in first.shown}
    assert seen == {(each.text, each.status, each.result_time) for each in drawn}
    living_addenda = [shown for shown in first.shown if shown.role is Role.ADDENDUM]
    if first.standing is not ReportStatus.ANNULLED:
        fallen = max((each.result_time or datetime.min.replace(tzinfo=UTC) for each in drawn
                      if each.status is ReportStatus.ANNULLED), default=None)  # fmt: skip
        for each in drawn:
            told = each.result_time or datetime.min.replace(tzinfo=UTC)
            if each.status is ReportStatus.ADDENDUM and each.fragment and (fallen is None or told > fallen):
                assert any(shown.version.text == each.text for shown in living_addenda)


def test_of_two_finals_of_one_moment_the_one_that_was_said_last_holds() -> None:
    first = replace(version(FINAL, 2, "Ingen fraktur."), told="2024-03-15T14:00:00+00:00")
    second = replace(version(FINAL, 2, "Fraktur."), told="2024-03-15T15:00:00+00:00")
    for order in permutations([(1, first), (2, second)]):
        numbered = [replace(each, version_key=key) for key, each in order]
        assert arrange(numbered).shown[0].version.text == "Fraktur."
