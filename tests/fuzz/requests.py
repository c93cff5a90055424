"""Broken HTTP requests: whole ones of every door changed by their grammar and blindly, several on a connection."""

import random
from typing import NamedTuple

from tests.dicomweb.house import STOW_TYPE, body_of, image_file

STUDY, SERIES, INSTANCE = "2.25.10", "2.25.11", "2.25.1001"
WHERE = f"/dicomweb/studies/{STUDY}"
OBJECT = f"{WHERE}/series/{SERIES}/instances/{INSTANCE}"
READ = (
    "/dicomweb/studies?PatientID=19121212-1212&includefield=all",
    "/dicomweb/studies?StudyDate=20240101-20241231&ModalitiesInStudy=CT&limit=10&offset=0",
    "/dicomweb/studies?PatientName=tolv*&fuzzymatching=true&orderby=-StudyDate",
    "/dicomweb/series?Modality=CT",
    "/dicomweb/instances?SOPInstanceUID=2.25.1001,2.25.1002",
    f"{WHERE}/series",
    f"{WHERE}/series/{SERIES}/instances?includefield=00280010",
    WHERE,
    f"{WHERE}?accept=application/zip",
    OBJECT,
    f"{OBJECT}?accept=application/dicom",
    f"{WHERE}/metadata",
    f"{OBJECT}/metadata",
    f"{OBJECT}/frames/1,2",
    f"{OBJECT}/bulkdata/7FE00010",
    f"{OBJECT}/rendered?viewport=64,64&window=40,400,linear&quality=80",
    f"{OBJECT}/frames/2/rendered",
    f"{OBJECT}/thumbnail",
    "/dicomweb/changes?since=0&limit=10",
    f"/dicomweb/wado?requestType=WADO&studyUID={STUDY}&seriesUID={SERIES}&objectUID={INSTANCE}",
    f"/dicomweb/rejected/studies/{STUDY}",
    "/fhir/Patient?identifier=19121212-1212",
    "/fhir/ImagingStudy?patient.identifier=191212121212&_count=5",
    "/fhir/DiagnosticReport?_lastUpdated=ge2024-01-01",
    "/fhir/metadata",
    "/fhir/AuditEvent?date=ge2024-01-01",
    "/health/ready",
    "/metrics",
    "/",
    "/status",
    "/help",
    "/login/start",
    "/login/callback?code=x&state=y",
    "/static/samsyn.css",
    "/launch/abc",
    "/ohif/viewer?StudyInstanceUIDs=2.25.10",
)
ACCEPTED = (
    b"application/dicom+json",
    b'multipart/related; type="application/dicom"',
    b'multipart/related; type="application/dicom+xml"',
    b'multipart/related; type="application/octet-stream"; transfer-syntax=*',
    b"application/zip",
    b"application/fhir+json",
    b"image/jpeg;q=0.8, image/png;q=0.2",
    b"*/*",
)
CHARACTERS = (
    b"/", b"//", b"..", b"%2e%2e", b"%00", b"%ff", b"%", b"?", b"&", b"=", b"*", b"\\", b"'", b";x", b" ", b"#", b"+",
    b",", b"[", b"\xe5", b"%C3%A5", b"%0d%0a", b"2.25.0", b"99999999999999999999", b"-1", b"NaN",
)  # fmt: skip
HEADERS = (
    b"Content-Length: 99999999999999999999",
    b"Content-Length: -1",
    b"Content-Length: 5",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Content-Encoding: gzip",
    b"Expect: 100-continue",
    b"Connection: close",
    b"Connection: upgrade, keep-alive",
    b"Upgrade: h2c",
    b"Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13",
    b"Range: bytes=0-10,5-2,-0,999999999999-",
    b'If-None-Match: "x", W/"y", *',
    b"If-Modified-Since: yesterday",
    b"Authorization: Basic \xff\xfe",
    b"Authorization: Bearer \xc3\xa5",
    b"Cookie: __Host-samsyn=" + b"a" * 5_000,
    b"Host: evil.example:99999",
    b"Host:",
    b"Accept: " + b"a/b;q=0.1," * 500,
    b"Accept: ;;;q=",
    b"Accept-Language: \xff,sv;q=x",
    b"Origin: null",
    b"X-A: " + b"b" * 20_000,
    b" folded: yes",
    b"No colon at all",
    b"X-\x00: y",
)
METHODS = (
    b"GET",
    b"HEAD",
    b"POST",
    b"PUT",
    b"DELETE",
    b"OPTIONS",
    b"PATCH",
    b"TRACE",
    b"get",
    b"G\xc3\x8bT",
    b"PRI",
)
FORMS = (
    (b"/fhir/Patient/_search", b"application/x-www-form-urlencoded", b"identifier=19121212-1212"),
    (b"/find", b"application/x-www-form-urlencoded", b"q=19121212-1212"),
    (b"/launch/tickets", b"application/json", b'{"patient": "191212121212"}'),
    (b"/fhir", b"application/fhir+json", b'{"resourceType": "Bundle", "type": "transaction", "entry": []}'),
    (
        b"/login/saml/acs",
        b"application/x-www-form-urlencoded",
        b"SAMLResponse=PHg%2BPC94Pg%3D%3D&RelayState=x",
    ),
    (WHERE.encode() + b"/corrections", b"application/dicom+json", b'[{"00100010": {"vr": "PN"}}]'),
)


