"""The inner door: other nodes of the cluster read journal bytes that are not in the object store yet.

Who does not know the nodes' secret gets what an address without anything behind it gets.
"""

import time
from collections.abc import Callable
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from samsyn import limits
from samsyn.errors import DamagedData
from samsyn.wire import inner

Read = Callable[[int, int, int], bytes]
"""(segment, offset, length) to bytes; DamagedData: not here."""
_DOOR: Final = "/inner/journal/{segment:int}/{offset:int}/{length:int}"


def inner_routes(read: Read, key: bytes) -> list[BaseRoute]:
    """The one route. `key`: what only nodes know."""

    async def answer(request: Request) -> Response:
        path, told = request.url.path, request.headers.get(inner.TIME_HEADER, "")
        code = request.headers.get(inner.CODE_HEADER, "")
        if not inner.is_ours(key, path, told, code, time.time(), limits.INNER_CLOCK_S):
            return Response("Not Found", 404)
        segment, offset, length = (request.path_params[name] for name in ("segment", "offset", "length"))
        if length > limits.INNER_DOOR_BYTES:
            return Response("Not Found", 404)
        try:
            body = await run_in_threadpool(read, segment, offset, length)
        except DamagedData:
            return Response("Not Found", 404)
        headers = {inner.CODE_HEADER: inner.code_of(key, path, told, body), "Cache-Control": "no-store"}
        return Response(body, media_type="application/octet-stream", headers=headers)

    return [Route(_DOOR, answer, methods=["GET"])]
