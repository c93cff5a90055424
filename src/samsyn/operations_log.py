"""The operations log: JSON lines with an allow-list of keys. It never holds patient data.

An event is a log record whose message is a short fixed name and whose `extra` has only the keys listed here;
other keys are dropped, so that a careless call can not leak.

Where the stream is a file, it may be turned over in both ways: renamed, and opened anew when we are told (no line is
lost), or copied and cut off (what is written between the two is).
"""

import fcntl
import json
import logging
import os
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TextIO

log = logging.getLogger(__name__)

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


class LogFile:
    """The file that a stream of this process writes to, if it is one."""

    def __init__(self, stream: TextIO) -> None:
        """From now on each line is added at the file's end, wherever somebody has cut it off: a stream that was opened
        otherwise would go on where it was, behind as many zeros."""
        self._stream = stream
        self._path: Path | None = None
        descriptor = stream.fileno()
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | os.O_APPEND)
            self._path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))

    def open_anew(self) -> None:
        """Goes on in the file that has the name now, making it if there is none. What can not be opened is told in the
        one before, which stays in use. Nothing is done for a stream that is no file."""
        if self._path is None:
            return
        try:
            fresh = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as problem:
            log.warning("log-not-opened-anew", extra={"error": type(problem).__name__})
            return
        self._stream.flush()
        os.dup2(fresh, self._stream.fileno(), inheritable=True)
        os.close(fresh)
