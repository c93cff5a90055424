"""Chance that is the same every time: random streams and UIDs that follow from names."""

import hashlib
import uuid
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

SEED = "samsyn-demo-1"
"""Everything in the demo region follows from this word; change it and every UID changes."""

T = TypeVar("T")

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_OID, SEED)


def stream(*names: object) -> np.random.Generator:
    """A random stream of its own for `names`; the same names give the same numbers on every machine."""
    digest = hashlib.sha256("/".join((SEED, *map(str, names))).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))


def uid(*names: object) -> str:
    """A DICOM UID under 2.25 (PS3.5 B.2) made from `names`; equal names give equal UIDs."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, '/'.join(map(str, names))).int}"


def pick(choices: Sequence[T], *names: object) -> T:
    """One of `choices`, always the same one for the same `names`."""
    return choices[int(stream("pick", *names).integers(len(choices)))]
