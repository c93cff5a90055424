"""Bearer tokens: 256 random bits that stand for a subject. Only their SHA-256 is kept."""

import hashlib
import secrets
from dataclasses import replace

from samsyn.model.subject import Subject

_BYTES = 32


def new_secret() -> str:
    """256 random bits as text that fits in a cookie, a header and an address."""
    return secrets.token_urlsafe(_BYTES)


def digest(secret: str) -> bytes:
    """What is kept of a secret. Secrets are random, so no slow hash is needed."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


class Tokens:
    """Subjects by token. A subject without session id gets one, for its choices and for the audit journal."""

    def __init__(self) -> None:
        self._subjects: dict[bytes, Subject] = {}

    def issue(self, subject: Subject) -> str:
        """A new token; it is told once and can not be read again."""
        secret = new_secret()
        if not subject.session_id:
            subject = replace(subject, session_id=f"token-{secrets.token_hex(8)}")
        self._subjects[digest(secret)] = subject
        return secret

    def find(self, secret: str) -> Subject | None:
        """Whose token it is; None for an unknown one."""
        return self._subjects.get(digest(secret))

    def revoke(self, secret: str) -> None:
        """Makes the token worthless at once."""
        self._subjects.pop(digest(secret), None)
