"""The doors of the matrix: each asks one question over its real protocol, about what is there or about its twin."""

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlencode

import httptools

from samsyn.cli.scratch import REGION_SYSTEM
from samsyn.endpoints.contracts import names
from samsyn.endpoints.fhir.common import identity
from samsyn.endpoints.fhir.documents import manifest_id
from samsyn.endpoints.fhir.imaging import imaging_study_id
from samsyn.endpoints.viewer.history import mark_of
from tests.doors.instance import ISSUER, Instance, Planted, Target
from tests.doors.words import Reader, Seen, State
from tests.doors.world import NAMES_OF

_UNSTEADY = frozenset({"date"})
"""Headers that differ between any two answers."""


@dataclass(frozen=True)
class Answer:
    """What came back, whole."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        return dict(self.headers).get(name, "")


@dataclass(frozen=True)
class Asker:
    """A reader at a door with what he needs to ask there."""

    reader: Reader
    token: str = ""
    cookie: str = ""
    form_token: str = ""
    handles: tuple[str, str] = ("", "")
    """Of the person and of the twin, in this session."""


@dataclass(frozen=True)
class Question:
    """One HTTP request."""

    path: str
    form: dict[str, str] | None = None
    accept: str = "*/*"
    destination: str = ""
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    content: bytes = b""
    """A body that is no form."""


@dataclass(frozen=True)
class Door:
    """`part`: which part of the examination it tells (images, measurement, report, referral,
    all). `tells_bits`: whether the
    staged reveal happens here; elsewhere a document is there or absent. `by`: token or cookie."""

    name: str
    by: str
    ask: Callable[[Target, str], Question]
    part: str = "images"
    tells_bits: bool = False
    tells_person: bool = False
    names_no_person: bool = False
    """A search without a person, which staff may not make."""
    duty: str = ""
    """The duty that this door is for; who has it may be told who, and nobody else."""
    is_sparing: bool = False
    """Whether it tells less than content where content may be read; it must be shut all the same elsewhere."""
    is_contract: bool = False
    """Whether it is a national contract, which tells consumers by its own rules."""
    names_uids: bool = False
    """Whether the question names the examination by UIDs alone: then absent UIDs are alike whosever they are."""


def _wado(
    rest: str, accept: str = "*/*", method: str = "GET", headers: tuple[tuple[str, str], ...] = ()
) -> Callable[[Target, str], Question]:
    return lambda target, handle: Question(
        "/dicomweb/" + rest.format(t=target), accept=accept, method=method, headers=headers
    )


def _page(rest: str, destination: str = "") -> Callable[[Target, str], Question]:
    def ask(target: Target, handle: str) -> Question:
        mark, series = mark_of(handle, target.reference), mark_of(handle, target.series_uid)
        picture = f"{mark_of(handle, target.sop_uid)}-1"
        path = rest.format(mark=mark, series=series, picture=picture)
        return Question(f"/p/{handle}/{path}", destination=destination)

    return ask


def _fhir(kind: str) -> Callable[[Target, str], Question]:
    return lambda target, handle: Question(f"/fhir/{kind}?patient={target.fhir_id}")


def imaging_outcome(number: str, issuer: str, source: str = REGION_SYSTEM, **more: str) -> bytes:
    """A call of GetImagingOutcome about one person; `more`: header, units, period, contacts, as XML."""
    return (
        f'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:t="{names.RESPONDER}"'
        f' xmlns:c="{names.CORE}"><s:Header><r:LogicalAddress xmlns:r="{names.REGISTRY}">{source}'
        f"</r:LogicalAddress>{more.get('header', '')}</s:Header><s:Body><t:GetImagingOutcome>{more.get('units', '')}"
        f"<t:patientId><c:id>{number}</c:id><c:type>{issuer}</c:type></t:patientId>{more.get('period', '')}"
        f"{more.get('system', f'<t:sourceSystemHSAId>{source}</t:sourceSystemHSAId>')}{more.get('contacts', '')}"
        "</t:GetImagingOutcome></s:Body></s:Envelope>"
    ).encode()


def _contract(target: Target, handle: str) -> Question:
    headers = (("Content-Type", "text/xml; charset=utf-8"), ("SOAPAction", f'"{names.ACTION}"'))
    content = imaging_outcome(target.patient_id, ISSUER)
    return Question(names.PATH, headers=headers, content=content)


def _fhir_ids(target: Target) -> tuple[str, str, str, str]:
    """Ids of the study's resource, of its two manifests and of its measurement, as somebody could know them who once
    saw them."""
    handle, uid = target.fhir_id, target.study_uid
    return (
        imaging_study_id(handle, uid),
        manifest_id(handle, uid, "kos"),
        manifest_id(handle, uid, "fhir"),
        identity(handle, "observation", target.measured_uid, "1"),
    )


def register_ids(state: State, target: Target) -> dict[str, str]:
    """Ids of the Consent resources of a person's registers, with what they are called in the state."""
    handle, key = target.fhir_id, target.patient_key
    grounds = {
        identity(handle, "consent", f"c{key}-{place}"): f"ground {place}"
        for place in range(len(state.grounds))
    }
    return grounds | {
        identity(handle, "consent", f"{block.name}-{key}"): f"block {block.name}" for block in state.blocks
    }


