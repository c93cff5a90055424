"""Where in the settings file a fault stands. Pure functions on the file's text."""

import re
from difflib import get_close_matches
from pathlib import Path
from typing import get_args

from pydantic import BaseModel, ValidationError


def explain(path: Path | None, text: str, problem: ValidationError, settings: type[BaseModel]) -> str:
    """One line per fault: file, line number where the key stands, what is wrong. `settings`: what was to be read."""
    lines: list[str] = []
    for fault in problem.errors():
        place = fault["loc"]
        number = _line_of(text, place)
        if fault["type"] == "double":
            number = _last_line_with(text, fault["ctx"]["name"])
        where = f"{path or 'settings'}:{number}" if number else f"{path or 'settings'}"
        keys = ".".join(str(part) for part in place if not isinstance(part, int))
        said = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            said = f"there is no such setting{_like(settings, place)}"
        lines.append(f"{where}: {keys or 'settings'}: {said}")
    return "\n".join(lines)


def _like(settings: type[BaseModel], place: tuple[int | str, ...]) -> str:
    """What the last name of the place may have been meant for, among those that its table has."""
    model = settings
    for name in place[:-1]:
        if isinstance(name, str):
            kind = model.model_fields[name].annotation
            model = next(
                each
                for each in (kind, *get_args(kind))
                if isinstance(each, type) and issubclass(each, BaseModel)
            )
    near = get_close_matches(str(place[-1]), model.model_fields, 1)
    return f": is {near[0]} meant?" if near else "; `samsyn config` prints all that there are"


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
