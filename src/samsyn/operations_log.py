"""The operations log: JSON lines with an allow-list of keys. It never holds patient data.

An event is a log record whose message is a short fixed name and whose `extra` has only the keys listed here;
other keys are dropped, so that a careless call can not leak.
"""

import json
import logging
from datetime import UTC, datetime
from typing import Final, TextIO

ALLOWED_KEYS: Final = frozenset(
    {
        "address",
        "ae_title",
        "attempt",
        "bytes",
        "calling",
        "code",
        "count",
        "door",
        "error",
        "kind",
        "limit",
        "outcome",
        "path",
        "peer",
        "port",
        "provider",
        "reason",
        "seconds",
        "sequence",
        "source",
        "state",
        "status",
    }
)
"""Keys that an event may carry. `path` is a route pattern, never a request's own path."""


class JsonLines(logging.Formatter):
    """One JSON object per record; control characters can not break a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage() if record.name.startswith("samsyn") else "library",
            "room": record.name,
        }
        for key in ALLOWED_KEYS:
            if key in record.__dict__:
                line[key] = record.__dict__[key]
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            line["where"] = _where(record)
        return json.dumps(line, default=str)


def _where(record: logging.LogRecord) -> str:
    """File and line of the innermost frame: enough to find the fault, without values that may be personal."""
    traceback = record.exc_info[2] if record.exc_info else None
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return ""
    name = traceback.tb_frame.f_code.co_filename.rpartition("/")[2]
    return f"{name}:{traceback.tb_lineno}"


def start(stream: TextIO, level: int = logging.INFO) -> None:
    """Sends every logger's records through JsonLines to the stream."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("uvicorn.access", "httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