_SERIES = "studies/{t.study_uid}/series/{t.series_uid}"
_INSTANCE = _SERIES + "/instances/{t.sop_uid}"
_URI = "wado?requestType=WADO&studyUID={t.study_uid}&seriesUID={t.series_uid}&objectUID={t.sop_uid}"
_MULTIPART = 'multipart/related; type="application/dicom"'
_QIDO = (
    ("QIDO studies by patient", "studies?PatientID={t.patient_id}"),
    ("QIDO studies by UID", "studies?StudyInstanceUID={t.study_uid}"),
    ("QIDO series by patient", "series?PatientID={t.patient_id}"),
    ("QIDO series of study", "studies/{t.study_uid}/series"),
    ("QIDO instances by patient", "instances?PatientID={t.patient_id}"),
    ("QIDO instances of series", _SERIES + "/instances"),
)
_QIDO_FILTERS = (
    ("QIDO by description", "studies?StudyDescription=KANIMG{t.token}"),
    ("QIDO by part of a name", "studies?ReferringPhysicianName=KANIMG{t.token}*"),
    ("QIDO by accession number", "studies?AccessionNumber=KANACC{t.token}"),
    ("QIDO by series description", "series?SeriesDescription=KANIMG{t.token}"),
    ("QIDO by instance", "instances?SOPInstanceUID={t.sop_uid}"),
)
"""Filters that only one object matches, hidden or not; staff must name a person."""
_CONDITIONAL: tuple[tuple[str, str, str, str, tuple[tuple[str, str], ...]], ...] = (
    ("HEAD instance", _INSTANCE, "application/dicom", "HEAD", ()),
    ("HEAD study metadata", "studies/{t.study_uid}/metadata", "application/dicom+json", "HEAD", ()),
    ("WADO if none match", _INSTANCE, "application/dicom", "GET", (("If-None-Match", "*"),)),
    ("WADO metadata if none match", _SERIES + "/metadata", "*/*", "GET", (("If-None-Match", "*"),)),
    ("WADO range", _INSTANCE, "application/dicom", "GET", (("Range", "bytes=0-99"),)),
    ("WADO range past the end", _INSTANCE, "application/dicom", "GET", (("Range", "bytes=9999999-"),)),
    (
        "WADO frame range",
        _INSTANCE + "/frames/1",
        "application/octet-stream",
        "GET",
        (("Range", "bytes=0-9"),),
    ),
    ("WADO not acceptable", _INSTANCE, "text/css", "GET", ()),
    ("WADO frame that is not there", _INSTANCE + "/frames/9", "*/*", "GET", ()),
)
"""Questions whose answer is no document even where it may be read: none of them may tell that it exists."""
_WADO = (
    ("WADO study", "studies/{t.study_uid}", _MULTIPART),
    ("WADO series", _SERIES, _MULTIPART),
    ("WADO instance", _INSTANCE, "application/dicom"),
    ("WADO study metadata", "studies/{t.study_uid}/metadata", "application/dicom+json"),
    ("WADO series metadata", _SERIES + "/metadata", "application/dicom+json"),
    ("WADO instance metadata", _INSTANCE + "/metadata", "application/dicom+json"),
    ("WADO frames", _INSTANCE + "/frames/1", "application/octet-stream"),
    ("WADO bulk data", _INSTANCE + "/bulkdata/7FE00010", "application/octet-stream"),
    ("WADO all bulk data of a study", "studies/{t.study_uid}/bulkdata", "*/*"),
    ("WADO pixel data of a series", _SERIES + "/pixeldata", "*/*"),
    ("WADO instance as bulk data", _INSTANCE, 'multipart/related; type="application/octet-stream"'),
    ("WADO rendered", _INSTANCE + "/rendered", "image/png"),
    ("WADO rendered frame", _INSTANCE + "/frames/1/rendered", "image/png"),
    ("WADO study thumbnail", "studies/{t.study_uid}/thumbnail", "image/jpeg"),
    ("WADO series thumbnail", _SERIES + "/thumbnail", "image/jpeg"),
    ("WADO study rendered", "studies/{t.study_uid}/rendered", "image/jpeg"),
    ("WADO study as ZIP", "studies/{t.study_uid}", "application/zip"),
    ("WADO instance as ZIP", _INSTANCE, "application/zip"),
    (
        "WADO study metadata as XML",
        "studies/{t.study_uid}/metadata",
        'multipart/related; type="application/dicom+xml"',
    ),
    ("WADO-URI object", _URI + "&contentType=application/dicom", "*/*"),
    ("WADO-URI picture", _URI + "&contentType=image/jpeg", "*/*"),
)

