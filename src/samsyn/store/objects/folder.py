"""Objects as files of one folder, each durable with its name before a put returns."""

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from samsyn.errors import Conflict, DamagedData, OutOfResources, StoreFailed
from samsyn.store.durable import sync_folder
from samsyn.store.objects.port import Listed, Piece, checked
from samsyn.store.open_files import OpenFiles

_OPEN_FILES: Final = 128
_UNFINISHED: Final = ".part"
_MAX_VECTORS: Final = 512
_COMPARED_AT_ONCE: Final = 4 * 1024 * 1024


class FolderObjects:
    """The port on a folder, which several processes may share (hard links make a name appear once, whole)."""

    def __init__(self, folder: Path) -> None:
        """Makes the folder, privately. OSError as the system tells it."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._files = OpenFiles(_OPEN_FILES)

    def put_new(self, name: str, pieces: Sequence[Piece]) -> None:
        """Writes beside, syncs, then links the name, which fails when it is taken; syncs the folder."""
        path = self._path(name)
        part = path.with_name(f"{path.name}.{secrets.token_hex(8)}{_UNFINISHED}")
        try:
            self._make_folder(path.parent)
            try:
                _write(part, pieces)
                with contextlib.suppress(FileExistsError):
                    os.link(part, path)
                    sync_folder(path.parent)
                    return
                if not _is_same(part, path):
                    raise Conflict(f"object {name} holds other bytes")
                sync_folder(path.parent)
            finally:
                part.unlink(missing_ok=True)
        except OSError as problem:
            raise _refusal(problem) from problem

    def read(self, name: str, offset: int, length: int) -> bytes:
        """One read of the file."""
        try:
            data = self._files.read(name, self._path(name), offset, length)
        except FileNotFoundError as problem:
            raise DamagedData(f"object {name} is not there") from problem
        except OSError as problem:
            raise DamagedData(f"object {name}: {problem.strerror}") from problem
        if len(data) != length:
            raise DamagedData(f"object {name} ends early")
        return data

    def size(self, name: str) -> int | None:
        """The file's length."""
        try:
            return self._path(name).stat().st_size
        except FileNotFoundError:
            return None
        except OSError as problem:
            raise _refusal(problem) from problem

    def names(self, prefix: str, after: str = "") -> Iterator[Listed]:
        """Walks the folder in order; what is unfinished is left out."""
        root = self._folder / checked(prefix.removesuffix("/"))
        paths = {path.relative_to(self._folder).as_posix(): path for path in root.rglob("*")}
        for name in sorted(paths):
            if name > after and not name.endswith(_UNFINISHED) and paths[name].is_file():
                with contextlib.suppress(FileNotFoundError):
                    yield Listed(name, paths[name].stat().st_size)

    def delete(self, name: str) -> None:
        """Takes the file away, durably."""
        path = self._path(name)
        try:
            path.unlink()
            sync_folder(path.parent)
        except FileNotFoundError:
            return
        except OSError as problem:
            raise _refusal(problem) from problem
        finally:
            self._files.drop(name)

    def close(self) -> None:
        """Closes every file."""
        self._files.close()

    def _path(self, name: str) -> Path:
        return self._folder / checked(name)

    def _make_folder(self, folder: Path) -> None:
        """The folder with its names up to the root, durably; nothing is synced when it is there."""
        if folder.is_dir():
            return
        self._make_folder(folder.parent)
        folder.mkdir(exist_ok=True, mode=0o700)
        sync_folder(folder.parent)


def _write(path: Path, pieces: Sequence[Piece]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        for first in range(0, len(pieces), _MAX_VECTORS):
            waiting = [memoryview(piece) for piece in pieces[first : first + _MAX_VECTORS]]
            while waiting:
                count = os.writev(descriptor, waiting)
                while waiting and count >= len(waiting[0]):
                    count -= len(waiting.pop(0))
                if count:
                    waiting[0] = waiting[0][count:]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_same(part: Path, path: Path) -> bool:
    with part.open("rb") as ours, path.open("rb") as theirs:
        while True:
            piece, other = ours.read(_COMPARED_AT_ONCE), theirs.read(_COMPARED_AT_ONCE)
            if piece != other:
                return False
            if not piece:
                return True


def _refusal(problem: OSError) -> OutOfResources | StoreFailed:
    if problem.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutOfResources("the objects' disk is full")
    return StoreFailed(f"objects: {problem.strerror}")
