"""Stored data sets that are too large to be held in memory: what is read of them, and what leaves as their head.

Whatever is read here and there is checked by the sums of its blocks (`block_sums`). Blocking; the first time all of an
object may be read. DamagedData: it is not what came.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from samsyn import limits
from samsyn.dicom.json import bulk_value, to_dicom_json
from samsyn.dicom.outline import Outline
from samsyn.dicom.overlay import ORIGINAL_ATTRIBUTES, overlaid_head
from samsyn.dicom.structure import PIXEL_DATA
from samsyn.dicom.transfer_syntaxes import find
from samsyn.errors import LimitExceeded
from samsyn.model.amendment import Amendment
from samsyn.model.imaging import StoredInstance
from samsyn.store.blank import blank
from samsyn.store.block_sums import BlockSums

_TAG: Final = re.compile("[0-9A-F]{8}")


@dataclass(frozen=True, slots=True)
class Leaving:
    """A data set as it leaves: `head`, and behind it what is stored from the byte `rest` on."""

    head: bytes
    rest: int
    stored: int
    """Length of what is stored, bytes."""

    def __len__(self) -> int:
        """Bytes that leave."""
        return len(self.head) + self.stored - self.rest


def is_large(instance: StoredInstance) -> bool:
    """Whether a data set leaves in pieces. A deflated one is short, or is not given: it can not be read in part."""
    syntax = find(instance.transfer_syntax_uid)
    return instance.location.length > limits.STREAMED_ABOVE_BYTES and not (syntax and syntax.deflated)


def metadata(
    sums: BlockSums, instance: StoredInstance, bulk_prefix: str, wanted: frozenset[int] | None = None
) -> bytes:
    """The DICOM JSON object of a large data set, `wanted` as in to_dicom_json."""
    with blank(instance.location.length) as pages, memoryview(pages) as outline:
        Outline(_reading(sums, instance), outline, instance.transfer_syntax_uid)
        return to_dicom_json(outline, instance.transfer_syntax_uid, bulk_prefix, wanted)


def leaving(sums: BlockSums, instance: StoredInstance, corrections: Sequence[Amendment]) -> Leaving:
    """How a large data set leaves with these corrections. Errors of `Outline` and `BlockSums.part`."""
    length = instance.location.length
    if not corrections:
        return Leaving(b"", 0, length)
    with blank(length) as pages, memoryview(pages) as outline:
        Outline(_reading(sums, instance), outline, instance.transfer_syntax_uid, last=ORIGINAL_ATTRIBUTES)
        return Leaving(*overlaid_head(outline, instance.transfer_syntax_uid, corrections), length)


def small_value(sums: BlockSums, instance: StoredInstance, path: str) -> bytes:
    """`json.bulk_value` for a large data set. LimitExceeded: the value itself is large; see `value_span`."""
    with blank(instance.location.length) as pages, memoryview(pages) as outline:
        drawn = Outline(_reading(sums, instance), outline, instance.transfer_syntax_uid)
        tag = int(path[:8], 16) if _TAG.match(path) else 0
        syntax = find(instance.transfer_syntax_uid)
        is_by_frames = tag == PIXEL_DATA and syntax is not None and syntax.encapsulated
        if tag in drawn.left_out and not is_by_frames:
            raise LimitExceeded("STREAMED_ABOVE_BYTES")
        return bytes(bulk_value(outline, instance.transfer_syntax_uid, path))


def value_span(sums: BlockSums, instance: StoredInstance, tag: int) -> tuple[int, int] | None:
    """Offset and length of a large binary value in a large data set, if it is one that lies there in one piece, little
    endian; else None."""
    syntax = find(instance.transfer_syntax_uid)
    if syntax is None or not syntax.little or (syntax.encapsulated and tag == PIXEL_DATA):
        return None
    length = instance.location.length
    with blank(length) as pages, memoryview(pages) as outline:
        drawn = Outline(_reading(sums, instance), outline, instance.transfer_syntax_uid, last=tag)
        return drawn.left_out.get(tag)


def _reading(sums: BlockSums, instance: StoredInstance) -> "partial[bytes]":
    return partial(_read, sums, instance)


def _read(sums: BlockSums, instance: StoredInstance, offset: int, length: int) -> bytes:
    return sums.part(instance, offset, max(0, min(length, instance.location.length - offset)))
