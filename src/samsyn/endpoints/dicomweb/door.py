"""The DICOMweb door: an ASGI application of its own, since a router's per-request cost is felt in frames.

`DicomwebDoor` is mounted under `/dicomweb` (`PREFIX`). `identify` takes the ASGI scope and answers a Subject.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from secrets import token_hex
from types import MappingProxyType

from starlette.types import Receive, Scope, Send

from samsyn.access.opened import OpenedPatients
from samsyn.access.view import Gatekeeper, View
from samsyn.endpoints.dicomweb.answers import DICOM_JSON, Answer, plain_refusal, ready, refusal, send_answer
from samsyn.endpoints.dicomweb.archive import Archives
from samsyn.endpoints.dicomweb.archive import is_wanted as is_zip
from samsyn.endpoints.dicomweb.asked import Asked, asked, is_other
from samsyn.endpoints.dicomweb.bulk import BulkData
from samsyn.endpoints.dicomweb.datasets import form_of, json_kind
from samsyn.endpoints.dicomweb.deletion import Deletion
from samsyn.endpoints.dicomweb.errors_table import status_of
from samsyn.endpoints.dicomweb.feed import Feed
from samsyn.endpoints.dicomweb.frames import Frames
from samsyn.endpoints.dicomweb.negotiation import ANY, choose_plain
from samsyn.endpoints.dicomweb.objects import Objects
from samsyn.endpoints.dicomweb.offer.capabilities import JSON, WADL, as_json, as_wadl, level_of
from samsyn.endpoints.dicomweb.offer.resources import RESOURCES, Resource
from samsyn.endpoints.dicomweb.parameters import ignored
from samsyn.endpoints.dicomweb.pictures.options import wish_of
from samsyn.endpoints.dicomweb.pictures.rendered import Pictures, Rendered
from samsyn.endpoints.dicomweb.reader import Identify, Reader, Readers
from samsyn.endpoints.dicomweb.searching.search import Searches
from samsyn.endpoints.dicomweb.storing.correcting import Correcting
from samsyn.endpoints.dicomweb.storing.request import StoreRequest, StoringConnection, new_session
from samsyn.endpoints.dicomweb.storing.stow import Stow
from samsyn.endpoints.dicomweb.target import Target, target_of
from samsyn.endpoints.dicomweb.wado_uri import parse_uri_request
from samsyn.endpoints.dicomweb.workitems.refused import NOT_OFFERED
from samsyn.endpoints.dicomweb.workitems.worklist import Worklist
from samsyn.errors import BadInput, LimitExceeded, NotAllowed, NotAuthenticated, NotFound, SamsynError
from samsyn.exchange.sending import Sending
from samsyn.ingest.amendments import Amendments
from samsyn.ingest.receive import Intake
from samsyn.ingest.rejections import Rejections
from samsyn.limits import MAX_STOW_BYTES
from samsyn.patients.lookup import PatientLookup
from samsyn.providers.connections import Connections
from samsyn.render.transcoding import Transcoder
from samsyn.retrieve.retrieve import Retriever
from samsyn.search.changes import Changes
from samsyn.search.find import Finder
from samsyn.wire.other_origins import OtherOrigins
from samsyn.wire.whole_answer import Ready
from samsyn.wire.whole_body import CONNECTION, BodyTaker

PREFIX = "/dicomweb"
REJECTED = "/rejected"
"""Below it lies the same service once more, for stewards, with what rejection notes hide."""
Headers = dict[bytes, bytes]
"""Header fields by lower-case name; a field in several lines is one list (RFC 9110 5.3)."""

_HOST = re.compile(r"[A-Za-z0-9._\-]{1,253}(:[0-9]{1,5})?|\[[0-9a-fA-F:.]{2,45}\](:[0-9]{1,5})?", re.ASCII)
_SEARCHES = MappingProxyType(
    {key: level_of(resource) for key, resource in RESOURCES.items() if resource.parameters == "search"}
)
_SENT = b"Accept, Authorization, Content-Type, If-Match, If-None-Match, If-Range, Range"
_SHOWN = (
    b"Accept-Ranges, Content-Disposition, Content-Location, Content-Range, ETag, Location, Retry-After, Warning,"
    b" X-Total-Count"
)
_ADDRESSING = frozenset({"metadata", "bulkdata", "pixeldata"})
"""Representations that hold addresses."""
_REPRESENTATIONS = _ADDRESSING | {"rendered", "thumbnail"}


class DicomwebDoor:
    """STOW-RS, QIDO-RS, WADO-RS and UPS-RS."""

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
        transcoder: Transcoder,
        rejections: Rejections,
        corrections: Amendments,
        changes: Changes,
        sending: Sending,
        origins: tuple[str, ...] = (),
    ) -> None:
        """`origins`: whose pages may call the door from a browser."""
        self._origins = OtherOrigins(origins, _SENT, _SHOWN)
        self._readers = Readers(identify, connections, gatekeeper, lookup, opened)
        self._refusals = gatekeeper.refusals
        self._retriever = retriever
        self._frames = Frames(gatekeeper, retriever, pictures)
        self._objects = Objects(gatekeeper, retriever, transcoder)
        self._bulk = BulkData(gatekeeper, retriever, self._frames)
        self._archives = Archives(gatekeeper, retriever)
        self._rendered = Rendered(gatekeeper, pictures, retriever, self._frames)
        self._searches = Searches(self._readers, gatekeeper, finder)
        self._stow = Stow(intake)
        self._feed = Feed(self._readers, gatekeeper, changes)
        self._correcting = Correcting(self._readers, corrections)
        self._worklist = Worklist(self._readers, sending)
        self._deletion = Deletion(self._readers, rejections)

    def at_once(self, scope: Scope) -> Ready | None:
        """See AnswersAtOnce: one frame of what its reader is just looking at. Whatever is to be refused, asked or
        written down goes the long way."""
        path, with_rejected = _path(scope)
        if with_rejected or "/frames/" not in path:
            return None
        headers = _fields(scope)
        if b"if-match" in headers:
            return None
        try:
            answer = self._frame_at_once(scope, headers, target_of(path))
        except SamsynError:
            return None
        return self._ready(answer, headers) if answer is not None else None

    def take_body(self, scope: Scope, length: int, answered: Callable[[Ready], None]) -> BodyTaker | None:
        """See TakesBodies: instances of a system. Whatever is to be refused goes the long way."""
        kept: StoringConnection = scope[CONNECTION].setdefault(PREFIX, StoringConnection())
        try:
            if kept.scope is not scope:
                kept.scope, kept.headers = scope, _fields(scope)
                kept.request = None  # also when reading it raises
                kept.request = _taken_in_place(scope, kept.headers)
            if kept.request is None:
                return None
            headers = kept.headers
            system = self._readers.system_of(scope, headers)
            session_id = kept.session_of(system.sender.name, asyncio.get_running_loop().time())
            return self._stow.take(
                system,
                kept.request,
                session_id,
                length,
                lambda answer: answered(self._ready(answer, headers)),
            )
        except SamsynError:
            return None

    def _ready(self, answer: Answer, headers: Mapping[bytes, bytes]) -> Ready:
        extra = self._origins.headers(headers)
        return ready(replace(answer, headers=(*answer.headers, *extra)) if extra else answer)

    def _frame_at_once(self, scope: Scope, headers: Headers, target: Target) -> Answer | None:
        if target.form != "studies/series/instances/frames" or len(target.frames) != 1:
            return None
        reader = self._readers.reader_of(scope, headers)
        if reader.system is not None and not reader.system.may_retrieve:
            return None
        view = self._readers.kept_view(reader)
        if view is None:
            return None
        named = target.study_uid, target.series_uid, target.sop_instance_uid
        instance = self._retriever.known_instance(view, *named)
        if instance is None or instance.pixels is None:
            return None
        return self._frames.at_once(view, instance, target.frames[0], asked(scope, headers, ""))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One HTTP request."""
        if scope["type"] != "http":
            return
        method = scope["method"]
        headers = _fields(scope)
        try:
            answer = await self._answer(scope, receive, headers, method)
            if answer.content_type == DICOM_JSON and method != "POST":
                answer = replace(answer, content_type=json_kind(asked(scope, headers, "").accepted))
            if b"if-match" in headers and answer.tag and is_other(headers[b"if-match"], answer.tag):
                answer = plain_refusal(412, "What is here is not what was asked for any more.")
        except SamsynError as error:
            await self._note(error, scope)
            answer = refusal(error, status_of(error))
        extra = self._origins.headers(headers)
        if extra:
            answer = replace(answer, headers=(*answer.headers, *extra))
        await send_answer(answer, scope, receive, send)

    async def _note(self, error: SamsynError, scope: Scope) -> None:
        """A refused log-in or act goes into the audit journal, with who it was if he could be told."""
        if not isinstance(error, NotAuthenticated | NotAllowed):
            return
        subject = None
        if isinstance(error, NotAllowed):
            with contextlib.suppress(SamsynError):
                subject = self._readers.reader_of(scope, _fields(scope)).subject
        address = scope["client"][0] if scope.get("client") else ""
        await self._refusals.record("dicomweb", error, subject=subject, address=address)

    async def _answer(self, scope: Scope, receive: Receive, headers: Headers, method: str) -> Answer:
        path, with_rejected = _path(scope)
        target = target_of(path)
        if (target.form, target.depth, method) in NOT_OFFERED and not with_rejected:
            return await self._not_offered(scope, receive, headers, target, method)
        resource = RESOURCES.get((target.form, target.depth))
        if resource is None or (with_rejected and method == "POST"):
            raise NotFound
        if method not in resource.methods:
            allowed = ", ".join(resource.methods).encode()
            return plain_refusal(405, "The method is not offered here.", (b"allow", allowed))
        if method == "OPTIONS":
            return self._described(scope, headers, resource)
        if not target.form:
            return _capabilities(asked(scope, headers, _base(scope, headers)), ())
        if target.form == "studies/corrections":
            return await self._correcting.correct(
                self._readers.reader_of(scope, headers),
                target,
                headers.get(b"content-type", b"").decode("latin-1"),
                _body(receive),
                scope["query_string"],
                f"correct-{token_hex(8)}",
            )
        if target.form.startswith("workitems"):
            return await self._work(scope, receive, headers, target, method)
        if method == "POST":
            return await self._store(scope, receive, headers, target)
        reader = self._readers.reader_of(scope, headers)
        if with_rejected:
            reader = replace(reader, with_rejected=True)
        if method == "DELETE":
            base = f"{_base(scope, headers)}{'' if with_rejected else REJECTED}"
            query_string: bytes = scope["query_string"]
            return await self._deletion.delete(reader, target, query_string, f"delete-{token_hex(8)}", base)
        level = _SEARCHES.get((target.form, target.depth))
        if level is not None:
            return await self._searches.search(
                level, target, asked(scope, headers, _base(scope, headers)), reader
            )
        if target.form == "changes":
            return await self._feed.page(reader, asked(scope, headers, ""))
        if target.form == "wado":
            return await self._retrieve_by_uri(scope, headers, reader)
        return await self._retrieve(scope, headers, target, reader)

    def _described(self, scope: Scope, headers: Headers, resource: Resource) -> Answer:
        """OPTIONS: the methods of an address; with them the whole description (PS3.18 8.9.1)."""
        preflight = self._origins.preflight(headers)
        if preflight is not None:
            return Answer(204, headers=preflight)
        allowed = (b"allow", ", ".join(resource.methods).encode())
        return _capabilities(asked(scope, headers, _base(scope, headers)), (allowed,))

    async def _work(
        self, scope: Scope, receive: Receive, headers: Headers, target: Target, method: str
    ) -> Answer:
        reader = self._readers.reader_of(scope, headers)
        if target.form == "workitems/cancelrequest":
            return await self._worklist.cancel(reader, target.study_uid)
        base = _base(scope, headers)
        if method == "POST":
            kind = headers.get(b"content-type", b"").decode("latin-1")
            return await self._worklist.create(reader, kind, _body(receive), scope["query_string"], base)
        wanted = asked(scope, headers, base)
        if target.depth:
            return await self._worklist.retrieve(reader, target.study_uid, wanted)
        return await self._worklist.search(reader, wanted)

    async def _not_offered(
        self, scope: Scope, receive: Receive, headers: Headers, target: Target, method: str
    ) -> Answer:
        reader = self._readers.reader_of(scope, headers)
        if target.form == "workitems/state":
            kind = headers.get(b"content-type", b"").decode("latin-1")
            return await self._worklist.change_state(reader, target.study_uid, kind, _body(receive))
        if target.form == "workitems":
            return self._worklist.update(reader, target.study_uid, scope["query_string"])
        return self._worklist.subscription(reader, target.form, method, target.study_uid)

    async def _store(self, scope: Scope, receive: Receive, headers: Headers, target: Target) -> Answer:
        system = self._readers.system_of(scope, headers)
        if headers.get(b"content-encoding", b"identity") != b"identity":
            return plain_refusal(415, "Compressed request bodies are not taken.")
        if _content_length(headers) > MAX_STOW_BYTES:
            raise LimitExceeded("MAX_STOW_BYTES")
        request = _store_request(scope, headers, target)
        return await self._stow.store(system, request, new_session(), _body(receive))

    async def _retrieve(self, scope: Scope, headers: Headers, target: Target, reader: Reader) -> Answer:
        form, representation = _representation(target)
        if reader.system is not None and not reader.system.may_retrieve:
            raise NotAllowed
        base = _base(scope, headers) if representation in _ADDRESSING else ""
        wanted = asked(scope, headers, base)
        view = await self._readers.view_of_study(reader, target.study_uid)
        match representation:
            case "" if form.endswith("/frames"):
                [instance] = await self._retriever.instances(
                    view, target.study_uid, target.series_uid, target.sop_instance_uid
                )
                return await self._frames.retrieve(view, instance, target.frames, wanted)
            case "":
                if is_zip(wanted.accepted, rather=True):
                    return await self._archives.retrieve(view, target, wanted)
                answer = await self._objects.retrieve(view, target, wanted)
                if answer.status == 406:
                    return await self._otherwise(scope, headers, view, target, wanted) or answer
                return answer
            case "metadata":
                return await self._objects.metadata(view, target, wanted)
            case "bulkdata":
                if target.bulk_path:
                    return await self._bulk.one(view, target, wanted)
                return await self._bulk.every(view, target, wanted, pixels=False)
            case "pixeldata":
                return await self._bulk.every(view, target, wanted, pixels=True)
            case _:
                instances = await self._retriever.instances(
                    view, target.study_uid, target.series_uid, target.sop_instance_uid
                )
                is_thumbnail = representation == "thumbnail"
                make = self._rendered.thumbnail if is_thumbnail else self._rendered.picture
                wish = wish_of(wanted.query_string, is_thumbnail=is_thumbnail)
                return await make(view, instances, target.frames, wanted, wish)

    async def _otherwise(
        self, scope: Scope, headers: Headers, view: View, target: Target, wanted: Asked
    ) -> Answer | None:
        """What an object, series or study is sent as to who takes no DICOM files: a ZIP file, else its bulk data
        (PS3.18 B.10); None = it is not."""
        if is_zip(wanted.accepted, rather=False):
            return await self._archives.retrieve(view, target, wanted)
        # Anything means the form that the resource has without being asked.
        named = tuple(each for each in wanted.accepted if each.multipart or each.kind != ANY)
        wanted = replace(wanted, accepted=named, base=_base(scope, headers))
        with contextlib.suppress(NotFound):
            answer = await self._bulk.every(view, target, wanted, pixels=False)
            return answer if answer.status != 406 else None
        return None

    async def _retrieve_by_uri(self, scope: Scope, headers: Headers, reader: Reader) -> Answer:
        wanted = asked(scope, headers, "")
        request = parse_uri_request(scope["query_string"], wanted.accepted)
        if reader.system is not None and not reader.system.may_retrieve:
            raise NotAllowed
        target = request.target
        view = await self._readers.view_of_study(reader, target.study_uid)
        [instance] = await self._retriever.instances(
            view, target.study_uid, target.series_uid, target.sop_instance_uid
        )
        wanted = request.accepted_for(instance, wanted)
        if request.is_for_object(instance):
            answer = await self._objects.retrieve(view, target, wanted)
            return replace(answer, headers=(*answer.headers, *ignored(request.foreign)))
        return await self._rendered.picture(view, [instance], target.frames, wanted, request.wish(instance))


