"""Objects in an S3-compatible object store, by the client library obstore.

What an object store may do to us and what is done about it: it does not answer (every request has a deadline that
grows with its bytes), it answers 5xx or hangs up (repeated at most `limits.OBJECT_RETRIES` times within
`limits.OBJECT_RETRY_S`), it loses the answer to a put that it has done (the repeated put finds the name taken, and
what lies there is compared), it sends less than was asked for (the length is checked), it sends other bytes (found by
`sealed`, whose hashes go with every object). A put carries its SHA-256 in the signature, as the S3 interface's
Signature Version 4 has it, and the MD5 that most stores answer as ETag is compared where it is one.
"""

import hashlib
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Final, TypeVar

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    InvalidPathError,
    NotSupportedError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import S3Store

from samsyn import limits
from samsyn.errors import (
    ConfigurationError,
    Conflict,
    DamagedData,
    LimitExceeded,
    OutOfResources,
    StoreFailed,
)
from samsyn.store.objects.port import Listed, Piece, checked

log = logging.getLogger(__name__)

T = TypeVar("T")

_MD5_CHARACTERS: Final = 32
_STATUS: Final = re.compile(r"status code: (\d{3})")
_PROBE: Final = "probe/put-if-absent"


class S3Objects:
    """The port on one bucket, below one prefix. Make it with the credentials; `probe` before anything rests on it."""

    def __init__(
        self,
        endpoint: str,
        bucket: str,
        access_key: str,
        secret_key: str,
        prefix: str = "",
        region: str = "us-east-1",
        authorities_pem: str = "",
        timeout_s: float = limits.OBJECT_TIMEOUT_S,
    ) -> None:
        """`endpoint`: http(s) address of the store; `prefix`: folders inside the bucket ("" = all of it).
        `authorities_pem`: certificates that vouch for it, besides the system's. Nothing is asked yet."""
        self._place = {
            "endpoint": endpoint,
            "bucket": bucket,
            "access_key_id": access_key,
            "secret_access_key": secret_key,
            "region": region,
        }
        self._prefix = f"{checked(prefix.strip('/'))}/" if prefix.strip("/") else ""
        self._authorities = authorities_pem
        self._timeout_s = timeout_s
        self._store = self._client(timeout_s, limits.OBJECT_STALL_S)
        self._for_large: dict[int, S3Store] = {}
        """By the most bytes that the deadline is for."""

    def _client(self, timeout_s: float, stall_s: float) -> S3Store:
        """`stall_s`: how long no byte of an answer may come. It counts from a request's first byte on, so that
        it must be no shorter than what is sent takes."""
        client = {
            "allow_http": self._place["endpoint"].startswith("http://"),
            "timeout": timedelta(seconds=timeout_s),
            "connect_timeout": timedelta(seconds=min(timeout_s, limits.OBJECT_CONNECT_S)),
            "read_timeout": timedelta(seconds=min(timeout_s, stall_s)),
            **({"root_certificate": self._authorities} if self._authorities else {}),
        }
        return S3Store(
            **self._place,  # type: ignore[arg-type] # a plain dict
            virtual_hosted_style_request=False,
            client_options=client,  # type: ignore[arg-type] # a plain dict
            retry_config={
                "max_retries": limits.OBJECT_RETRIES,
                "retry_timeout": timedelta(seconds=limits.OBJECT_RETRY_S),
                "backoff": {"init_backoff": timedelta(milliseconds=50), "max_backoff": timedelta(seconds=1)},
            },
        )

    def probe(self) -> None:
        """Shows that names can be put, are put once only, and can be read and taken away again.

        ConfigurationError: the store answers, and can not be used (credentials, bucket, no conditional put).
        OutOfResources: it does not answer.
        """
        try:
            self.delete(_PROBE)
            self.put_new(_PROBE, [b"one"])
            if self.read(_PROBE, 0, 3) != b"one":
                raise ConfigurationError("the object store does not give back what was put")
            try:
                self.put_new(_PROBE, [b"two"])
            except Conflict:
                pass
            else:
                raise ConfigurationError(
                    "the object store overwrites what must not be (If-None-Match, RFC 9110)"
                )
            self.delete(_PROBE)
        except (StoreFailed, DamagedData) as problem:
            raise ConfigurationError(f"the object store can not be used: {problem.detail}") from problem

    def put_new(self, name: str, pieces: Sequence[Piece]) -> None:
        """One conditional PUT (If-None-Match: *); where the name is taken, what lies there is compared."""
        size = sum(len(piece) for piece in pieces)
        if size > limits.MAX_OBJECT_BYTES:
            raise LimitExceeded("MAX_OBJECT_BYTES")
        store, path = self._for_bytes(size), self._path(name)
        try:
            put = _asked(lambda: obstore.put(store, path, iter(pieces), mode="create", use_multipart=False))
        except _Taken:
            if self._holds(name, pieces, size):
                return
            raise Conflict(f"object {name} holds other bytes") from None
        if put is None:
            raise StoreFailed("objects: the bucket is not there")
        etag = (put["e_tag"] or "").strip('"').lower()
        looks_damaged = len(etag) == _MD5_CHARACTERS and etag != _md5(pieces)
        if looks_damaged and not self._holds(
            name, pieces, size
        ):  # under encryption the tag is no MD5, and all is well
            self.delete(name)
            raise OutOfResources(f"object {name} did not arrive as it was sent")

    def _for_bytes(self, size: int) -> S3Store:
        """The client whose deadline is right for a put of so many bytes: one for each doubling, since making one costs
        as much as putting a megabyte."""
        if size <= limits.OBJECT_PIECE_BYTES:
            return self._store
        most = 1 << (size - 1).bit_length()
        client = self._for_large.get(most)
        if client is None:
            deadline_s = self._timeout_s + most / limits.OBJECT_SLOWEST_BYTES_PER_S
            client = self._for_large[most] = self._client(deadline_s, deadline_s)
        return client

    def _holds(self, name: str, pieces: Sequence[Piece], size: int) -> bool:
        """Whether the object reads back as these pieces. OutOfResources: that can not be told now."""
        if self.size(name) != size:
            return False
        offset = 0
        for whole in pieces:
            view = memoryview(whole)
            for first in range(0, len(view), limits.OBJECT_PIECE_BYTES):
                piece = view[first : first + limits.OBJECT_PIECE_BYTES]
                try:
                    if self.read(name, offset, len(piece)) != piece:
                        return False
                except DamagedData as problem:  # it was cut off on its way, or went away meanwhile
                    raise OutOfResources(f"object {name} can not be compared now") from problem
                offset += len(piece)
        return True

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Ranged GETs of at most limits.OBJECT_PIECE_BYTES each, their lengths checked."""
        path = self._path(name)
        if length <= limits.OBJECT_PIECE_BYTES:
            return self._range(name, path, offset, length)
        found = bytearray()
        while len(found) < length:
            piece = min(limits.OBJECT_PIECE_BYTES, length - len(found))
            found += self._range(name, path, offset + len(found), piece)
        return bytes(found)

    def _range(self, name: str, path: str, offset: int, length: int) -> bytes:
        if length == 0:
            return b""
        data = _asked(lambda: obstore.get_range(self._store, path, start=offset, length=length))
        if data is None:
            raise DamagedData(f"object {name} is not there")
        if len(data) != length:
            raise DamagedData(f"object {name} ends early, or was cut off on its way")
        return data.to_bytes()

    def size(self, name: str) -> int | None:
        """HEAD."""
        found = _asked(lambda: obstore.head(self._store, self._path(name)))
        return found["size"] if found is not None else None

    def names(self, prefix: str, after: str = "") -> Iterator[Listed]:
        """ListObjectsV2, page by page, in the order of the names' bytes as S3 gives them."""
        start = self._path(after) if after else None
        listing = obstore.list(self._store, self._prefix + prefix, offset=start, chunk_size=1000)
        while (page := _asked(lambda: next(listing, ()))) is not None:
            if not page:
                return
            for each in page:
                yield Listed(each["path"].removeprefix(self._prefix), each["size"])

    def delete(self, name: str) -> None:
        """DELETE, which S3 answers alike whether there was one or not."""
        _asked(lambda: obstore.delete(self._store, self._path(name)))

    def close(self) -> None:
        """Connections end with the object."""

    def _path(self, name: str) -> str:
        return self._prefix + checked(name)


def _md5(pieces: Sequence[Piece]) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


class _Taken(Exception):
    """The name is taken."""


def _asked(call: Callable[[], T]) -> T | None:
    """The call's answer; None = there is no such object. Errors in the port's words."""
    try:
        return call()
    except FileNotFoundError:
        return None
    except (AlreadyExistsError, PreconditionError) as problem:
        raise _Taken from problem
    except (PermissionDeniedError, UnauthenticatedError, NotSupportedError, InvalidPathError) as problem:
        raise StoreFailed(_short(problem)) from problem
    except BaseError as problem:
        if "416 Range" in str(problem):
            raise DamagedData("an object ends before the place that was asked for") from problem
        raise OutOfResources(_short(problem)) from problem


def _short(problem: BaseError) -> str:
    """What a sender may hear: no address and no answer's body. The library's own words go to the operator's log."""
    text = str(problem).partition("\n")[0].partition(": <?xml")[0][:300]
    log.warning("object-store-failed", extra={"error": text})
    status = _STATUS.search(text)
    return f"the object store answered {status[1]}" if status else "the object store did not answer"
