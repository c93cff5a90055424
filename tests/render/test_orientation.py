"""Left and right are told right, or not at all."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samsyn.render.orientation import UNTOLD, sides_of


def _plane(*cosines: float) -> dict[str, Any]:
    return {"00200037": {"vr": "DS", "Value": list(cosines)}}


@pytest.mark.parametrize(
    ("cosines", "sides"),
    [
        ((1, 0, 0, 0, 1, 0), ("R", "L", "A", "P")),  # axial, as one sees it from the feet
        ((1, 0, 0, 0, 0, -1), ("R", "L", "H", "F")),  # coronal
        ((0, 1, 0, 0, 0, -1), ("A", "P", "H", "F")),  # sagittal
        ((-1, 0, 0, 0, -1, 0), ("L", "R", "P", "A")),  # lying on the belly
        ((0.8, 0.6, 0, -0.6, 0.8, 0), ("RA", "LP", "AL", "PR")),  # turned
    ],
)
def test_the_edges_follow_from_image_orientation(cosines: tuple[float, ...], sides: tuple[str, ...]) -> None:
    assert sides_of(_plane(*cosines)) == sides


@pytest.mark.parametrize(
    ("told", "sides"),
    [
        (["L", "F"], ("R", "L", "H", "F")),
        (["P", "F"], ("A", "P", "H", "F")),
        (["A", "R"], ("P", "A", "L", "R")),
    ],
)
def test_a_radiograph_tells_its_edges_in_letters(told: list[str], sides: tuple[str, ...]) -> None:
    assert sides_of({"00200020": {"vr": "CS", "Value": told}}) == sides


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"00200020": {"vr": "CS"}},
        {"00200020": {"vr": "CS", "Value": ["L"]}},
        {"00200020": {"vr": "CS", "Value": ["L", None]}},
        {"00200020": {"vr": "CS", "Value": ["LE", "V"]}},
        _plane(1, 0, 0, 0, 1),
        _plane(0, 0, 0, 0, 0, 0),
        _plane(1, 0, 0, 1, 0, 0),
        _plane(2, 0, 0, 0, 2, 0),
        {"00200037": {"vr": "DS", "Value": [1, 0, 0, 0, math.nan, 0]}},
        {"00200037": {"vr": "DS", "Value": ["1", "0", "0", "0", "1", "0"]}},
    ],
)
def test_what_makes_no_sense_tells_no_side(document: dict[str, Any]) -> None:
    assert sides_of(document) == UNTOLD


def test_frames_of_one_instance_that_lie_differently_tell_no_side() -> None:
    axial, coronal = _plane(1, 0, 0, 0, 1, 0), _plane(1, 0, 0, 0, 0, -1)
    groups = [{"00209116": {"vr": "SQ", "Value": [plane]}} for plane in (axial, coronal)]
    assert sides_of({"52009230": {"vr": "SQ", "Value": groups[:1]}}) == ("R", "L", "A", "P")
    assert sides_of({"52009229": {"vr": "SQ", "Value": groups[1:]}}) == ("R", "L", "H", "F")
    assert sides_of({"52009230": {"vr": "SQ", "Value": groups}}) == UNTOLD


@given(st.floats(0, 2 * math.pi), st.floats(-math.pi / 2, math.pi / 2))
def test_opposite_edges_always_tell_opposite_sides(turn: float, tilt: float) -> None:
    row = (math.cos(turn) * math.cos(tilt), math.sin(turn) * math.cos(tilt), math.sin(tilt))
    column = (-math.sin(turn), math.cos(turn), 0.0)
    left, right, upper, lower = sides_of(_plane(*row, *column))
    other = str.maketrans("LRPAHF", "RLAPFH")
    assert right
    assert left == right.translate(other)
    assert lower
    assert upper == lower.translate(other)
