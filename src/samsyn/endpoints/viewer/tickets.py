"""Tickets: how a form names a person who has been found, so that nobody can be opened by guessing a key, and how it
confirms a number whose holder was shown."""

import hashlib
import hmac
import secrets

from samsyn.errors import NotFound
from samsyn.model.patient import PatientIdentifier


class Tickets:
    """Names persons for one session each."""

    def __init__(self, key: bytes = b"") -> None:
        """`key`: what the tickets rest on, the same on all nodes; empty = one that lives as long as the process."""
        self._key = key or secrets.token_bytes(32)

    def ticket(self, session_id: str, patient_key: int) -> str:
        """What goes into the form; worthless in every other session."""
        return f"{patient_key}.{self._signed(f'{session_id} {patient_key}')}"

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

    def confirmation(self, session_id: str, place: str, identifier: PatientIdentifier) -> str:
        """What the form of a place (a held case, a study) carries on when the holder of the number was shown there."""
        text = f"{identifier.issuer} {identifier.value}"
        return f"{text} {self._signed(f'{session_id} {place} {text}')}"

    def confirmed(self, session_id: str, place: str, ticket: str) -> PatientIdentifier:
        """The number that was shown at the place. NotFound: made up, or made for another place or session."""
        text, _, signature = ticket.rpartition(" ")
        expected = self._signed(f"{session_id} {place} {text}")
        if not hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace")):
            raise NotFound
        issuer, _, value = text.partition(" ")
        return PatientIdentifier(issuer, value)

    def _signed(self, text: str) -> str:
        return hmac.new(self._key, text.encode("utf-8", "replace"), hashlib.sha256).hexdigest()