def _fields(scope: Scope) -> Headers:
    lines: list[tuple[bytes, bytes]] = scope["headers"]
    fields = dict(lines)
    if len(fields) < len(lines):
        fields = {}
        for name, value in lines:
            fields[name] = b"%s, %s" % (fields[name], value) if name in fields else value
    return fields


def _representation(target: Target) -> tuple[str, str]:
    """The resource that is named and which of its representations."""
    form, _, last = target.form.rpartition("/")
    return (form, last) if last in _REPRESENTATIONS else (target.form, "")


def _capabilities(wanted: Asked, headers: tuple[tuple[bytes, bytes], ...]) -> Answer:
    kind = choose_plain(wanted.accepted, (WADL, JSON))
    if kind is None:
        return plain_refusal(406, f"The description is sent as {WADL} or {JSON}.", *headers)
    document = as_wadl(wanted.base) if kind == WADL else as_json(wanted.base)
    return Answer(200, document, kind.encode(), headers)


def _store_request(scope: Scope, headers: Mapping[bytes, bytes], target: Target) -> StoreRequest:
    base = _base(scope, headers)
    return StoreRequest(
        target.study_uid,
        headers.get(b"content-type", b"").decode("latin-1"),
        base,
        form_of(asked(scope, headers, base).accepted),
        ":".join(map(str, scope.get("client") or ())),
    )


