"""Those who were turned away, in the audit journal: failed log-ins at every door, and acts without the right.

A peer that knocks all day must not fill the journal: the same caller at the same door is written once per
limits.AUDIT_REPEAT_S, and at most limits.REFUSALS_PER_MINUTE in all; what was left out is counted in the next entry.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from samsyn import limits
from samsyn.access.events import Activity, Event, entry
from samsyn.access.once import Once
from samsyn.clock import Clock
from samsyn.errors import NotAllowed, NotAuthenticated, SamsynError
from samsyn.model.audit import AuditEntry
from samsyn.model.subject import Subject

log = logging.getLogger(__name__)

_MAX_CLAIMED = 64


class Refusals:
    """Writes refusals down. It never raises: who was turned away stays turned away whatever the disk says."""

    def __init__(self, clock: Clock, write: Callable[[AuditEntry], Awaitable[None]]) -> None:
        self._clock = clock
        self._write = write
        self._once = Once(clock, limits.AUDIT_REPEAT_S, limits.MAX_KEPT_REFUSED)
        self._minute = 0
        self._in_minute = 0
        self._left_out = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def record(
        self,
        door: str,
        refusal: SamsynError,
        *,
        subject: Subject | None = None,
        claimed: str = "",
        address: str = "",
    ) -> None:
        """Writes down a NotAuthenticated or NotAllowed; other refusals are no question of rights and pass.

        `claimed` is what the caller said to be (an AE title, an HL7 application), never a secret. Without `subject`
        the entry names no actor: nothing about the caller has been proved.
        """
        if not isinstance(refusal, NotAuthenticated | NotAllowed):
            return
        claimed = "".join(each for each in claimed if each.isprintable())[:_MAX_CLAIMED]
        who = (subject.hsa_id, subject.session_id) if subject is not None else (claimed, address)
        key = (door, refusal.code, refusal.detail, who)
        if self._once.is_done(key) or not self._has_room():
            return

        async def write() -> None:
            await self._write(self._entry(door, refusal, subject, claimed, address))

        try:
            await self._once.do(key, write)
        except SamsynError as problem:
            log.warning("refusal-not-written", extra={"door": door, "error": problem.code})

    def record_soon(self, door: str, refusal: SamsynError, *, claimed: str = "", address: str = "") -> None:
        """The same for a caller who can not wait."""
        task = asyncio.ensure_future(self.record(door, refusal, claimed=claimed, address=address))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _has_room(self) -> bool:
        minute = int(self._clock.monotonic() // 60)
        if minute != self._minute:
            self._minute, self._in_minute = minute, 0
        if self._in_minute >= limits.REFUSALS_PER_MINUTE:
            self._left_out += 1
            return False
        self._in_minute += 1
        return True

    def _entry(
        self, door: str, refusal: SamsynError, subject: Subject | None, claimed: str, address: str
    ) -> AuditEntry:
        details = {"door": door, "rule": refusal.detail or refusal.code}
        if claimed:
            details["claimed"] = claimed
        if address:
            details["address"] = address
        if self._left_out:
            details["left_out"], self._left_out = str(self._left_out), 0
        if subject is not None:
            return entry(subject, Event.REFUSED, allowed=False, details=details)
        return AuditEntry(
            Event.LOGIN_REFUSED,
            Activity.READ,
            "",
            "",
            "",
            "",
            "",
            "",
            0,
            "",
            "",
            allowed=False,
            details=details,
        )
