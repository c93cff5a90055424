"""Where in the settings file a fault stands. Pure functions on the file's text."""

import re
from pathlib import Path

from pydantic import ValidationError


def explain(path: Path | None, text: str, problem: ValidationError) -> str:
    """One line per fault: file, line number where the key stands, what is wrong."""
    lines: list[str] = []
    for fault in problem.errors():
        place = fault["loc"]
        number = _line_of(text, place)
        if fault["type"] == "double":
            number = _last_line_with(text, fault["ctx"]["name"])
        where = f"{path or 'settings'}:{number}" if number else f"{path or 'settings'}"
        keys = ".".join(str(part) for part in place if not isinstance(part, int))
        lines.append(f"{where}: {keys or 'settings'}: {fault['msg'].removeprefix('Value error, ')}")
    return "\n".join(lines)


_HEADING = re.compile(r"\s*(\[\[?)\s*([\w.-]+)\s*\]")
_KEY = re.compile(r"\s*([\w.-]+)\s*=")


def _line_of(text: str, place: tuple[int | str, ...]) -> int:
    """The line where a value stands, or the heading of the table that it should stand in; 0 = nowhere."""
    table: tuple[int | str, ...] = ()
    counts: dict[tuple[int | str, ...], int] = {}
    deepest, found = 0, 0
    for number, line in enumerate(text.splitlines(), start=1):
        if heading := _HEADING.match(line):
            here = table = _table(heading[2].split("."), heading[1] == "[[", counts)
        elif key := _KEY.match(line):
            here = (*table, *key[1].split("."))
        else:
            continue
        depth = min(len(here), len(place))
        if depth > deepest and here[:depth] == place[:depth]:
            deepest, found = depth, number
    return found


def _table(
    names: list[str], is_array: bool, counts: dict[tuple[int | str, ...], int]
) -> tuple[int | str, ...]:
    """The place of a heading's table; `counts` has the highest number of each array of tables so far."""
    place: tuple[int | str, ...] = ()
    for position, name in enumerate(names):
        place = (*place, name)
        if is_array and position == len(names) - 1:
            counts[place] = counts.get(place, -1) + 1
        if place in counts:
            place = (*place, counts[place])
    return place


def _last_line_with(text: str, value: str) -> int:
    quoted = re.compile(rf"=\s*[\"']{re.escape(value)}[\"']")
    return max((number for number, line in enumerate(text.splitlines(), 1) if quoted.search(line)), default=0)