DOORS: tuple[Door, ...] = (
    *(Door(name, "token", _wado(rest)) for name, rest in _QIDO),
    Door(
        "QIDO of what was taken back",
        "token",
        _wado("rejected/studies?PatientID={t.patient_id}"),
        duty="steward",
        is_sparing=True,
    ),
    Door(
        "WADO of what was taken back",
        "token",
        _wado("rejected/studies/{t.study_uid}/metadata", "application/dicom+json"),
        duty="steward",
        is_sparing=True,
    ),
    Door(
        "QIDO the person's second study",
        "token",
        _wado("studies?PatientID={t.patient_id}&limit=1&offset=1"),
        is_sparing=True,
    ),
    *(Door(name, "token", _wado(rest), names_no_person=True) for name, rest in _QIDO_FILTERS),
    *(
        Door(name, "token", _wado(rest, accept, method, headers), names_uids=True, is_sparing=True)
        for name, rest, accept, method, headers in _CONDITIONAL
    ),
    *(Door(name, "token", _wado(rest, accept), names_uids=True) for name, rest, accept in _WADO),
    Door("FHIR ImagingStudy", "token", _fhir("ImagingStudy")),
    Door("FHIR DiagnosticReport", "token", _fhir("DiagnosticReport"), "report"),
    Door("SOAP GetImagingOutcome", "token", _contract, "report", is_contract=True),
    Door(
        "FHIR studies by number",
        "token",
        lambda target, handle: Question(f"/fhir/ImagingStudy?patient.identifier={target.patient_id}"),
    ),
    Door("FHIR Observation", "token", _fhir("Observation"), "measurement"),
    Door(
        "FHIR reads a measurement",
        "token",
        lambda target, handle: Question(f"/fhir/Observation/{_fhir_ids(target)[3]}"),
        "measurement",
    ),
    Door(
        "FHIR reports with their results",
        "token",
        lambda target, handle: Question(
            f"/fhir/DiagnosticReport?patient={target.fhir_id}&_include=DiagnosticReport:result"
            "&_include=DiagnosticReport:imaging-study"
        ),
        "report",
    ),
    Door("FHIR ServiceRequest", "token", _fhir("ServiceRequest"), "referral"),
    Door("FHIR DocumentReference", "token", _fhir("DocumentReference"), "all"),
    Door(
        "FHIR everything",
        "token",
        lambda target, handle: Question(f"/fhir/Patient/{target.fhir_id}/$everything"),
        "all",
    ),
    Door(
        "FHIR number of reports",
        "token",
        lambda target, handle: Question(f"/fhir/DiagnosticReport?patient={target.fhir_id}&_summary=count"),
        "report",
        is_sparing=True,
    ),
    Door(
        "FHIR reads a study",
        "token",
        lambda target, handle: Question(f"/fhir/ImagingStudy/{_fhir_ids(target)[0]}"),
    ),
    Door(
        "FHIR manifest as a DICOM object",
        "token",
        lambda target, handle: Question(f"/fhir/Binary/{_fhir_ids(target)[1]}"),
    ),
    Door(
        "FHIR manifest as a document",
        "token",
        lambda target, handle: Question(f"/fhir/Bundle/{_fhir_ids(target)[2]}"),
    ),
    Door(
        "FHIR Patient by number",
        "token",
        lambda target, handle: Question(f"/fhir/Patient?identifier={target.patient_id}"),
        tells_person=True,
    ),
    Door(
        "FHIR Patient",
        "token",
        lambda target, handle: Question(f"/fhir/Patient/{target.fhir_id}"),
        tells_person=True,
    ),
    Door(
        "page: person found",
        "cookie",
        lambda target, handle: Question("/find", {"number": target.patient_id}),
        tells_person=True,
    ),
    Door(
        "page: person found at the block desk",
        "cookie",
        lambda target, handle: Question("/blocks/find", {"number": target.patient_id}),
        tells_person=True,
        duty="block-administrator",
    ),
    Door(
        "page: a steward's person",
        "cookie",
        lambda target, handle: Question(f"/steward/person/{target.fhir_id}"),
        duty="steward",
    ),
    Door("page: persons open", "cookie", lambda target, handle: Question("/"), tells_person=True),
    Door("page: relation asked for", "cookie", _page("relation"), tells_person=True, is_sparing=True),
    Door("page: history", "cookie", _page(""), "all", tells_bits=True),
    Door(
        "page: words searched",
        "cookie",
        lambda target, handle: Question(f"/p/{handle}/filter", {"kind": "", "text": "KAN"}),
        "all",
        tells_bits=True,
    ),
    Door("page: pulse", "cookie", _page("pulse"), "all", tells_bits=True, is_sparing=True),
    Door("page: examination", "cookie", _page("e/{mark}"), "all"),
    Door(
        "page: vidimering",
        "cookie",
        lambda target, handle: Question(f"/p/{handle}/e/{mark_of(handle, target.reference)}/vidimera", {}),
        "report",
        is_sparing=True,
    ),
    Door("page: quick viewer", "cookie", _page("e/{mark}/s/{series}")),
    Door("page: diagnostic viewer", "cookie", _page("e/{mark}/diagnostic"), is_sparing=True),
    Door("quick viewer: stack", "cookie", _page("e/{mark}/s/{series}/stack")),
    Door("quick viewer: picture", "cookie", _page("e/{mark}/s/{series}/{picture}", "image")),
    Door("quick viewer: thumbnail", "cookie", _page("e/{mark}/s/{series}/thumbnail", "image")),
    Door("quick viewer: document", "cookie", _page("e/{mark}/s/{series}/document"), is_sparing=True),
    Door("OHIF: studies", "cookie", _wado("studies")),
    Door("OHIF: series", "cookie", _wado("studies/{t.study_uid}/series")),
    Door("OHIF: metadata", "cookie", _wado(_SERIES + "/metadata")),
    Door("OHIF: frames", "cookie", _wado(_INSTANCE + "/frames/1", "application/octet-stream")),
    Door("FHIR with a cookie", "cookie", _fhir("DiagnosticReport"), "report"),
)


