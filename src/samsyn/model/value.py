"""Values that are made for every instance and every message."""

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def value(cls: type[T]) -> type[T]:
    """A frozen dataclass with slots for the type checker, which refuses every change of a field; at run time a field is
    set as any other's. Freezing at run time sets each by a call of its own, which doubles the cost of making one."""
    return dataclass(slots=True, unsafe_hash=True)(cls)
