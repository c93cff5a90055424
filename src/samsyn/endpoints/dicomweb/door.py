"""The DICOMweb door: an ASGI application of its own, since a router's per-request cost is felt in frames.

`DicomwebDoor(identify, connections, intake, finder, retriever, gatekeeper, lookup, opened, pictures)` is mounted
under `/dicomweb` (`PREFIX`). `identify` takes the ASGI scope and answers a Subject.
"""

import contextlib
import re
from collections.abc import AsyncIterator
from secrets import token_hex
from types import MappingProxyType

from starlette.types import Receive, Scope, Send

from samsyn.access.opened import OpenedPatients
from samsyn.access.view import Gatekeeper
from samsyn.endpoints.dicomweb.answers import Answer, plain_refusal, refusal, send_answer
from samsyn.endpoints.dicomweb.asked import asked
from samsyn.endpoints.dicomweb.datasets import form_of
from samsyn.endpoints.dicomweb.errors_table import status_of
from samsyn.endpoints.dicomweb.frames import Frames
from samsyn.endpoints.dicomweb.objects import Objects
from samsyn.endpoints.dicomweb.reader import Identify, Reader, Readers
from samsyn.endpoints.dicomweb.rendered import Pictures, Rendered
from samsyn.endpoints.dicomweb.search import Searches
from samsyn.endpoints.dicomweb.storing.stow import Stow
from samsyn.endpoints.dicomweb.target import Target, target_of
from samsyn.errors import BadInput, LimitExceeded, NotAllowed, NotAuthenticated, NotFound, SamsynError
from samsyn.ingest.receive import Intake
from samsyn.limits import MAX_STOW_BYTES
from samsyn.patients.lookup import PatientLookup
from samsyn.providers.connections import Connections
from samsyn.render.pictures import best_of
from samsyn.retrieve.retrieve import Retriever
from samsyn.search.find import Finder
from samsyn.search.query import Level

PREFIX = "/dicomweb"
Headers = dict[bytes, bytes]
"""Header fields by lower-case name; of a repeated one the last."""

_HOST = re.compile(r"[A-Za-z0-9.\-]{1,253}(:[0-9]{1,5})?|\[[0-9a-fA-F:.]{2,45}\](:[0-9]{1,5})?", re.ASCII)
_SEARCHES = MappingProxyType(
    {
        ("studies", 0): Level.STUDY,
        ("series", 0): Level.SERIES,
        ("instances", 0): Level.IMAGE,
        ("studies/series", 1): Level.SERIES,
        ("studies/instances", 1): Level.IMAGE,
        ("studies/series/instances", 2): Level.IMAGE,
    }
)
_OBJECTS = frozenset({("studies", 1), ("studies/series", 2), ("studies/series/instances", 3)})
_INSTANCE = "studies/series/instances"
_ROOTS = MappingProxyType({"studies": 1, "studies/series": 2, _INSTANCE: 3, f"{_INSTANCE}/frames": 4})
"""Resources that have representations of their own, with the number of values in their address."""
_REPRESENTATIONS = frozenset({"metadata", "rendered", "thumbnail", "bulkdata"})


