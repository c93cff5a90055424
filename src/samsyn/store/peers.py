"""Bytes that another node has on its disk only, asked of that node over a small inner door.

Both sides know the nodes' secret and prove it: the question bears a time and a code over path and time, the answer a
code over path, time and bytes (HMAC-SHA256). So nobody else is answered, and no answer of anybody else is believed.
"""

import hmac
import time
from typing import Final

import httpx

from samsyn import limits
from samsyn.errors import DamagedData, OutOfResources
from samsyn.store.shared.port import SharedState
from samsyn.wire.inner import CODE_HEADER, TIME_HEADER, code_of

DOOR: Final = "/inner/journal"
PRESENT: Final = "node"
"""Kind of the shared values that tell where nodes are."""


class Peers:
    """The other nodes, as long as they are there."""

    def __init__(self, shared: SharedState, key: bytes) -> None:
        self._shared = shared
        self._key = key
        self._http = httpx.Client(trust_env=False, timeout=limits.INNER_DOOR_S)

    def read(self, node: int, segment: int, offset: int, length: int) -> bytes:
        """Bytes of a segment on another node's disk.

        DamagedData: that node has not got them (any more). OutOfResources: it is not there, or does not answer.
        """
        found = bytearray()
        while len(found) < length or not length:
            piece = min(limits.INNER_DOOR_BYTES, length - len(found))
            found += self._piece(node, segment, offset + len(found), piece)
            if not length:
                break
        return bytes(found)

    def _piece(self, node: int, segment: int, offset: int, length: int) -> bytes:
        base = self._shared.get(PRESENT, str(node))
        if base is None:
            raise OutOfResources(f"node {node} has these bytes on its disk, and is away: ask again later")
        path, told = f"{DOOR}/{segment}/{offset}/{length}", str(int(time.time()))
        headers = {TIME_HEADER: told, CODE_HEADER: code_of(self._key, path, told)}
        try:
            answer = self._http.get(f"{base}{path}", headers=headers)
        except httpx.HTTPError as problem:
            raise OutOfResources(
                f"node {node} has these bytes and does not answer: ask again later"
            ) from problem
        if answer.status_code == 404:
            raise DamagedData(f"node {node} has not got journal segment {segment}")
        code = answer.headers.get(CODE_HEADER, "")
        body = answer.content
        if answer.status_code != 200 or len(body) != length:
            raise OutOfResources(f"node {node} answered {answer.status_code}")
        if not hmac.compare_digest(code_of(self._key, path, told, body), code):
            raise OutOfResources(f"what answers as node {node} is none")
        return body

    def close(self) -> None:
        """Ends the connections."""
        self._http.close()
