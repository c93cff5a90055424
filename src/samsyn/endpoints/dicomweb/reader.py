"""Who asks at this door, and the View under which he reads."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from samsyn.access.authentication.identification import CERTIFICATE
from samsyn.access.opened import OpenedPatients
from samsyn.access.view import Gatekeeper, View
from samsyn.errors import NotAllowed, NotAuthenticated, NotFound
from samsyn.model.sender import Sender
from samsyn.model.subject import Role, Subject, SubjectKind
from samsyn.patients.lookup import PatientLookup
from samsyn.providers.connections import Connections, System

Identify = Callable[[Mapping[str, Any]], Subject]
"""The person or system behind an ASGI request's session cookie or bearer token; NotAuthenticated otherwise."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody who asks. `system` is set for a connected system's token."""

    subject: Subject
    system: System | None
    by_token: bool
    """Whether the request showed a token, not the cookie of a browser session."""
    with_rejected: bool = False
    """Whether what rejection notes hide was asked for too; NotAllowed when the View is opened, but for stewards."""


class Readers:
    """Tells who asks and opens the View that fits the question."""

    def __init__(
        self,
        identify: Identify,
        connections: Connections,
        gatekeeper: Gatekeeper,
        lookup: PatientLookup,
        opened: OpenedPatients,
    ) -> None:
        self._identify = identify
        self._connections = connections
        self._gatekeeper = gatekeeper
        self._lookup = lookup
        self._opened = opened

    def reader_of(self, scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> Reader:
        """Who asks; NotAuthenticated when nobody known does."""
        if CERTIFICATE in scope:
            certified = self._connections.certificate(scope[CERTIFICATE])
            if certified is None:
                raise NotAuthenticated
            return Reader(certified.subject, certified, True)
        secret = bearer(headers)
        system = self._connections.token(secret) if secret else None
        if system is not None:
            return Reader(system.subject, system, True)
        return Reader(self._identify(scope), None, bool(secret))

    def system_of(self, scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> System:
        """The system that sends; people do not store here, and a cookie never lets anything in."""
        reader = self.reader_of(scope, headers)
        if reader.system is None or not reader.system.may_store:
            raise NotAllowed
        return reader.system

    def steward_of(self, reader: Reader) -> Sender:
        """As whom a steward takes instances back: a system by setting, a person with the role and a token."""
        if reader.system is not None:
            if not reader.system.may_reject:
                raise NotAllowed
            return reader.system.sender
        sender = self._connections.sender_for(reader.subject)
        if sender is None or not reader.by_token or Role.STEWARD not in reader.subject.roles:
            raise NotAllowed
        return sender

    async def view_of_study(self, reader: Reader, study_uid: str) -> View:
        """The View for reading one study; NotFound when it is of nobody whom the reader has open."""
        if reader.subject.kind is SubjectKind.STAFF and reader.by_token:
            return await self._gatekeeper.open_view_of_studies(
                reader.subject, (study_uid,), with_rejected=reader.with_rejected
            )
        return await self._own_view(reader)

    def kept_view(self, reader: Reader) -> View | None:
        """What `view_of_study` answers, where that is known already and names no study; None = ask it."""
        if reader.with_rejected or (reader.subject.kind is SubjectKind.STAFF and reader.by_token):
            return None
        return self._gatekeeper.kept_view(reader.subject, self._own_keys(reader.subject))

    async def view_of_search(self, reader: Reader, patient_id: str, study_uid: str) -> View:
        """The View for a search. Staff read about one person at a time: with a token the one that the query
        names by PatientID or StudyInstanceUID, in a browser session the one whose page is open.

        NotFound: it is nobody whom we know, so there is nothing to find.
        """
        if reader.subject.kind is not SubjectKind.STAFF or not reader.by_token:
            return await self._own_view(reader)
        if patient_id and not set(patient_id) & set("*?"):
            keys = frozenset(person.key for person in await self._lookup.by_number(patient_id))
            return await self._open(reader, keys)
        if study_uid:
            return await self._gatekeeper.open_view_of_studies(
                reader.subject, study_uid.split("\\"), with_rejected=reader.with_rejected
            )
        raise NotAllowed("staff search about one person")

    async def _own_view(self, reader: Reader) -> View:
        """The View that follows from who asks, without a person being named."""
        return await self._open(reader, self._own_keys(reader.subject))

    def _own_keys(self, subject: Subject) -> frozenset[int] | None:
        if subject.kind is SubjectKind.SYSTEM:
            return None
        key = (
            subject.patient_key
            if subject.kind is SubjectKind.PATIENT
            else self._opened.current(subject.session_id)
        )
        if key is None:
            raise NotFound
        return frozenset({key})

    async def _open(self, reader: Reader, keys: frozenset[int] | None) -> View:
        return await self._gatekeeper.open_view(reader.subject, keys, with_rejected=reader.with_rejected)


def bearer(headers: Mapping[bytes, bytes]) -> str:
    """The token of the Authorization header, "" when there is none. NotAuthenticated for another scheme."""
    header = headers.get(b"authorization", b"").decode("latin-1")
    if not header:
        return ""
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotAuthenticated("only bearer tokens are taken")
    return token.strip()