class _Told:
    """An answer as httptools reads it."""

    def __init__(self, is_bodiless: bool) -> None:
        self.headers: list[tuple[str, str]] = []
        self.pieces: list[bytes] = []
        self.is_whole = False
        self._is_bodiless = is_bodiless
        """An answer to HEAD tells a length and has no body."""

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        self.is_whole = self._is_bodiless

    def on_body(self, piece: bytes) -> None:
        self.pieces.append(piece)

    def on_message_complete(self) -> None:
        self.is_whole = True


class Web:
    """Asks HTTP doors over one kept connection. The matrix asks more than a hundred thousand questions: so bytes are
    written, and the answers read by httptools."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._host = base.removeprefix("http://")
        self._socket: socket.socket | None = None

    def ask(self, question: Question, asker: Asker) -> Answer:
        headers = {"Host": self._host, "Accept": question.accept, **dict(question.headers)}
        if asker.token:
            headers["Authorization"] = f"Bearer {asker.token}"
        if asker.cookie:
            headers["Cookie"] = f"samsyn-session={asker.cookie}"
        if question.destination:
            headers["Sec-Fetch-Dest"] = question.destination
        body, method = b"", question.method
        if question.form is not None:
            method = "POST"
            body = urlencode({**question.form, "form_token": asker.form_token}).encode()
            headers |= {"Content-Type": "application/x-www-form-urlencoded", "Origin": self._base}
        if question.content:
            method, body = "POST", question.content
        if method == "POST":
            headers["Content-Length"] = str(len(body))
        lines = [f"{method} {question.path} HTTP/1.1", *(f"{name}: {told}" for name, told in headers.items())]
        request = "\r\n".join([*lines, "", ""]).encode("latin-1") + body
        try:
            return self._answered(request, method == "HEAD")
        except ConnectionError:
            # The server ends what has been idle for some seconds; a second time it is a fault.
            self.close()
            return self._answered(request, method == "HEAD")

    def _answered(self, request: bytes, is_bodiless: bool) -> Answer:
        if self._socket is None:
            host, port = self._host.split(":")
            self._socket = socket.create_connection((host, int(port)), 30)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(request)
        told = _Told(is_bodiless)
        parser = httptools.HttpResponseParser(told)
        while not told.is_whole:
            piece = self._socket.recv(1 << 18)
            if not piece:
                raise ConnectionResetError("the server ended the connection before its answer was whole")
            parser.feed_data(piece)
        if not parser.should_keep_alive():
            self.close()
        steady = tuple(each for each in told.headers if each[0] not in _UNSTEADY)
        return Answer(parser.get_status_code(), steady, b"".join(told.pieces))

    def close(self) -> None:
        """Ends the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


