"""Taking anchors while the service runs, and looking at the newest one before it starts."""

import asyncio
import contextlib
import logging
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from samsyn import limits
from samsyn.audit import anchors
from samsyn.audit.anchors import Anchor
from samsyn.audit.chain import FIRST_HASH
from samsyn.clock import Clock
from samsyn.errors import ConfigurationError, DamagedData, SamsynError
from samsyn.settings import AuditSettings
from samsyn.store.index import audit_rows
from samsyn.store.index.port import FAULTS
from samsyn.store.store import Store
from samsyn.tasks import ended

log = logging.getLogger(__name__)


def head(store: Store, clock: Clock) -> Anchor:
    """The chain's end as it stands, unsigned."""

    def ask(sequence: int) -> str:
        return store.peek(partial(audit_rows.hash_at, sequence=sequence)) or FIRST_HASH

    last = store.peek(audit_rows.last_sequence)
    return Anchor(ask(1)[:16], last, clock.now().isoformat(timespec="seconds"), ask(last))


class Anchoring:
    """Writes an anchor to `file` every `seconds` in which entries came, at start and at stop."""

    def __init__(
        self, store: Store, clock: Clock, file: Path | None, key: Ed25519PrivateKey | None, seconds: float
    ) -> None:
        self._store = store
        self._clock = clock
        self._file = file
        self._key = key
        self._seconds = seconds
        self._task: asyncio.Task[None] | None = None
        self.sequence = -1
        """The newest entry that was anchored since the start; -1 = none yet."""
        self.failures = 0
        """Anchors that could not be written since the start, for metrics."""

    async def start(self) -> None:
        """Compares the newest anchor with the journal, takes one, and goes on doing so.

        ConfigurationError: the file lies inside the data folder, or its place does not take an anchor.
        DamagedData: the journal is not the one that was anchored; nothing has been opened to anybody yet.
        """
        if self._file is None:
            return
        if self._file.absolute().is_relative_to(self._store.folder.absolute()):
            raise ConfigurationError(
                "[audit] anchor_file lies inside the data folder, whoever changes one changes both: choose another disk"
            )
        try:
            newest = await asyncio.to_thread(anchors.newest_in, self._file)
            if newest is not None:
                self._compare(newest)
            await self._take(self._file)
        except OSError as problem:
            raise ConfigurationError(f"[audit] anchor_file {self._file}: {problem.strerror}") from problem
        self._task = asyncio.create_task(self._run(self._file), name="anchors")

    async def stop(self) -> None:
        """Takes the last anchor, after the doors have closed."""
        if self._task is None or self._file is None:
            return
        await ended(self._task)
        self._task = None
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._try(self._file), limits.ANCHOR_WAIT_S)

    def _compare(self, newest: Anchor) -> None:
        found = self._store.peek(partial(audit_rows.hash_at, sequence=newest.sequence))
        if newest.sequence and found != newest.hash:
            raise DamagedData(
                f"the audit journal is not the one that was anchored: entry {newest.sequence} of {self._file}"
                f" {'is missing' if found is None else 'has another hash'}. Run `samsyn audit verify`. If a backup"
                " was put back on purpose, keep that file under another name and start again"
            )

    async def _run(self, file: Path) -> None:
        while True:
            await asyncio.sleep(self._seconds)
            await self._try(file)

    async def _try(self, file: Path) -> None:
        try:
            await self._take(file)
        except (SamsynError, OSError, *FAULTS) as problem:
            self.failures += 1
            log.warning("anchor-not-written", extra={"error": str(problem)[:200], "sequence": self.sequence})

    async def _take(self, file: Path) -> None:
        anchor = head(self._store, self._clock)
        if anchor.sequence == self.sequence:
            return
        await asyncio.to_thread(anchors.append_to, file, anchors.signed(anchor, self._key))
        self.sequence = anchor.sequence


def make_anchoring(settings: AuditSettings, store: Store, clock: Clock) -> Anchoring:
    """As the settings want it. ConfigurationError: the key can not be used."""
    key = anchors.signing_key(settings.anchor_key_file) if settings.anchor_key_file is not None else None
    return Anchoring(store, clock, settings.anchor_file, key, settings.anchor_seconds)
