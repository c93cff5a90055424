"""What goes between the serving process and the child that reads messages: pickled, of the words of meaning alone.

Each block is a length (u32, little endian) and a pickle. Only the classes below are made of what the child sends.
"""

import datetime
import io
import operator
import pickle
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import Enum
from types import MappingProxyType
from typing import Any, Final

from samsyn.hl7v2 import meaning
from samsyn.model.organisation import Owner
from samsyn.model.patient import Demographics
from samsyn.model.sender import Sender
from samsyn.model.texts import BookingStatus, Referral, ReferralStatus, ReportStatus

HEAD: Final = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Beginning:
    """The first block to the child: which unit codes are known HSA-ids, and the text of each profile by its name."""

    units: dict[str, Owner]
    profiles: dict[str, str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """One message to be read."""

    profile: str
    sender: Sender
    raw: bytes


_VALUES: Final[tuple[type[Any], ...]] = (
    Beginning,
    Wanted,
    Sender,
    Owner,
    Demographics,
    Referral,
    meaning.SentIdentifier,
    meaning.PatientClaim,
    meaning.GuardianClaim,
    meaning.PatientUpdate,
    meaning.PatientMerge,
    meaning.PatientLink,
    meaning.IdentifierMove,
    meaning.TextMove,
    meaning.ReferralEvent,
    meaning.ReportEvent,
    meaning.BookingEvent,
    meaning.Interpretation,
)
_ENUMS: Final[tuple[type[Enum], ...]] = (ReportStatus, ReferralStatus, BookingStatus)
_KNOWN: Final = MappingProxyType(
    {
        **{(each.__module__, each.__qualname__): each for each in (*_VALUES, *_ENUMS)},
        ("datetime", "datetime"): datetime.datetime,
        ("datetime", "timezone"): datetime.timezone,
        ("datetime", "timedelta"): datetime.timedelta,
    }
)

Reduced = Callable[[Any], tuple[Any, tuple[Any, ...]]]


def _of_fields(kind: type[Any]) -> Reduced:
    """A value by its fields in order: a quarter of the time that pickle takes for a frozen one with slots."""
    names = [each.name for each in fields(kind)]
    if len(names) == 1:
        (name,) = names
        return lambda value: (kind, (getattr(value, name),))
    read = operator.attrgetter(*names)
    return lambda value: (kind, read(value))


def _of_enum(kind: type[Enum]) -> Reduced:
    return lambda value: (kind, (value.value,))


_REDUCED: Final[Mapping[type[Any], Reduced]] = MappingProxyType(
    {each: _of_fields(each) for each in _VALUES} | {each: _of_enum(each) for each in _ENUMS}
)


class _Reading(pickle.Unpickler):
    def find_class(self, module: str, name: str, /) -> Any:
        try:
            return _KNOWN[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name} is no word of meaning") from None


def written(value: object) -> bytes:
    """The value as a block. ValueError: it is longer than a block can be."""
    out = io.BytesIO()
    out.write(bytes(HEAD.size))
    pickler = pickle.Pickler(out, protocol=5)
    pickler.dispatch_table = _REDUCED
    pickler.dump(value)
    block = out.getbuffer()
    try:
        HEAD.pack_into(block, 0, len(block) - HEAD.size)
    except struct.error as problem:
        raise ValueError("too long for a block") from problem
    return bytes(block)


def read(pickled: bytes) -> Any:
    """The value of a block without its head. pickle.UnpicklingError, or whatever else damaged bytes lead to."""
    return _Reading(io.BytesIO(pickled)).load()