OpenPage = Callable[[Planted, bool], Asker]
"""Puts a person's page (or his twin's) on the screen and answers with who asks."""


@contextmanager
def opened_by(instance: Instance, reader: Reader, persons: list[Planted]) -> Iterator[OpenPage]:
    """A browser session of the reader."""
    kept: dict[int, tuple[str, str, str]] = {}
    on_screen: dict[int, int] = {}

    def asker(planted: Planted, is_twin: bool) -> Asker:
        place = planted.number if reader.is_himself else 0
        if place not in kept:
            kept[place] = instance.session(reader, planted)
            instance.choose(reader, kept[place][1], persons)
        secret, session_id, form_token = kept[place]
        opened = instance.server._opened
        keys = [planted.there.patient_key, planted.twin.patient_key]
        if planted.number != on_screen.get(place):
            opened.forget(session_id)
            on_screen[place] = planted.number
        handles = [opened.open(session_id, key) for key in keys]
        opened.open(session_id, keys[1] if is_twin else keys[0])
        return Asker(reader, "", secret, form_token, (handles[0], handles[1]))

    yield asker


def observed(answer: Answer, absent: Answer, planted: Planted, asker: Asker) -> Seen:
    """How much the answer tells, beside what the twin's answer tells."""
    if answer == absent:
        return Seen.NOTHING
    mine = _plain(answer, planted, asker)
    if mine == _plain(absent, planted, asker):
        return Seen.NOTHING
    if answer.status == 200 and answer.header("content-type").startswith("image/"):
        return Seen.CONTENT
    text = answer.body + repr(answer.headers).encode()
    if tokens_in(mine[2]) or (not asker.reader.is_himself and tokens_in(text) - tokens_in(absent.body)):
        return Seen.CONTENT
    owner = NAMES_OF.get(planted.state.owner, ())
    if asker.reader.place != planted.state.owner and any(
        name.encode() in text and name.encode() not in absent.body for name in owner
    ):
        return Seen.OWNER
    return Seen.EXISTENCE


