"""One STOW-RS request of moderate size: its body is read to where its instances are stored from, none of it copied."""

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from samsyn.endpoints.dicomweb.answers import Answer, refusal
from samsyn.endpoints.dicomweb.errors_table import FAILURE_REASON, status_of
from samsyn.endpoints.dicomweb.storing.results import Result
from samsyn.endpoints.dicomweb.storing.run import Run
from samsyn.errors import BadInput, LimitExceeded, NotSupported, SamsynError
from samsyn.wire.multipart import PartBegin, PartPlace, PartsInPlace, parse_media_type

log = logging.getLogger(__name__)

DICOM: Final = "application/dicom"
_UNCODED: Final = frozenset({"binary", "8bit", "7bit", ""})
_READ_AT_ONCE_BYTES: Final = 512 * 1024
"""As much as is read and hashed before the loop turns to others: half a millisecond."""


class Taking:
    """Takes the body; see whole_body.BodyTaker. On one event loop."""

    def __init__(
        self,
        boundary: bytes,
        length: int,
        run: Callable[[Callable[[], None]], Run],
        response: Callable[[Sequence[Result]], Answer],
        ended: Callable[[Answer | None], None],
    ) -> None:
        """`run` is told whom to call when something has come to its end. `ended` is called once, when the body is
        needed no more: with the answer, or None when nobody waits for it."""
        self._parts = PartsInPlace(boundary, length)
        self._left = length
        self._run = run(self._go_on)
        self._response = response
        self._ended = ended
        self._refused: SamsynError | None = None
        """Why the part that is coming is not taken."""
        self._whole: deque[memoryview | SamsynError] = deque()
        """Parts that wait for room."""
        self._broken: Exception | None = None
        """Why the body can not be read any further."""
        self._is_gone = False
        self._is_over = False

    def room(self) -> memoryview:
        """See BodyTaker. What comes behind a fault is written to one place, and looked at by nobody."""
        return self._parts.room[: min(self._left, _READ_AT_ONCE_BYTES)]

    def filled(self, count: int) -> None:
        """See BodyTaker."""
        self._left -= count
        if self._broken is None:
            try:
                self._split(count)
            except Exception as error:
                self._broken = error
        self._go_on()

    def gone(self) -> None:
        """See BodyTaker. What came whole is stored all the same."""
        self._is_gone = True
        self._left = 0
        self._go_on()

    def _split(self, count: int) -> None:
        for event in self._parts.filled(count):
            if isinstance(event, PartBegin):
                self._refused = refused_part(event.headers)
            elif isinstance(event, PartPlace):
                self._whole.append(self._refused or self._parts.buffer[event.begin : event.end])
        if not self._left:
            self._parts.finish()

    def _go_on(self) -> None:
        """Begins what there is room for; answers when nothing is left."""
        while self._whole:
            part = self._whole[0]
            if isinstance(part, SamsynError):
                self._whole.popleft()
                self._run.note(FAILURE_REASON[part.code])
            elif self._run.has_room(len(part)):
                self._whole.popleft()
                is_all = not (self._left or self._whole or self._run.has_begun)
                self._run.begin_file(part, waits=is_all)
            else:
                return
        if not self._left and self._run.is_idle and not self._is_over:
            self._is_over = True
            # This and its run know each other: the body would stay until unused circles are looked for.
            self._parts.let_go()
            self._ended(None if self._is_gone else self._answer())

    def _answer(self) -> Answer:
        try:
            if isinstance(self._broken, BadInput | LimitExceeded):
                self._run.refused(self._broken)
            elif self._broken is not None:
                raise self._broken
            results = self._run.results()
            if not results:
                raise BadInput("the request has no parts")
            return self._response(results)
        except SamsynError as error:
            return refusal(error, status_of(error))
        except Exception:
            log.exception("request failed")
            return Answer(500, b"Internal Server Error", b"text/plain; charset=utf-8")


def refused_part(headers: Mapping[str, str]) -> SamsynError | None:
    """Why a part with these headers is not taken among files."""
    try:
        as_it_is(headers)
        kind = parse_media_type(headers.get("content-type", DICOM)).kind
    except SamsynError as error:
        return error
    return None if kind == DICOM else NotSupported("only application/dicom parts are taken")


def as_it_is(headers: Mapping[str, str]) -> None:
    """NotSupported: the bytes of a part are not what it is, but some coding of it. Taken for it, they would be stored
    as pixels."""
    transfer = headers.get("content-transfer-encoding", "binary").lower()
    if transfer not in _UNCODED or headers.get("content-encoding", "identity").lower() != "identity":
        raise NotSupported("parts are taken as they are: binary")
