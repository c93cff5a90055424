"""What is kept of pictures: rendered ones in memory for a while, thumbnails as files that can be made again."""

import hashlib
import os
from collections import OrderedDict
from pathlib import Path
from typing import Final

from samsyn.clock import Clock
from samsyn.errors import BadInput, DamagedData, LimitExceeded, NotSupported, SamsynError
from samsyn.limits import KEPT_REFUSAL_S, MAX_KEPT_REFUSALS, MAX_RENDERED_CACHE_BYTES
from samsyn.model.imaging import StoredInstance
from samsyn.render.codestream import jpeg_head
from samsyn.render.words import Picture, PictureFormat, PictureOptions

LASTING_REFUSALS: Final = (DamagedData, LimitExceeded, NotSupported)
"""Refusals that the same bytes will meet again."""

_FORM: Final = b"samsyn thumbnail 4"
"""Changed when thumbnails are made in another way, so that old files are not found any more."""
_SUFFIXES: Final = {PictureFormat.JPEG.value: ".jpg", PictureFormat.PNG.value: ".png"}


class RenderedPictures:
    """The pictures rendered last, and those that could not be.

    The key says what the picture is, not who saw it: whoever asks has shown his View to `retrieve` before.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pictures: OrderedDict[object, Picture] = OrderedDict()
        self._bytes = 0
        self._refusals: OrderedDict[object, tuple[float, SamsynError]] = OrderedDict()

    @staticmethod
    def key(instance: StoredInstance, number: int, options: PictureOptions) -> object:
        """One frame of these very bytes under these options."""
        return instance.sha256, instance.sop_instance_uid, number, options

    def get(self, key: object) -> Picture | None:
        """The picture, if it is still here. Raises the refusal that the same attempt met a moment ago."""
        refused = self._refusals.get(key)
        if refused is not None:
            until, error = refused
            if self._clock.monotonic() < until:
                raise type(error)(error.detail)
            del self._refusals[key]
        found = self._pictures.get(key)
        if found is not None:
            self._pictures.move_to_end(key)
        return found

    def put(self, key: object, picture: Picture) -> None:
        """Keeps a picture; the ones not asked for longest leave."""
        if key in self._pictures or len(picture.data) > MAX_RENDERED_CACHE_BYTES // 8:
            return
        self._pictures[key] = picture
        self._bytes += len(picture.data)
        while self._bytes > MAX_RENDERED_CACHE_BYTES:
            _, oldest = self._pictures.popitem(last=False)
            self._bytes -= len(oldest.data)

    def refuse(self, key: object, error: SamsynError) -> None:
        """Remembers for a while that this picture can not be made."""
        self._refusals[key] = (self._clock.monotonic() + KEPT_REFUSAL_S, error)
        while len(self._refusals) > MAX_KEPT_REFUSALS:
            self._refusals.popitem(last=False)


class ThumbnailFolder:
    """Thumbnails as files. Names are hashes: nothing of a peer's data gets into a path. Blocking."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def _path(self, instance: StoredInstance, number: int, side: int, suffix: str) -> Path:
        what = f"{instance.sop_instance_uid} {number} {side}"
        made_of = [_FORM, instance.sha256, what.encode()]
        name = hashlib.sha256(b"\0".join(made_of)).hexdigest()[:40]
        return self._folder / name[:2] / f"{name}{suffix}"

    def get(self, instance: StoredInstance, number: int, side: int) -> Picture | None:
        """The kept thumbnail of a frame (0 = the one that was chosen for the instance), if there is one."""
        for media_type, suffix in _SUFFIXES.items():
            try:
                data = self._path(instance, number, side, suffix).read_bytes()
                width, height = _size(data)
            except (OSError, BadInput):
                continue
            return Picture(data, media_type, width, height)
        return None

    def put(self, instance: StoredInstance, number: int, side: int, picture: Picture) -> None:
        """Keeps it, whole or not at all. Not synced, and a full disk is no error: it can be made again."""
        path = self._path(instance, number, side, _SUFFIXES[picture.media_type])
        part = path.with_suffix(f".{os.getpid()}.part")
        try:
            path.parent.mkdir(exist_ok=True, mode=0o700)
            part.write_bytes(picture.data)
            part.replace(path)
        except OSError:
            part.unlink(missing_ok=True)


def _size(data: bytes) -> tuple[int, int]:
    """Width and height of a JPEG or PNG."""
    if data[:4] == b"\x89PNG" and len(data) >= 24:
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    head = jpeg_head(data)
    return head.columns, head.rows
