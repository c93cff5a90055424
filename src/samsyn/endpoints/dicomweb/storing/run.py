"""The instances of one STOW-RS request while they are stored, side by side and without a task each."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from samsyn.dicom.part10 import MEDIA_STORAGE_SOP_CLASS, MEDIA_STORAGE_SOP_INSTANCE, Part10, split_part10
from samsyn.dicom.reading import Summary
from samsyn.dicom.uids import is_uid
from samsyn.endpoints.dicomweb.errors_table import FAILURE_REASON
from samsyn.endpoints.dicomweb.storing.assembly import Assembled
from samsyn.endpoints.dicomweb.storing.part import PartContent
from samsyn.endpoints.dicomweb.storing.request import StoreRequest
from samsyn.endpoints.dicomweb.storing.results import Result
from samsyn.errors import BadInput, LimitExceeded, SamsynError
from samsyn.ingest.arriving import LargeArrival
from samsyn.ingest.receive import Arrival, Intake
from samsyn.limits import MAX_STOW_PENDING_BYTES, MAX_STOW_PENDING_INSTANCES
from samsyn.model.sender import Receipt
from samsyn.providers.connections import System

_INTERNAL = FAILURE_REASON["internal"]
_DONE = frozenset({"stored", "already-stored"})
_Stored: TypeAlias = tuple[Receipt, Summary]
_Outcome: TypeAlias = _Stored | BaseException


class Run:
    """What becomes of each part, in the order of the parts. On one event loop."""

    def __init__(
        self,
        intake: Intake,
        system: System,
        request: StoreRequest,
        session_id: str,
        changed: Callable[[], None],
    ) -> None:
        """`session_id`: the name in the audit journal. `changed` is called whenever something under way has come to its
        end."""
        self._intake = intake
        self._system = system
        self._request = request
        self._session_id = session_id
        self._changed = changed
        self._results: list[Result | None] = []
        self._under_way = 0
        self._bytes = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._fault: BaseException | None = None

    @property
    def has_begun(self) -> bool:
        """Whether a part came whole."""
        return bool(self._results)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._under_way

    def has_room(self, size: int) -> bool:
        """Whether so many bytes more may be under way: memory is bounded, and the queue for the disk."""
        return self.is_idle or (
            self._bytes + size <= MAX_STOW_PENDING_BYTES and self._under_way < MAX_STOW_PENDING_INSTANCES
        )

    def results(self) -> list[Result]:
        """The results, once nothing is under way. Raises what we stumbled over, if we did."""
        if self._fault is not None:
            raise self._fault
        return [result for result in self._results if result is not None]

    def note(self, failure: int) -> None:
        """A part that needs no work."""
        self._results.append(Result(failure))

    def refused(self, error: BadInput | LimitExceeded) -> None:
        """The body can not be read any further: what came whole is told, with one failure. Raises `error` when nothing
        did."""
        if not self.has_begun:
            raise error
        self.note(FAILURE_REASON[error.code])

    def begin_file(self, file: bytearray | memoryview, waits: bool = False) -> None:
        """Begins to store a DICOM file, which stays as it is until it has been. `waits`: see Intake.receive_soon."""
        view = memoryview(file)
        try:
            found = split_part10(view)
        except SamsynError as error:
            self.note(FAILURE_REASON[error.code])
            return
        self._begin(_named(found), found.transfer_syntax_uid, view[found.dataset_offset :], waits)

    def begin_part(self, content: PartContent) -> None:
        """Begins to store a file that came by pieces."""
        if content.large is None:
            self.begin_file(content.data)
        else:
            found = content.split()
            named = _named(found)
            arrival = self._arrival(named, found.transfer_syntax_uid)
            done = partial(self._ended, self._place(0), named, 0)
            self._spawn(self._receive_large(arrival, content.large), done)

    def begin_assembled(self, made: Assembled) -> None:
        """Begins to store a data set that was put together, or notes why there is none."""
        if made.error is not None:
            failure = FAILURE_REASON[made.error.code]
            self._results.append(Result(failure, made.sop_class_uid, made.sop_instance_uid))
            return
        named = Result(_INTERNAL, made.sop_class_uid, made.sop_instance_uid)
        self._begin(named, made.transfer_syntax_uid, memoryview(made.data))

    def _begin(self, named: Result, syntax: str, data: memoryview, waits: bool = False) -> None:
        place = self._place(len(data))
        arrival = self._arrival(named, syntax)
        done = partial(self._ended, place, named, len(data))
        try:
            outcome = self._intake.receive_soon(arrival, data, done, waits)
        except Exception as error:
            self._settle(place, named, len(data), error)
            return
        if outcome is False:
            self._spawn(self._intake.receive(arrival, data), done)
        elif outcome is not True:
            self._settle(place, named, len(data), outcome)

    def _arrival(self, named: Result, syntax: str) -> Arrival:
        return Arrival(
            self._system.sender,
            syntax,
            self._session_id,
            sop_class_uid=named.sop_class_uid,
            sop_instance_uid=named.sop_instance_uid,
            study_uid=self._request.study_uid,
            source=self._request.connection,
        )

    def _place(self, size: int) -> int:
        self._under_way += 1
        self._bytes += size
        self._results.append(None)
        return len(self._results) - 1

    def _ended(self, place: int, named: Result, size: int, outcome: _Outcome) -> None:
        self._settle(place, named, size, outcome)
        self._changed()

    def _settle(self, place: int, named: Result, size: int, outcome: _Outcome) -> None:
        self._under_way -= 1
        self._bytes -= size
        if isinstance(outcome, SamsynError):
            self._results[place] = replace(
                named, failure=FAILURE_REASON[outcome.code], retry=outcome.may_retry
            )
        elif isinstance(outcome, BaseException):
            self._fault = outcome
        else:
            self._results[place] = _result(*outcome)

    def _spawn(self, work: Coroutine[object, object, _Stored], done: Callable[[_Outcome], None]) -> None:
        """For what takes longer than the loop may wait."""
        task = asyncio.get_running_loop().create_task(_told(work, done))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _receive_large(self, arrival: Arrival, large: LargeArrival) -> _Stored:
        try:
            return await self._intake.receive(arrival, await large.whole())
        finally:
            large.drop()


async def _told(work: Coroutine[object, object, _Stored], done: Callable[[_Outcome], None]) -> None:
    try:
        outcome = await work
    except BaseException as error:
        done(error)
        if not isinstance(error, Exception):
            raise
    else:
        done(outcome)


def _named(found: Part10) -> Result:
    """A failure that names what the file says that it holds."""
    return Result(
        _INTERNAL,
        _uid(found.values.get(MEDIA_STORAGE_SOP_CLASS, "")),
        _uid(found.values.get(MEDIA_STORAGE_SOP_INSTANCE, "")),
    )


def _uid(text: str) -> str:
    return text if is_uid(text) else ""


def _result(receipt: Receipt, summary: Summary) -> Result:
    failure = 0 if receipt.outcome in _DONE else FAILURE_REASON.get(receipt.reason, 0x0110)
    return Result(
        failure, summary.sop_class_uid, summary.sop_instance_uid, summary.study_uid, summary.series_uid
    )
