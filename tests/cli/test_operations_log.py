"""The operations log holds events with allowed keys and nothing else."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from samsyn import operations_log

NUMBER, NAME = "191212121212", "Tolvansson"


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """A logger of a room, and where its lines go; the root logger is put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    operations_log.start(stream)
    try:
        yield logging.getLogger("samsyn.test"), stream
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_has_its_allowed_keys(log: tuple[logging.Logger, io.StringIO]) -> None:
    log[0].info("journal-replayed", extra={"count": 3, "kind": "x"})
    (line,) = lines(log[1])
    assert {key: line[key] for key in ("level", "event", "room", "count", "kind")} == {
        "level": "info",
        "event": "journal-replayed",
        "room": "samsyn.test",
        "count": 3,
        "kind": "x",
    }
    assert set(line) <= operations_log.ALLOWED_KEYS | {"time", "level", "event", "room", "where"}


def test_a_key_that_is_not_allowed_is_dropped(log: tuple[logging.Logger, io.StringIO]) -> None:
    log[0].warning("careless", extra={"patient": NUMBER, "text": NAME, "count": 1})
    assert NUMBER not in log[1].getvalue()
    assert NAME not in log[1].getvalue()
    assert lines(log[1])[0]["count"] == 1


def test_an_exception_is_its_type_and_place(log: tuple[logging.Logger, io.StringIO]) -> None:
    try:
        raise ValueError(f"{NAME} {NUMBER}")
    except ValueError:
        log[0].exception("fault")
    (line,) = lines(log[1])
    assert line["error"] == "ValueError"
    assert line["where"].startswith("test_operations_log.py:")
    assert NUMBER not in log[1].getvalue()


def test_a_library_s_words_are_not_repeated(log: tuple[logging.Logger, io.StringIO]) -> None:
    logging.getLogger("some.library").error("GET /patient/%s", NUMBER)
    (line,) = lines(log[1])
    assert (line["event"], line["room"]) == ("library", "some.library")
    assert NUMBER not in log[1].getvalue()


def test_a_value_can_not_break_its_line(log: tuple[logging.Logger, io.StringIO]) -> None:
    log[0].info("hostile", extra={"ae_title": 'A"\n{"event": "forged"}\r\x00\u2028', "reason": b"\xff"})
    assert len(log[1].getvalue().split("\n")) == 2
    assert len(lines(log[1])) == 1