def _taken_in_place(scope: Scope, headers: Mapping[bytes, bytes]) -> StoreRequest | None:
    """What stores instances and needs no refusal by what its head says; None = anything else."""
    path, with_rejected = _path(scope)
    target = target_of(path)
    if (
        with_rejected
        or scope["method"] != "POST"
        or target.form != "studies"
        or target.depth > 1
        or headers.get(b"content-encoding", b"identity") != b"identity"
    ):
        return None
    return _store_request(scope, headers, target)


def _content_length(headers: Headers) -> int:
    """The announced size of the body; 0 when it is not told."""
    text = headers.get(b"content-length", b"0")
    if not text.isdigit() or len(text) > 18:
        raise BadInput("Content-Length is malformed")
    return int(text)


def _path(scope: Scope) -> tuple[str, bool]:
    """The path below the root, and whether it was the root that shows stewards what was rejected."""
    path: str = scope["path"].removeprefix(PREFIX)
    if path.startswith(f"{REJECTED}/"):
        return path.removeprefix(REJECTED), True
    return path, False


def _base(scope: Scope, headers: Mapping[bytes, bytes]) -> str:
    """The address of the service as the client called it; BadInput for a Host that is none."""
    host = headers.get(b"host", b"").decode("latin-1")
    if not _HOST.fullmatch(host):
        raise BadInput("the Host header is missing or malformed")
    server = scope.get("server")
    if server and host == server[0] and server[1] not in (None, 80, 443):
        host = f"{host}:{server[1]}"  # some clients leave our port out, and their addresses then lead nowhere
    root = PREFIX + REJECTED if _path(scope)[1] else PREFIX
    return f"{scope['scheme']}://{host}{root}"


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
