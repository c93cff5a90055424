"""The system calls of a running server, seen from outside (strace), in the order of their beginnings and ends."""

import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.waiting import PATIENCE_S

_CALL = re.compile(r"^(\d+)\s+(\w+)\((.*)$", re.DOTALL)
_RESUMED = re.compile(r"^(\d+)\s+<\.\.\. (\w+) resumed>(.*)$", re.DOTALL)
_UNFINISHED = " <unfinished ...>"


@dataclass(frozen=True, slots=True)
class Event:
    """The beginning or the end of one system call."""

    thread: int
    call: str
    text: str
    """What it was called with."""
    has_ended: bool
    failed: bool = False


def events(trace: str) -> Iterator[Event]:
    """Beginnings and ends as strace saw them; a call that nothing came between has both at once."""
    begun: dict[int, tuple[str, str]] = {}
    for line in trace.splitlines():
        resumed = _RESUMED.match(line)
        if resumed:
            thread = int(resumed[1])
            if thread in begun:
                call, text = begun.pop(thread)
                yield Event(thread, call, text, True, " = -1 " in resumed[3])
            continue
        found = _CALL.match(line)
        if found is None:
            continue
        thread, call, text = int(found[1]), found[2], found[3]
        yield Event(thread, call, text, False)
        if text.endswith(_UNFINISHED):
            begun[thread] = (call, text)
        else:
            yield Event(thread, call, text, True, " = -1 " in text)


def sent_before_synced(trace: str, marks: dict[str, str]) -> list[str]:
    """Names of what was acknowledged before the disk had it.

    `marks`: a printable text that both the record in the journal and the acknowledgement hold, and its name. Right is:
    the write of the record has ended, then a sync of the journal began and has ended well, then the send began.
    """
    written: set[str] = set()
    syncing: dict[int, set[str]] = {}
    synced: set[str] = set()
    wrong: list[str] = []
    told: set[str] = set()
    for event in events(trace):
        in_journal = "/journal/" in event.text.partition(">")[0]
        if event.call.startswith("pwrite") and in_journal and event.has_ended and not event.failed:
            written |= {name for mark, name in marks.items() if mark in event.text}
        elif event.call == "fdatasync" and in_journal:
            if not event.has_ended:
                syncing[event.thread] = set(written)
            elif not event.failed:
                synced |= syncing.pop(event.thread, set())
        elif event.call in ("sendto", "sendmsg", "write", "writev") and not event.has_ended:
            if "<TCP" not in event.text.partition(",")[0]:
                continue
            for mark, name in marks.items():
                if mark in event.text and name not in told:
                    told.add(name)
                    if name not in synced:
                        wrong.append(name)
    return wrong + [f"{name} was never told of" for name in marks.values() if name not in told]


@contextmanager
def traced(process: int, output: Path, *options: str) -> Iterator[None]:
    """strace beside all threads of a process, with `options`; its output is whole afterwards."""
    program = shutil.which("strace")
    if program is None:
        pytest.skip("strace is not installed")
    command = [
        program,
        "-f",
        "-q",
        "-yy",
        "-s",
        "262144",  # a batch is one write
        "-o",
        str(output),
        *options,
        "-p",
        str(process),
    ]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while _tracer_of(process) != tracer.pid:
            if tracer.poll() is not None or time.monotonic() > deadline:
                assert tracer.stderr is not None
                pytest.skip(f"strace can not follow a process here: {tracer.stderr.read()}")
            time.sleep(0.02)
        yield
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(20)
        if tracer.stderr is not None:
            tracer.stderr.close()


def _tracer_of(process: int) -> int:
    """Who traces all threads of the process; 0 = not all of them are traced yet."""
    tracers = {
        int(line.split()[1])
        for task in Path(f"/proc/{process}/task").iterdir()
        for line in (task / "status").read_text().splitlines()
        if line.startswith("TracerPid")
    }
    return tracers.pop() if len(tracers) == 1 else 0
