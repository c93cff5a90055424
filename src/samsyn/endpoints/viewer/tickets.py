"""Tickets: how a form names a person who has been found, so that nobody can be opened by guessing a key."""

import hashlib
import hmac
import secrets

from samsyn.errors import NotFound


class Tickets:
    """Names persons for one session each."""

    def __init__(self, key: bytes = b"") -> None:
        """`key`: what the tickets rest on, the same on all nodes; empty = one that lives as long as the process."""
        self._key = key or secrets.token_bytes(32)

    def ticket(self, session_id: str, patient_key: int) -> str:
        """What goes into the form; worthless in every other session."""
        text = f"{session_id} {patient_key}".encode()
        return f"{patient_key}.{hmac.new(self._key, text, hashlib.sha256).hexdigest()}"

    def patient_key(self, session_id: str, ticket: str) -> int:
        """The person whom the form names. NotFound: made up, or made for another session."""
        text = ticket.partition(".")[0]
        if not text.isdecimal() or len(text) > 18:
            raise NotFound
        if not hmac.compare_digest(
            self.ticket(session_id, int(text)).encode(), ticket.encode("utf-8", "replace")
        ):
            raise NotFound
        return int(text)