class Request(NamedTuple):
    """The pieces of a request that are changed one by one."""

    method: bytes
    target: bytes
    headers: tuple[bytes, ...]
    body: bytes

    def encode(self) -> bytes:
        return b"\r\n".join((b"%s %s HTTP/1.1" % (self.method, self.target), *self.headers, b"", self.body))


def legal_request(dice: random.Random, tokens: list[str]) -> Request:
    """One whole request to some door by somebody who may ask."""
    common = [b"Host: 127.0.0.1", b"Authorization: Bearer " + dice.choice(tokens).encode()]
    kind = dice.randrange(10)
    if kind < 8:
        headers = (*common, b"Accept: " + dice.choice(ACCEPTED))
        return Request(b"GET", dice.choice(READ).encode(), headers, b"")
    if kind == 8:
        number = dice.randrange(1, 40)
        body = body_of([image_file(number), image_file(number + 1)][: dice.randrange(1, 3)])
        target, content_type = b"/dicomweb/studies", STOW_TYPE.encode()
    else:
        target, content_type, body = dice.choice(FORMS)
    length = b"Content-Length: %d" % len(body)
    return Request(b"POST", target, (*common, b"Content-Type: " + content_type, length), body)


def changed_bytes(dice: random.Random, data: bytes) -> bytes:
    """Bits, cuts, repetitions and pieces in a text."""
    made, place = bytearray(data), dice.randrange(len(data) + 1)
    act = dice.randrange(5)
    if act == 0 and place < len(made):
        made[place] = dice.randrange(256)
    elif act == 1:
        made[place:place] = dice.choice(CHARACTERS) * dice.choice((1, 1, 1, 300))
    elif act == 2:
        del made[place : place + dice.randrange(1, 20)]
    elif act == 3:
        made[place:place] = made[place : place + dice.randrange(1, 60)]
    else:
        del made[place:]
    return bytes(made)


def broken_request(dice: random.Random, request: Request) -> bytes:
    """A request with one to three faults; half of those that have a body keep telling its right length."""
    method, target, headers, body = request
    for _ in range(dice.choice((1, 1, 2, 3))):
        act = dice.randrange(8)
        lines = list(headers)
        place = dice.randrange(len(lines))
        if act == 0:
            method = dice.choice(METHODS)
        elif act in (1, 2):
            target = changed_bytes(dice, target)
        elif act == 3:
            lines.insert(place, dice.choice(HEADERS))
        elif act == 4:
            del lines[place]
        elif act == 5:
            lines[place] = changed_bytes(dice, lines[place])
        elif act == 6:
            lines.insert(place, lines[place])
        elif body:
            body = changed_bytes(dice, body)
            if dice.random() < 0.8:
                lines = [line for line in lines if not line.startswith(b"Content-Length")]
                lines.append(b"Content-Length: %d" % len(body))
        else:
            target = changed_bytes(
                dice, target.replace(b"2.25.", dice.choice((b"2.25.", b"2.25.0", b"1.2.")))
            )
        headers = tuple(lines) or (b"X: y",)
    made = Request(method, target, headers, body).encode()
    return changed_bytes(dice, made) if dice.random() < 0.03 else made