def leaked(answer: Answer, planted: Planted) -> set[int]:
    """Numbers of other persons' tokens in the answer: always none."""
    return {
        number
        for number in tokens_in(answer.body + repr(answer.headers).encode())
        if number not in (planted.number, planted.number + 500)
    }


_TOKEN = re.compile(rb"(?:KAN(?:IMG|REP|REF|ACC|PIX)|2\.25\.4711|ZQ)(\d{3})")


def tokens_in(data: bytes) -> set[int]:
    """Numbers of the states whose tokens stand in the bytes."""
    return {int(found) for found in _TOKEN.findall(data)}


def without_names(answer: Answer, planted: Planted, asker: Asker) -> bytes:
    """The body without what the question itself named."""
    return _plain(answer, planted, asker)[2]


def _plain(answer: Answer, planted: Planted, asker: Asker) -> tuple[int, str, bytes]:
    """The answer with the names that the question itself used, and random boundaries, taken out."""

    names = _named(planted, asker.handles, answer.status in (200, 206))

    def bare(data: bytes) -> bytes:
        data = re.sub(rb"(logId>|\()[0-9a-f-]{36}", b"LOG", data)
        for name, placeholder in names:
            data = data.replace(name, placeholder)
        data = re.sub(rb"ZQ\d{3}[MN]", b"OLD", data)
        data = re.sub(rb'"versionId":"[^"]*"', b"VERSION", data)  # follows from the numbers in the resource
        data = re.sub(rb"W/\\?\"[0-9a-f]+\\?\"", b"TAG", data)
        data = re.sub(rb'value="[0-9a-f]{32}"', b"HANDLE", data)  # of a number that was merged
        return re.sub(rb"samsyn-[0-9a-f]{32}", b"BOUNDARY", data)

    headers = repr([each for each in answer.headers if each[0] != "content-length"]).encode()
    return answer.status, bare(headers).decode("latin-1"), bare(answer.body)


@lru_cache(maxsize=1_000)
def _named(planted: Planted, handles: tuple[str, str], is_found: bool) -> tuple[tuple[bytes, bytes], ...]:
    """What the question itself names, with what stands in its place, in the order of replacing. `is_found`: what was
    asked for is told, and its UIDs and tokens count."""
    found: list[tuple[bytes, bytes]] = []
    for target, handle in ((planted.there, handles[0]), (planted.twin, handles[1])):
        named = {
            handle: "HANDLE",
            mark_of(handle, target.reference) if handle else "": "MARK",
            mark_of(handle, target.series_uid) if handle else "": "SERIES-MARK",
            mark_of(handle, target.sop_uid) if handle else "": "OBJECT-MARK",
            **dict.fromkeys(_fhir_ids(target), "RESOURCE"),
            **dict.fromkeys(register_ids(planted.state, target), "REGISTER"),
            target.fhir_id: "FHIR",
            target.patient_id: "NUMBER",
            "" if is_found else f"KANIMG{target.token}": "TOKEN",
            f"c{target.patient_key}-": "CONSENT",
        }
        if not is_found:
            named |= {target.study_uid: "STUDY", target.series_uid: "SERIES", target.sop_uid: "SOP"}
        found += [(name.encode(), placeholder.encode()) for name, placeholder in named.items() if name]
    return tuple(found)
