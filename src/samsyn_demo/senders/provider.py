"""One provider's process: its systems send its texts and pictures side by side and tell how far they are.

`python -m samsyn_demo.senders.provider --provider nord --dicom-port N --http-port N --mllp-port N --folder DIR`.
Progress goes to stdout, one JSON object a line. The exit code is 0 only when everything was acknowledged; the
first refusal ends the process with 1 and a line that says what was refused, without patient data.

Libraries for pictures and for DICOM are loaded only where they are used: a provider that sends texts alone is
up in half the time.
"""

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from datetime import time as clock
from pathlib import Path
from queue import Queue
from typing import TYPE_CHECKING

from samsyn_demo.history import Examination, history
from samsyn_demo.region import BY_KEY, Provider
from samsyn_demo.senders import plan
from samsyn_demo.senders.messages import Message
from samsyn_demo.senders.mllp import MllpLine
from samsyn_demo.senders.options import HOST, TOKENS, arguments, end_with_parent, people, tell
from samsyn_demo.senders.outcome import Refused

if TYPE_CHECKING:
    from samsyn_demo.instances.objects import Instance
    from samsyn_demo.senders.dimse import StoreLine

_ASSOCIATIONS = {"rontgen": 2, "fysiologi": 1, "city": 2}
"""C-STORE lines of each unit's archive, side by side."""
_WAITING = 24
"""Objects that may lie ready on disk for each line: enough to keep it busy, few enough to need little room."""
_BETWEEN_LINES_SECONDS = 0.4


class Progress:
    """Counts what was acknowledged and prints a line now and then."""

    def __init__(self, provider: Provider, messages: int, objects: int) -> None:
        self._provider = provider
        self._of = (messages, objects)
        self._messages = self._objects = self._octets = self._remarks = 0
        self._lock = threading.Lock()
        self._printed = 0.0

    def message(self, remark: str) -> None:
        """One message was accepted; `remark` is what the receiver did not understand of it."""
        with self._lock:
            self._messages += 1
            self._remarks += bool(remark)
            self._show()

    def object(self, octets: int) -> None:
        """One object was stored."""
        with self._lock:
            self._objects += 1
            self._octets += octets
            self._show()

    def finish(self) -> None:
        """Prints how it stands, whatever was printed a moment ago."""
        with self._lock:
            self._printed = 0.0
            self._show(last=True)

    def _show(self, last: bool = False) -> None:
        if time.monotonic() - self._printed < _BETWEEN_LINES_SECONDS:
            return
        self._printed = time.monotonic()
        counted = zip((self._messages, self._objects), self._of, ("messages", "objects"), strict=True)
        told = ", ".join(f"{done} of {of} {what}" for done, of, what in counted if of)
        tell(
            self._provider.key,
            f"{self._provider.name}: {told}",
            done=self._messages + self._objects,
            of=sum(self._of),
            messages=self._messages,
            objects=self._objects,
            octets=self._octets,
            remarks=self._remarks,
            finished=last,
        )


