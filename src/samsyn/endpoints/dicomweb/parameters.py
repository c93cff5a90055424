"""Query parameters (PS3.18 8.3): what a request says, and which of it is none of ours and only told as ignored."""

import re
from collections.abc import Container, Iterable
from typing import Final
from urllib.parse import parse_qsl

import orjson

from samsyn.endpoints.dicomweb.answers import Answer
from samsyn.endpoints.dicomweb.errors_table import AddressTooLong
from samsyn.errors import BadInput
from samsyn.limits import MAX_QUERY_CHARACTERS
from samsyn.search.matching import NotMatched

_FOREIGN: Final = re.compile(r"[a-z_][A-Za-z0-9_]{0,63}", re.ASCII)
MAX_TOLD: Final = 8
"""Names in one Warning."""


def pairs_of(query_string: bytes, most: int) -> list[tuple[str, str]]:
    """Names and values in order; a name alone has the value "" (PS3.18 8.3.1).

    AddressTooLong: MAX_QUERY_CHARACTERS. BadInput: malformed, or more than `most`.
    """
    if len(query_string) > MAX_QUERY_CHARACTERS:
        raise AddressTooLong("MAX_QUERY_CHARACTERS")
    try:
        return parse_qsl(
            query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=most
        )
    except (ValueError, UnicodeDecodeError):
        raise BadInput("the query string is malformed") from None


def own_and_foreign(
    query_string: bytes, known: Container[str], most: int
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The parameters that are known, each once, and the names of foreign ones. Errors of `pairs_of`; BadInput: one is
    unknown and none to be ignored, or stands twice."""
    found: dict[str, str] = {}
    foreign: list[str] = []
    for name, value in pairs_of(query_string, most):
        if name in known and name not in found:
            found[name] = value
        elif name not in known and is_foreign(name):
            foreign.append(name)
        else:
            raise BadInput("a parameter is unknown or stands twice")
    return found, tuple(foreign)


def is_foreign(name: str) -> bool:
    """Whether a parameter that is not known is to be ignored (PS3.18 8.3): `orderby`, or the number that keeps an
    address out of caches. Names of attributes begin with a capital letter: a search that left one out would find what
    was not asked for, such as everybody's studies, so they are never ignored."""
    return _FOREIGN.fullmatch(name) is not None


def ignored(names: Iterable[str]) -> tuple[tuple[bytes, bytes], ...]:
    """The Warning that tells which foreign parameters were ignored; none for none."""
    told = ", ".join(tuple(dict.fromkeys(names))[:MAX_TOLD])
    return (
        ((b"warning", f'299 Samsyn "These parameters are not supported: {told}"'.encode()),) if told else ()
    )


def not_matched(refused: NotMatched) -> Answer:
    """Nothing was searched. PS3.18 8.3 lets a service ignore what it does not support; a list that is longer than its
    reader believes leads to the wrong patient, and programs hardly ever show a Warning."""
    names = ", ".join(refused.names[:MAX_TOLD])
    told = f"These attributes are not supported as matching keys: {names}"
    body = orjson.dumps({"code": refused.code, "message": f"{told}. Nothing was searched."})
    return Answer(400, body, b"application/json", ((b"warning", f'299 Samsyn "{told}"'.encode("ascii")),))


def whole_number(value: str) -> int:
    """A limit or an offset. BadInput."""
    if not (value.isascii() and value.isdigit() and len(value) <= 9):
        raise BadInput("limit and offset are whole numbers from 0")
    return int(value)


def truth(name: str, value: str) -> bool:
    """A switch. BadInput."""
    if value not in ("true", "false"):
        raise BadInput(f"{name} is true or false")
    return value == "true"