class DicomwebDoor:
    """STOW-RS, QIDO-RS and WADO-RS."""

    def __init__(
        self,
        identify: Identify,
        connections: Connections,
        intake: Intake,
        finder: Finder,
        retriever: Retriever,
        gatekeeper: Gatekeeper,
        lookup: PatientLookup,
        opened: OpenedPatients,
        pictures: Pictures,
    ) -> None:
        self._readers = Readers(identify, connections, gatekeeper, lookup, opened)
        self._refusals = gatekeeper.refusals
        self._retriever = retriever
        self._frames = Frames(gatekeeper, retriever, pictures)
        self._objects = Objects(gatekeeper, retriever, self._frames)
        self._rendered = Rendered(gatekeeper, pictures, retriever, self._frames)
        self._searches = Searches(self._readers, gatekeeper, finder)
        self._stow = Stow(intake)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One HTTP request."""
        if scope["type"] != "http":
            return
        method = scope["method"]
        try:
            answer = await self._answer(scope, receive, method)
        except SamsynError as error:
            await self._note(error, scope)
            answer = refusal(error, status_of(error))
        await send_answer(answer, receive, send, with_body=method != "HEAD")

    async def _note(self, error: SamsynError, scope: Scope) -> None:
        """A refused log-in or act goes into the audit journal, with who it was if he could be told."""
        if not isinstance(error, NotAuthenticated | NotAllowed):
            return
        subject = None
        if isinstance(error, NotAllowed):
            with contextlib.suppress(SamsynError):
                subject = self._readers.reader_of(scope, dict(scope["headers"])).subject
        address = scope["client"][0] if scope.get("client") else ""
        await self._refusals.record("dicomweb", error, subject=subject, address=address)

    async def _answer(self, scope: Scope, receive: Receive, method: str) -> Answer:
        headers: Headers = dict(scope["headers"])
        target = target_of(_path(scope))
        if method == "POST":
            return await self._store(scope, receive, headers, target)
        if method not in ("GET", "HEAD"):
            allowed = b"GET, HEAD, POST" if target.form == "studies" else b"GET, HEAD"
            return plain_refusal(405, "The method is not offered here.", (b"allow", allowed))
        reader = self._readers.reader_of(scope, headers)
        level = _SEARCHES.get((target.form, target.depth))
        if level is not None:
            return await self._searches.search(
                level, target, asked(scope, headers, _base(scope, headers)), reader
            )
        return await self._retrieve(scope, headers, target, reader)

    async def _store(self, scope: Scope, receive: Receive, headers: Headers, target: Target) -> Answer:
        if target.form != "studies":
            return plain_refusal(405, "Instances are stored under /studies.", (b"allow", b"GET, HEAD"))
        system = self._readers.system_of(scope, headers)
        if headers.get(b"content-encoding", b"identity") != b"identity":
            return plain_refusal(415, "Compressed request bodies are not taken.")
        if _content_length(headers) > MAX_STOW_BYTES:
            raise LimitExceeded("MAX_STOW_BYTES")
        base = _base(scope, headers)
        return await self._stow.store(
            system,
            target.study_uid,
            headers.get(b"content-type", b"").decode("latin-1"),
            _body(receive),
            f"stow-{token_hex(8)}",
            base,
            form_of(asked(scope, headers, base).accepted),
        )

    async def _retrieve(self, scope: Scope, headers: Headers, target: Target, reader: Reader) -> Answer:
        form, representation = _representation(target)
        if reader.system is not None and not reader.system.may_retrieve:
            raise NotAllowed
        base = _base(scope, headers) if representation == "metadata" else ""
        wanted = asked(scope, headers, base)
        view = await self._readers.view_of_study(reader, target.study_uid)
        match representation:
            case "" if form.endswith("/frames"):
                [instance] = await self._retriever.instances(
                    view, target.study_uid, target.series_uid, target.sop_instance_uid
                )
                return await self._frames.retrieve(view, instance, target.frames, wanted)
            case "":
                return await self._objects.retrieve(view, target, wanted)
            case "metadata":
                return await self._objects.metadata(view, target, wanted)
            case "bulkdata":
                return await self._objects.bulk_data(view, target, wanted)
            case _:
                instances = await self._retriever.instances(
                    view, target.study_uid, target.series_uid, target.sop_instance_uid
                )
                shown = best_of(instances)
                make = self._rendered.picture if representation == "rendered" else self._rendered.thumbnail
                return await make(view, shown, target.frames, wanted)


def _representation(target: Target) -> tuple[str, str]:
    """The resource that is named and which of its representations; NotFound for other addresses."""
    form, _, last = target.form.rpartition("/")
    if last not in _REPRESENTATIONS:
        form, last = target.form, ""
    if _ROOTS.get(form) != target.depth:
        raise NotFound
    if (last == "bulkdata" and form != _INSTANCE) or (last == "metadata" and form.endswith("/frames")):
        raise NotFound
    return form, last


def _content_length(headers: Headers) -> int:
    """The announced size of the body; 0 when it is not told."""
    text = headers.get(b"content-length", b"0")
    if not text.isdigit() or len(text) > 18:
        raise BadInput("Content-Length is malformed")
    return int(text)


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    return path.removeprefix(PREFIX)


def _base(scope: Scope, headers: Headers) -> str:
    """The address of the service as the client called it; BadInput for a Host that is none."""
    host = headers.get(b"host", b"").decode("latin-1")
    if not _HOST.fullmatch(host):
        raise BadInput("the Host header is missing or malformed")
    server = scope.get("server")
    if server and host == server[0] and server[1] not in (None, 80, 443):
        host = f"{host}:{server[1]}"  # some clients leave our port out, and their addresses then lead nowhere
    return f"{scope['scheme']}://{host}{PREFIX}"


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    """The request body; BadInput when the client goes away in the middle."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadInput("the client went away")
        chunk: bytes = message.get("body", b"")
        if chunk:
            yield chunk
        if not message.get("more_body", False):
            return
