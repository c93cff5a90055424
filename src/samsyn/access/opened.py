"""Which patients a session has opened, under opaque handles; in memory only, gone with the session.

A patient's number never stands in an address: pages bear a handle that means nothing outside its session. The
patient whose page was shown last is the session's current one: doors whose protocol names no patient (DICOMweb
behind the picture viewer) read for that person and nobody else, so that a window left open on another patient
goes blank rather than mixing two persons.
"""

import secrets
from collections import OrderedDict

from samsyn import limits
from samsyn.errors import NotFound


class OpenedPatients:
    """Handles by session. The oldest are dropped first when there are too many."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, OrderedDict[str, int]] = OrderedDict()

    def open(self, session_id: str, patient_key: int, handle: str = "") -> str:
        """A handle for the person, the same one as long as he is open; he becomes the current one.

        `handle`: the one that he had in an earlier session of the same reader; "" makes a new one.
        """
        handles = self._sessions.setdefault(session_id, OrderedDict())
        self._sessions.move_to_end(session_id)
        while len(self._sessions) > limits.MAX_SESSIONS_WITH_PATIENTS:
            self._sessions.popitem(last=False)
        for known, key in handles.items():
            if key == patient_key:
                handles.move_to_end(known)
                return known
        handle = handle or secrets.token_urlsafe(18)
        handles[handle] = patient_key
        while len(handles) > limits.MAX_OPENED_PATIENTS:
            handles.popitem(last=False)
        return handle

    def open_only(self, session_id: str, patient_key: int) -> str:
        """The same, and everybody else of the session is closed: their open pages find nobody any more."""
        handle = self.open(session_id, patient_key)
        for other in [each for each in self._sessions[session_id] if each != handle]:
            self.close(session_id, other)
        return handle

    def patient_key(self, session_id: str, handle: str) -> int:
        """The person behind a handle of this session, who becomes the current one; NotFound otherwise."""
        handles = self._sessions.get(session_id)
        if handles is None or handle not in handles:
            raise NotFound
        handles.move_to_end(handle)
        return handles[handle]

    def look(self, session_id: str, handle: str) -> int:
        """The same person without becoming the current one: what a page asks by itself. NotFound otherwise."""
        handles = self._sessions.get(session_id)
        if handles is None or handle not in handles:
            raise NotFound
        return handles[handle]

    def current(self, session_id: str) -> int | None:
        """The person whose page was shown last in the session, or None."""
        handles = self._sessions.get(session_id)
        return next(reversed(handles.values())) if handles else None

    def keys(self, session_id: str) -> frozenset[int]:
        """Everybody whom the session has open."""
        return frozenset(self._sessions.get(session_id, {}).values())

    def latest(self, session_id: str) -> list[tuple[str, int]]:
        """(handle, person) of the session, the latest first."""
        return list(reversed(self._sessions.get(session_id, OrderedDict()).items()))

    def close(self, session_id: str, handle: str) -> None:
        """Forgets one handle; an unknown one is no error."""
        self._sessions.get(session_id, OrderedDict()).pop(handle, None)

    def forget(self, session_id: str) -> None:
        """Forgets everything of a session: log-out, change of assignment."""
        self._sessions.pop(session_id, None)
