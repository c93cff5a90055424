"""The inner door: other nodes of the cluster read journal bytes that are not in the object store yet.

Who does not know the nodes' secret gets what an address without anything behind it gets.
"""

from collections.abc import Callable
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from samsyn import limits
from samsyn.errors import DamagedData

Read = Callable[[int, int, int], bytes]
"""(segment, offset, length) to bytes; DamagedData: not here."""
Proof = Callable[[str, str, str], bool]
"""(path, time, code): whether a node asks."""
Answer = Callable[[str, str, bytes], str]
"""(path, time, body): the code of an answer."""
_DOOR: Final = "/inner/journal/{segment:int}/{offset:int}/{length:int}"


def inner_routes(
    read: Read, is_ours: Proof, code_of: Answer, time_header: str, code_header: str
) -> list[BaseRoute]:
    """The one route."""

    async def answer(request: Request) -> Response:
        path, told = request.url.path, request.headers.get(time_header, "")
        if not is_ours(path, told, request.headers.get(code_header, "")):
            return Response("Not Found", 404)
        segment, offset, length = (request.path_params[name] for name in ("segment", "offset", "length"))
        if length > limits.INNER_DOOR_BYTES:
            return Response("Not Found", 404)
        try:
            body = await run_in_threadpool(read, segment, offset, length)
        except DamagedData:
            return Response("Not Found", 404)
        headers = {code_header: code_of(path, told, body), "Cache-Control": "no-store"}
        return Response(body, media_type="application/octet-stream", headers=headers)

    return [Route(_DOOR, answer, methods=["GET"])]
