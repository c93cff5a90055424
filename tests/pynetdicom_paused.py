"""Mends how pynetdicom's threads take turns, for the tests that send with it.

Before it sends, the caller's thread clears a checkpoint and looks whether the association's own thread has stopped
there (`Association._is_paused`). That flag is still up while the other thread is on its way out of the checkpoint: then
both take messages off one queue, the answer falls to the wrong one and is thrown away, and the caller waits for it in
vain. On a busy machine that happens now and then. Here the thread counts as paused while it is held and only then, and
who was let go and not yet gone is held again. Nothing changes in what goes over the network.
"""

import threading
from typing import Any

from pynetdicom import AE
from pynetdicom.association import Association

__all__ = ["AE"]


class _Checkpoint:
    """Stands for a threading.Event, and knows whether it holds somebody."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._is_free = True
        self._has_come = False

    def set(self) -> None:
        with self._changed:
            self._is_free = True
            self._changed.notify_all()

    def clear(self) -> None:
        with self._changed:
            self._is_free = False

    def wait(self) -> None:
        with self._changed:
            self._has_come = True
            while not self._is_free:
                self._changed.wait()
            self._has_come = False

    def holds(self) -> bool:
        with self._changed:
            return self._has_come and not self._is_free


def _checkpoint(association: Any) -> _Checkpoint:
    found: _Checkpoint = association.__dict__.setdefault("_mended_checkpoint", _Checkpoint())
    return found


def _is_paused(association: Any) -> bool:
    if association._kill or threading.current_thread() is association:
        return True  # nobody is there any more; or it is the thread itself, in a handler
    return _checkpoint(association).holds()


def _ignore(association: Any, value: object) -> None:
    """What pynetdicom says about itself is not asked."""


Association._reactor_checkpoint = property(_checkpoint, _ignore)
Association._is_paused = property(_is_paused, _ignore)
