"""Which side of the patient lies at which edge of a picture (PS3.3 C.7.6.1.1.1, C.7.6.2.1.1, C.7.6.16.2.3).

Pure. A side that is not told, or told in a way that makes no sense, is left out: no letter is better than a wrong one.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeAlias

Sides: TypeAlias = tuple[str, str, str, str]
"""Letters at the left, right, upper and lower edge: R L (right, left), A P (front, back), H F (head, feet); the main
direction first, at most two; "" = not told."""

UNTOLD: Final[Sides] = ("", "", "", "")
_AXES: Final = (("L", "R"), ("P", "A"), ("H", "F"))
"""The patient's axes x, y, z: where they point to, and the other way."""
_OTHER_WAY: Final = {"L": "R", "R": "L", "P": "A", "A": "P", "H": "F", "F": "H"}
_SHARE: Final = 0.4
"""Cosine from which a second direction is told: within about 66 degrees of its axis."""
_TOLERANCE: Final = 0.01
"""How far a direction's length may be from 1, and two directions from a right angle."""


def sides_of(document: dict[str, Any]) -> Sides:
    """The edges of every frame of the instance. Frames that lie differently, or nothing told: UNTOLD."""
    shared, frames = _groups(document, "52009229"), _groups(document, "52009230")
    found = {_numbers(each, "00200037") for group in (*shared, *frames) for each in _items(group, "00209116")}
    if len(found) > 1:
        return UNTOLD
    cosines = found.pop() if found else _numbers(document, "00200037")
    return _by_cosines(cosines) if cosines else _by_letters(document)


def _by_cosines(cosines: Sequence[float]) -> Sides:
    row, column = cosines[:3], cosines[3:]
    if len(cosines) != 6 or not (_is_unit(row) and _is_unit(column)):
        return UNTOLD
    if abs(sum(one * other for one, other in zip(row, column, strict=True))) > _TOLERANCE:
        return UNTOLD
    right, lower = _letters(row), _letters(column)
    return _opposite(right), right, _opposite(lower), lower


def _is_unit(direction: Sequence[float]) -> bool:
    return abs(math.hypot(*direction) - 1.0) <= _TOLERANCE


def _letters(direction: Sequence[float]) -> str:
    """Where a direction points to, the axis nearest to it first."""
    parts = sorted(zip(direction, _AXES, strict=True), key=lambda part: -abs(part[0]))
    return "".join(axis[value < 0] for value, axis in parts[:2] if abs(value) > _SHARE)


def _by_letters(document: dict[str, Any]) -> Sides:
    """Patient Orientation: where the rows and the columns run to."""
    values = document.get("00200020", {}).get("Value") or []
    told = [value if isinstance(value, str) and set(value) <= set(_OTHER_WAY) else "" for value in values]
    if len(told) != 2 or not all(told):
        return UNTOLD
    right, lower = told[0][:2], told[1][:2]
    return _opposite(right), right, _opposite(lower), lower


def _opposite(letters: str) -> str:
    return "".join(_OTHER_WAY[letter] for letter in letters)


def _groups(document: dict[str, Any], tag: str) -> list[dict[str, Any]]:
    return list(_items(document, tag))


def _items(place: dict[str, Any], tag: str) -> Iterator[dict[str, Any]]:
    for item in place.get(tag, {}).get("Value") or []:
        if isinstance(item, dict):
            yield item


def _numbers(place: dict[str, Any], tag: str) -> tuple[float, ...]:
    values = place.get(tag, {}).get("Value") or []
    numbers = [
        float(value) for value in values if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    return tuple(numbers) if len(numbers) == len(values) and all(map(math.isfinite, numbers)) else ()
