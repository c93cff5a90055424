"""What a series object says about itself. Pure functions on bytes.

Layout of the file::

    instance | instance | … | manifest | footer

Where frames are stored coded (`store.packing`) a table and its own footer stand there too::

    coded instances | table | manifest | table's footer | footer

The manifest is compressed JSON; the footer (`FOOTER`) tells where it lies and its SHA-256. A later version of an
object begins with the same bytes and the same rows as the one before, so that a place in it stays right.
"""

import hashlib
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from samsyn import limits
from samsyn.errors import DamagedData
from samsyn.model.imaging import BodyLocation, PixelLayout, StoredInstance
from samsyn.store.packing.extents import Extents

FOOTER: Final = struct.Struct("<4sIQ32s")
"""Magic, length and offset of the manifest, SHA-256 of the manifest as it lies there."""
_MAGIC: Final = b"SO01"
_MAGIC_CODED: Final = b"SO02"
TABLE_FOOTER: Final = struct.Struct("<IQ32s")
"""Length and offset of the table, SHA-256 of the table as it lies there."""

FrameTable = list[list[tuple[int, int]]]
"""For each frame its ranges (offset in the data set, length)."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The instances of one settled series. `rows` have the columns of the index's instance table that `columns`
    names, among them body_offset, here the offset in the object; `frames` the table of each, None = native."""

    object_key: int
    series_uid: str
    study_uid: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    frames: tuple[FrameTable | None, ...]

    def row(self, number: int) -> dict[str, Any]:
        """One row by column."""
        return dict(zip(self.columns, self.rows[number], strict=True))


def encode(manifest: Manifest, offset: int, table: bytes = b"") -> bytes:
    """Manifest and footer, to be written at the offset; with the table of coded frames, when there are such."""
    fields = {
        "object_key": manifest.object_key,
        "series_uid": manifest.series_uid,
        "study_uid": manifest.study_uid,
        "columns": manifest.columns,
        "rows": manifest.rows,
        "frames": manifest.frames,
    }
    packed = zlib.compress(orjson.dumps(fields))
    digest = hashlib.sha256(packed).digest()
    if not table:
        return packed + FOOTER.pack(_MAGIC, len(packed), offset, digest)
    said = TABLE_FOOTER.pack(len(table), offset, hashlib.sha256(table).digest())
    return table + packed + said + FOOTER.pack(_MAGIC_CODED, len(packed), offset + len(table), digest)


def decode_footer(footer: bytes, size: int) -> tuple[int, int, bytes]:
    """(offset, length, SHA-256) of the manifest of a file of `size` bytes; DamagedData when it is none."""
    if len(footer) == FOOTER.size:
        magic, length, offset, sha256 = FOOTER.unpack(footer)
        behind = {_MAGIC: 0, _MAGIC_CODED: TABLE_FOOTER.size}.get(magic, -1)
        if behind >= 0 and offset + length + behind + FOOTER.size == size:
            return offset, length, sha256
    raise DamagedData("a series object has no whole footer")


def read_table(read: Callable[[int, int], bytes], size: int) -> Extents | None:
    """The table of coded frames of a file of `size` bytes; None when it has none. DamagedData: it is not whole, or the
    footer is not, so that nobody knows what the bytes are."""
    begins = max(0, size - FOOTER.size)
    footer = read(begins, size - begins)
    decode_footer(footer, size)
    if not footer.startswith(_MAGIC_CODED):
        return None
    length, offset, sha256 = TABLE_FOOTER.unpack(read(begins - TABLE_FOOTER.size, TABLE_FOOTER.size))
    if offset + length > size:
        raise DamagedData("a series object's table is damaged")
    table = read(offset, length)
    if hashlib.sha256(table).digest() != sha256:
        raise DamagedData("a series object's table is damaged")
    return Extents(table)


def decode(packed: bytes, sha256: bytes) -> Manifest:
    """The manifest; DamagedData when its bytes have not their hash."""
    if hashlib.sha256(packed).digest() != sha256:
        raise DamagedData("a series object's manifest is damaged")
    unpacking = zlib.decompressobj()
    data = unpacking.decompress(packed, limits.MAX_MANIFEST_BYTES)
    if unpacking.unconsumed_tail:
        raise DamagedData("MAX_MANIFEST_BYTES")
    fields = orjson.loads(data)
    return Manifest(
        fields["object_key"],
        fields["series_uid"],
        fields["study_uid"],
        tuple(fields["columns"]),
        tuple(tuple(row) for row in fields["rows"]),
        tuple(_table(each) for each in fields["frames"]),
    )


def _table(ranges: list[list[list[int]]] | None) -> FrameTable | None:
    if ranges is None:
        return None
    return [[(offset, length) for offset, length in frame] for frame in ranges]


def stored(manifest: Manifest, number: int) -> StoredInstance:
    """One instance as retrieval needs it; its place is (-object key, offset in the object)."""
    row = manifest.row(number)
    return StoredInstance(
        sop_instance_uid=row["sop_uid"],
        sop_class_uid=row["sop_class"],
        transfer_syntax_uid=row["transfer_syntax"],
        study_uid=manifest.study_uid,
        series_uid=manifest.series_uid,
        number=row["number"],
        location=BodyLocation(-manifest.object_key, row["body_offset"], row["length"]),
        sha256=bytes.fromhex(row["sha256"]),
        checksum=row.get("checksum"),
        pixels=pixels_of(row),
    )


def pixels_of(row: Mapping[str, Any]) -> PixelLayout | None:
    """How the pixels lie, from a row of the instance table."""
    if row["pixel_offset"] < 0:
        return None
    return PixelLayout(
        offset=row["pixel_offset"],
        length=row["pixel_length"],
        rows=row["pixel_rows"],
        columns=row["pixel_columns"],
        samples=row["samples"],
        bits_allocated=row["bits_allocated"],
        bits_stored=row["bits_stored"],
        signed=bool(row["signed"]),
        photometric=row["photometric"],
        planar=row["planar"],
        frames=row["frames"],
    )
