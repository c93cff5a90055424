"""Answers of this door: JSON, conditional reading, refusals as OperationOutcome, parameters of a search."""

import contextlib
from datetime import datetime
from email.utils import format_datetime, parsedate_to_datetime
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request
from starlette.responses import Response

from samsyn import limits
from samsyn.endpoints.fhir import bundles
from samsyn.endpoints.fhir.common import Resource, mark
from samsyn.errors import (
    BadInput,
    LimitExceeded,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    NotSupported,
    OutOfResources,
    SamsynError,
)

JSON: Final = "application/fhir+json"
DICOM: Final = "application/dicom"
_FORMATS: Final = frozenset({"json", "application/json", JSON})
_STATUS: MappingProxyType[type[SamsynError], tuple[int, str]] = MappingProxyType(
    {
        BadInput: (400, "invalid"),
        LimitExceeded: (413, "too-costly"),
        NotSupported: (400, "not-supported"),
        NotAuthenticated: (401, "login"),
        NotAllowed: (403, "forbidden"),
        NotFound: (404, "not-found"),
        OutOfResources: (503, "throttled"),
    }
)


async def parameters(request: Request) -> list[tuple[str, str]]:
    """A search's parameters, from its address and, for POST, from its form of at most MAX_FHIR_FORM_BYTES."""
    pairs = list(request.query_params.multi_items())
    if request.method == "POST":
        if request.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
            raise BadInput("_search takes application/x-www-form-urlencoded")
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > limits.MAX_FHIR_FORM_BYTES:
                raise LimitExceeded("MAX_FHIR_FORM_BYTES")
        pairs += parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
    return pairs


def takes_json(request: Request) -> bool:
    """Whether the asker takes what this door answers with."""
    wanted = request.query_params.get("_format")
    if wanted is not None:
        return wanted.replace(" ", "+").partition(";")[0] in _FORMATS
    accept = request.headers.get("accept", "*/*")
    kinds = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    return bool(kinds & (_FORMATS | {"*/*", "application/*", DICOM, "", "text/html"}))


def conditional(request: Request, state: Resource) -> Response:
    """The resource, or 304 when the asker has this state (R4 3.1.0.1.3)."""
    tag = _content_tag(state)
    headers = {"ETag": tag}
    updated = state["meta"].get("lastUpdated")
    if updated:
        headers["Last-Modified"] = format_datetime(datetime.fromisoformat(updated))
    known = request.headers.get("if-none-match")
    since = request.headers.get("if-modified-since")
    has_it = known is not None and tag in [each.strip() for each in known.split(",")]
    if known is None and since and updated:
        with contextlib.suppress(ValueError):
            has_it = datetime.fromisoformat(updated) <= parsedate_to_datetime(since)
    if has_it:
        return Response(status_code=304, headers={**PRIVATE, **headers})
    return json_answer(state, 200, headers)


def _content_tag(state: Resource) -> str:
    """The entity tag of what is given: a report's version with a mark of its content, since studies and measurements
    that come later are linked in it without another version."""
    version = str(state["meta"]["versionId"])
    if not version.isdecimal():
        return bundles.etag(state)
    content = orjson.dumps(state, option=orjson.OPT_SORT_KEYS).decode()
    return f'W/"{version}-{mark(content)[:8]}"'


def refusal_answer(refusal: SamsynError, method: str) -> Response:
    """OperationOutcome. The detail is told where it helps to ask better and tells nothing about what exists."""
    status, code = _STATUS.get(type(refusal), (500, "exception"))
    says_more = isinstance(refusal, BadInput | NotSupported) and refusal.detail
    sentence = f"{refusal.sentence} {refusal.detail}." if says_more else refusal.sentence
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="samsyn"'
    if isinstance(refusal, NotAllowed) and "scope" in refusal.detail:
        headers["WWW-Authenticate"] = 'Bearer realm="samsyn", error="insufficient_scope"'
    if isinstance(refusal, NotSupported) and method not in ("GET", "HEAD"):
        status, headers["Allow"] = 405, "GET, HEAD"
    return json_answer(bundles.outcome(code, sentence), status, headers)


PRIVATE: Final = MappingProxyType({"Cache-Control": "private, no-store"})


def json_answer(resource: Resource, status: int, headers: dict[str, str] | None = None) -> Response:
    """A resource as an answer that nobody on the way keeps."""
    return Response(
        orjson.dumps(resource),
        status_code=status,
        media_type=JSON,
        headers={**PRIVATE, **(headers or {})},
    )


async def read_body(request: Request) -> bytes:
    """At most MAX_FHIR_BYTES, told as soon as they are passed."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > limits.MAX_FHIR_BYTES:
            raise LimitExceeded(f"MAX_FHIR_BYTES: a resource of more than {limits.MAX_FHIR_BYTES} bytes")
    if not body:
        raise BadInput("the body is empty")
    return bytes(body)