class Sending:
    """The provider's whole work: a thread for the texts, one for each C-STORE line, and the maker of pictures."""

    def __init__(
        self, provider: Provider, options: argparse.Namespace, examinations: Sequence[Examination]
    ) -> None:
        self._provider = provider
        self._options = options
        anchor = datetime.combine(options.anchor_date, clock(0, 59))
        self._story, self._others = plan.texts(provider, examinations, anchor)
        self._pictured = [each for each in examinations if each.provider is provider and each.images]
        self._progress = Progress(provider, len(self._story) + len(self._others), _objects(self._pictured))
        self._folder: Path = options.folder / provider.key

    def run(self) -> None:
        """Returns when everything is acknowledged."""
        self._folder.mkdir(parents=True, exist_ok=True)
        # The story patient's texts go out alone, in an instant: making pictures keeps this process busy.
        self._send_texts(self._story)
        threads = [self._thread(lambda: self._send_texts(self._others))]
        if self._provider.stow_client:
            self._send_by_stow()
        elif self._provider.gives_images:
            threads += self._send_by_dimse()
        for thread in threads:
            thread.join()
        self._progress.finish()

    def _thread(self, work: Callable[[], None]) -> threading.Thread:
        def guarded() -> None:
            try:
                work()
            except BaseException as error:
                give_up(self._provider, error)

        thread = threading.Thread(target=guarded, daemon=True)
        thread.start()
        return thread

    def _send_texts(self, messages: Sequence[Message]) -> None:
        lines = {each.application: MllpLine(HOST, self._options.mllp_port) for each in self._provider.hl7}
        try:
            for message in messages:
                self._progress.message(lines[message.system.application].send(message))
        finally:
            for line in lines.values():
                line.close()

    def _send_by_stow(self) -> None:
        from samsyn_demo.instances.studies import study
        from samsyn_demo.senders.stow import StowLine

        token = json.loads(os.environ.get(TOKENS, "{}")).get(self._provider.stow_client, "")
        if not token:
            raise Refused(f"{self._provider.stow_client}: no token in {TOKENS}")
        base = f"http://{HOST}:{self._options.http_port}/dicomweb"
        with StowLine(self._provider.stow_client, base, token) as line:
            for examination in self._pictured:
                instances = list(study(examination))
                line.store(instances)
                for each in instances:
                    self._progress.object(len(each.file))

    def _send_by_dimse(self) -> list[threading.Thread]:
        """Makes the pictures here and hands them to the lines of their unit's archive."""
        from samsyn_demo.senders.dimse import StoreLine

        threads: list[threading.Thread] = []
        ready: dict[str, Queue[tuple[Instance, Path] | None]] = {}
        systems = {each.unit: each for each in reversed(self._provider.dicom) if each.stores}
        for unit, system in systems.items():
            queue: Queue[tuple[Instance, Path] | None] = Queue(_WAITING)
            ready[unit] = queue
            for _ in range(_ASSOCIATIONS.get(unit, 1)):
                line = StoreLine(system.ae_title, HOST, self._options.dicom_port)
                # mypy can not infer a lambda whose defaults bind the loop's values.
                threads.append(self._thread(lambda line=line, queue=queue: self._store(line, queue)))  # type: ignore[misc]
        for number, (unit, instance) in enumerate(self._made()):
            path = self._folder / f"{number:06d}.dcm"
            path.write_bytes(instance.file)
            ready[unit].put((instance, path))
        for unit, queue in ready.items():
            for _ in range(_ASSOCIATIONS.get(unit, 1)):
                queue.put(None)
        return threads

    def _made(self) -> "Iterator[tuple[str, Instance]]":
        from samsyn_demo.instances.studies import study

        for examination in self._pictured:
            for instance in study(examination):
                yield examination.unit.key, instance

    def _store(self, line: "StoreLine", queue: "Queue[tuple[Instance, Path] | None]") -> None:
        while (waiting := queue.get()) is not None:
            instance, path = waiting
            line.store(instance, path)
            path.unlink()
            self._progress.object(len(instance.file))
        line.close()


def give_up(provider: Provider, error: BaseException) -> None:
    """Says what was refused and ends the process at once: what is under way is not acknowledged anyway."""
    reason = str(error) if isinstance(error, Refused) else f"{type(error).__name__} in {_place(error)}"
    tell(provider.key, f"{provider.name}: {reason}", failed=True)
    os._exit(1)


def _place(error: BaseException) -> str:
    """Module and line where an unforeseen error came up; its own text could hold patient data."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "nowhere"


def _objects(pictured: Sequence[Examination]) -> int:
    if not pictured:
        return 0
    from samsyn_demo.instances.studies import count

    return sum(map(count, pictured))


def chosen(options: argparse.Namespace) -> tuple[Examination, ...]:
    """The history that the arguments ask for."""
    only = people(options)
    return tuple(each for each in history(options.anchor_date) if not only or each.person.key in only)


def main() -> int:
    """Sends everything of one provider."""
    parser = argparse.ArgumentParser(prog="samsyn_demo.senders.provider", description=__doc__)
    parser.add_argument("--provider", choices=sorted(BY_KEY), required=True)
    arguments(parser)
    options = parser.parse_args()
    if options.with_parent:
        end_with_parent()
    # Whoever looks at the pages meanwhile goes first.
    os.nice(5)
    # The threads that send must not wait for the one that draws any longer than they have to.
    sys.setswitchinterval(0.001)
    provider = BY_KEY[options.provider]
    try:
        Sending(provider, options, chosen(options)).run()
    except Exception as error:
        give_up(provider, error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
