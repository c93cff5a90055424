"""What a session has opened and chosen, for every node: handles of patients, and the steps of the reveal."""

import secrets
import time
from typing import Any, Final

from pydantic import TypeAdapter

from samsyn import limits
from samsyn.access.choices import ActiveChoices
from samsyn.access.facts import Choices
from samsyn.access.opened import OpenedPatients
from samsyn.errors import NotFound
from samsyn.store.shared.port import SharedState

_OPENED: Final = "opened"
_CHOSEN: Final = "chosen"


class SharedOpened(OpenedPatients):
    """A row for each handle, so that two tabs at once lose nothing; its value tells the person and when he was shown.

    OutOfResources: what nodes share can not be reached.
    """

    def __init__(self, shared: SharedState) -> None:
        super().__init__()
        self._shared = shared

    def open(self, session_id: str, patient_key: int, handle: str = "") -> str:
        """See OpenedPatients."""
        rows = self._rows(session_id)
        for known, key, _ in rows:
            if key == patient_key:
                self._show(session_id, known, key)
                return known
        handle = handle or secrets.token_urlsafe(18)
        self._show(session_id, handle, patient_key)
        for former, _, _ in rows[: max(0, len(rows) + 1 - limits.MAX_OPENED_PATIENTS)]:
            self.close(session_id, former)
        return handle

    def open_only(self, session_id: str, patient_key: int) -> str:
        """See OpenedPatients."""
        handle = self.open(session_id, patient_key)
        for other, _, _ in self._rows(session_id):
            if other != handle:
                self.close(session_id, other)
        return handle

    def patient_key(self, session_id: str, handle: str) -> int:
        """See OpenedPatients."""
        rows = self._rows(session_id)
        for other, key, _ in rows:
            if other == handle:
                if rows[-1][0] != handle:
                    self._show(session_id, handle, key)
                return key
        raise NotFound

    def look(self, session_id: str, handle: str) -> int:
        """See OpenedPatients."""
        text = self._shared.get(_OPENED, f"{session_id}:{handle}")
        if text is None:
            raise NotFound
        return int(text.partition(" ")[0])

    def current(self, session_id: str) -> int | None:
        """See OpenedPatients."""
        rows = self._rows(session_id)
        return rows[-1][1] if rows else None

    def keys(self, session_id: str) -> frozenset[int]:
        """See OpenedPatients."""
        return frozenset(key for _, key, _ in self._rows(session_id))

    def latest(self, session_id: str) -> list[tuple[str, int]]:
        """See OpenedPatients."""
        return [(handle, key) for handle, key, _ in reversed(self._rows(session_id))]

    def close(self, session_id: str, handle: str) -> None:
        """See OpenedPatients."""
        self._shared.take(_OPENED, f"{session_id}:{handle}")

    def forget(self, session_id: str) -> None:
        """See OpenedPatients."""
        for handle, _, _ in self._rows(session_id):
            self.close(session_id, handle)

    def _rows(self, session_id: str) -> list[tuple[str, int, int]]:
        """(handle, person, when shown), the latest last."""
        rows = []
        for place, text in self._shared.find(_OPENED, f"{session_id}:"):
            key, _, shown = text.partition(" ")
            rows.append((place.partition(":")[2], int(key), int(shown)))
        return sorted(rows, key=lambda row: row[2])

    def _show(self, session_id: str, handle: str, key: int) -> None:
        place, now = f"{session_id}:{handle}", time.time_ns()
        self._shared.put(_OPENED, place, f"{key} {now}", limits.SESSION_LIFETIME_S)


class SharedChoices(ActiveChoices):
    """The active choices in what nodes share."""

    def __init__(self, shared: SharedState) -> None:
        super().__init__()
        self._shared = shared
        self._form: TypeAdapter[Any] = TypeAdapter(Choices)

    def of(self, session_id: str, patient_keys: frozenset[int]) -> Choices:
        """See ActiveChoices."""
        if not session_id or not patient_keys:
            return Choices()
        text = self._shared.get(_CHOSEN, f"{session_id}:{min(patient_keys)}")
        found: Choices = self._form.validate_json(text) if text is not None else Choices()
        return found

    def record(self, session_id: str, patient_keys: frozenset[int], choices: Choices) -> None:
        """See ActiveChoices."""
        text = self._form.dump_json(choices).decode()
        self._shared.put(_CHOSEN, f"{session_id}:{min(patient_keys)}", text, limits.SESSION_LIFETIME_S)
        self.version += 1

    def forget(self, session_id: str) -> None:
        """See ActiveChoices."""
        for place, _ in self._shared.find(_CHOSEN, f"{session_id}:"):
            self._shared.take(_CHOSEN, place)
