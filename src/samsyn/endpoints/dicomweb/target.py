"""Addresses of DICOMweb resources (PS3.18 10.3): from a path to what it names."""

import re
from dataclasses import dataclass

from samsyn.dicom.uids import is_uid
from samsyn.endpoints.dicomweb.errors_table import AddressTooLong
from samsyn.errors import BadInput, NotFound

_MAX_FRAMES_IN_LIST = 10_000
_MAX_PATH_CHARACTERS = 64 * 1024
"""A list of thousands of frame numbers is legal."""
_SUBSCRIBERS = "subscribers"
_AE_TITLE = re.compile(r"[\x20-\x5b\x5d-\x7e]{1,16}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Target:
    """What a path names. Empty UIDs = not named."""

    form: str
    """The fixed words of the path joined by `/`, as in `studies/series/metadata`."""
    depth: int
    """How many values stand between them."""
    study_uid: str = ""
    """The first UID of the path: of a study, or of a workitem."""
    series_uid: str = ""
    sop_instance_uid: str = ""
    frames: tuple[int, ...] = ()
    bulk_path: str = ""


def target_of(path: str) -> Target:
    """The target of a path relative to the service, such as `/studies/1.2/series`.

    BadInput when a value in it is no UID or no list of frame numbers; unknown forms are for the door to refuse.
    NotFound: a bulk value without a path. AddressTooLong: more characters or frame numbers than are read.
    """
    if len(path) > _MAX_PATH_CHARACTERS:
        raise AddressTooLong("path")
    segments = path.split("/")[1:]
    if _SUBSCRIBERS in (*segments[:1], *segments[2:3]):
        return _subscription(segments)
    bulk_path = ""
    if len(segments) > 6 and segments[6] == "bulkdata":
        bulk_path = "/".join(segments[7:])
        if segments[7:] and not bulk_path:
            raise NotFound
        segments = segments[:7]
    words, values = segments[0::2], segments[1::2]
    uids = values[:3]
    for uid in uids:
        if not is_uid(uid):
            raise BadInput("the address holds something that is no UID")
    frames = _frames(values[3]) if len(values) > 3 else ()
    uids += [""] * (3 - len(uids))
    return Target("/".join(words), len(values), uids[0], uids[1], uids[2], frames, bulk_path)


def _subscription(segments: list[str]) -> Target:
    """An address with the AE title of a subscriber (PS3.18 table 11.1.1-1, 8.10.4)."""
    at = segments.index(_SUBSCRIBERS)
    uids, title, more = segments[1:at], segments[at + 1 : at + 2], segments[at + 2 :]
    if not (title and _AE_TITLE.fullmatch(title[0])) or not all(map(is_uid, uids)):
        raise BadInput("the address holds something that is no UID or no AE title")
    words = [*segments[0:at:2], _SUBSCRIBERS, *more]
    return Target("/".join(words), len(uids) + 1, uids[0] if uids else "")


def _frames(text: str) -> tuple[int, ...]:
    """A list of frame numbers from 1, parted by commas."""
    parts = text.split(",")
    if len(parts) > _MAX_FRAMES_IN_LIST:
        raise AddressTooLong("frames in one request")
    numbers = []
    for part in parts:
        if not (part.isascii() and part.isdigit() and len(part) <= 9) or int(part) < 1:
            raise BadInput("the address holds something that is no frame number")
        numbers.append(int(part))
    return tuple(numbers)
