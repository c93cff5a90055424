"""STOW-RS (PS3.18 10.5) by httpx: a study's objects in one request, every one of them answered for."""

import uuid
from collections.abc import Iterator, Sequence
from types import TracebackType

import httpx

from samsyn_demo.instances.objects import Instance
from samsyn_demo.senders.outcome import Refused, attempts

_TIMEOUT_SECONDS = 60.0
_BUSY = frozenset((429, 503))
_WITH_REASONS = frozenset((200, 202, 409))
"""Statuses whose body tells what became of every object (PS3.18 table 10.5.3-1)."""


class StowLine:
    """One client with its bearer token."""

    def __init__(self, name: str, base: str, token: str) -> None:
        """`base` is the address of the DICOMweb service, without slash at the end."""
        self._name = name
        self._address = f"{base}/studies"
        headers = {"authorization": f"Bearer {token}", "accept": "application/dicom+json"}
        # Loopback only: a proxy of the environment has no business in between.
        self._client = httpx.Client(headers=headers, timeout=_TIMEOUT_SECONDS, trust_env=False)

    def __enter__(self) -> "StowLine":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def store(self, instances: Sequence[Instance]) -> None:
        """Returns when every object is stored, else Refused."""
        boundary = uuid.uuid4().hex
        kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
        body = b"".join(_parts(instances, boundary))
        problem = "no attempt"
        for _ in attempts():
            try:
                answer = self._client.post(self._address, content=body, headers={"content-type": kind})
            except httpx.TransportError as error:
                problem = type(error).__name__
                continue
            problem = f"HTTP {answer.status_code}"
            if answer.status_code in _BUSY:
                continue
            self._check(answer, instances)
            return
        raise Refused(f"{self._name}: STOW-RS: {problem}")

    def _check(self, answer: httpx.Response, instances: Sequence[Instance]) -> None:
        """200 alone is not enough: every object must be named among the stored ones (PS3.18 10.5.3)."""
        told = answer.json() if answer.status_code in _WITH_REASONS else {}
        failed = told.get("00081198", {}).get("Value", [])
        if failed:
            reason = failed[0].get("00081197", {}).get("Value", ["none"])[0]
            raise Refused(f"{self._name}: STOW-RS: {len(failed)} failed, the first with reason {reason}")
        if answer.status_code != 200:
            raise Refused(f"{self._name}: STOW-RS: answered HTTP {answer.status_code}")
        stored = {item["00081155"]["Value"][0] for item in told.get("00081199", {}).get("Value", [])}
        missing = {each.sop_instance_uid for each in instances} - stored
        if missing:
            raise Refused(f"{self._name}: STOW-RS: {len(missing)} objects are not answered for")


def _parts(instances: Sequence[Instance], boundary: str) -> Iterator[bytes]:
    for each in instances:
        yield f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        yield each.file
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()
