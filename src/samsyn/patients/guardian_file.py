"""The register of guardians from a file, as a population register's extract delivers it: read whenever it has changed.

Lines of `child;guardian;from;to` below that heading: numbers in any Swedish written form, days as YYYY-MM-DD or empty.
The file is the whole truth of its source: who is not in it any more is no guardian any more. A file that can not be
understood changes nothing.
"""

import asyncio
import csv
import logging
from datetime import date
from pathlib import Path
from typing import Final

from samsyn import limits
from samsyn.access.guardians import Told, between, tell_everything
from samsyn.access.registers import Registers
from samsyn.clock import STOCKHOLM, Clock
from samsyn.errors import BadInput, LimitExceeded, SamsynError
from samsyn.model.patient import Demographics, DemographicsOrigin, PatientIdentifier
from samsyn.patients import registry
from samsyn.patients.identifiers import recognise
from samsyn.store.transaction import Transaction
from samsyn.tasks import ended

log = logging.getLogger(__name__)

SOURCE: Final = "file"
_HEADING: Final = ["child", "guardian", "from", "to"]


class GuardianFile:
    """Reads the file in the background; without a path there is nothing to do."""

    def __init__(self, path: Path | None, registers: Registers, clock: Clock) -> None:
        self._path = path
        self._registers = registers
        self._clock = clock
        self._seen: tuple[int, int] | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Reads it, and again whenever it changes."""
        if self._path is not None:
            self._task = asyncio.create_task(self._look_for_ever(), name="guardian-file")

    async def stop(self) -> None:
        """Ends the reading."""
        await ended(self._task)

    async def read(self) -> int:
        """Takes the file over; how many rows of the register changed. BadInput names the line, LimitExceeded the
        limit: nothing has changed. OSError: it can not be read."""
        if self._path is None:
            return 0
        text = await asyncio.to_thread(_content, self._path)
        lines = _lines(text, self._clock.now().astimezone(STOCKHOLM).date())

        def decide(transaction: Transaction) -> int:
            told: dict[int, tuple[Told, ...]] = {}
            for child, guardian, first, last in lines:
                child_key, guardian_key = _key(transaction, child), _key(transaction, guardian)
                told[child_key] = (*told.get(child_key, ()), Told(guardian_key, *between(first, last)))
            return tell_everything(transaction, SOURCE, told)

        return await self._registers.change(decide)

    async def _look_for_ever(self) -> None:
        while True:
            try:
                stat = await asyncio.to_thread(self._path.stat) if self._path is not None else None
                now = (stat.st_mtime_ns, stat.st_size) if stat is not None else None
                if now != self._seen:
                    changed = await self.read()
                    self._seen = now
                    log.info("guardian-file-read", extra={"count": changed})
            except (SamsynError, OSError, UnicodeDecodeError) as problem:
                told = getattr(problem, "detail", "") or type(problem).__name__
                log.warning("guardian-file-unread", extra={"error": told})
            await asyncio.sleep(limits.GUARDIAN_FILE_S)


def _content(path: Path) -> str:
    data = path.read_bytes() if path.stat().st_size <= limits.MAX_GUARDIAN_FILE_BYTES else None
    if data is None:
        raise LimitExceeded("MAX_GUARDIAN_FILE_BYTES")
    return data.decode("utf-8-sig")


def _lines(text: str, today: date) -> list[tuple[PatientIdentifier, PatientIdentifier, str, str]]:
    rows = csv.reader(text.splitlines(), delimiter=";")
    if next(rows, None) != _HEADING:
        raise BadInput(f"line 1: the heading is {';'.join(_HEADING)}")
    found = []
    for place, row in enumerate(rows, 2):
        if not row:
            continue
        if len(row) != len(_HEADING):
            raise BadInput(f"line {place}: four fields are wanted")
        child, guardian = (recognise(number.strip(), today) for number in row[:2])
        first, last = (day.strip().replace("-", "") for day in row[2:])
        if child is None or guardian is None or child.identifier == guardian.identifier:
            raise BadInput(f"line {place}: not two persons' numbers")
        try:
            between(first, last)
        except BadInput:
            raise BadInput(f"line {place}: a day is YYYY-MM-DD") from None
        found.append((child.identifier, guardian.identifier, first, last))
    return found


def _key(transaction: Transaction, identifier: PatientIdentifier) -> int:
    """The person, known by the number alone when nothing else is known yet."""
    return registry.find_or_make(transaction, identifier, Demographics(), DemographicsOrigin.IMAGE)
