"""Which settled series an instance UID may be in: a linear hash table of a few bytes for each instance.

A UID's hash has 32 bits. The low ones choose the bucket; the rest, in as few bytes as hold it, stands in the
bucket's blob beside the series key. A UID that was never settled is taken for one now and then (once in some
thousand questions at ten million instances); who asks looks into the manifest, which knows.

The table grows by one bucket at a time (linear hashing), so that no step is long: with n buckets, 2**level <= n,
bucket b < n - 2**level has been split already and is told apart by one bit more.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

from samsyn.store.index.port import IndexConnection

_HASH_BITS: Final = 32
_FILL: Final = 96
"""Instances per bucket, on average, above which one more bucket is made."""


def add(connection: IndexConnection, series_key: int, uids: Sequence[str]) -> None:
    """Notes that the UIDs are in the series; the same calls in the same order make the same table."""
    entries, buckets = _size(connection)
    entries += len(uids)
    while entries > _FILL * buckets:
        _split(connection, buckets)
        buckets += 1
    connection.execute("UPDATE settled_size SET entries = ?, buckets = ?", (entries, buckets))
    by_bucket: dict[int, list[int]] = {}
    for uid in uids:
        number = _hash(uid)
        by_bucket.setdefault(_bucket(number, buckets), []).append(number)
    for bucket, numbers in by_bucket.items():
        known = _read(connection, bucket, buckets)
        _write(connection, bucket, buckets, [*known, *((number, series_key) for number in numbers)])


def candidates(connection: IndexConnection, uid: str) -> list[int]:
    """Keys of the series that the UID may be in; nearly always none or one."""
    entries, buckets = _size(connection)
    if not entries:
        return []
    number = _hash(uid)
    known = _read(connection, _bucket(number, buckets), buckets)
    return sorted({key for other, key in known if other == number})


def _hash(uid: str) -> int:
    return int.from_bytes(hashlib.blake2b(uid.encode(), digest_size=_HASH_BITS // 8).digest(), "little")


def _size(connection: IndexConnection) -> tuple[int, int]:
    row = connection.execute("SELECT entries, buckets FROM settled_size").fetchone()
    return row[0], row[1]


def _bucket(number: int, buckets: int) -> int:
    level = buckets.bit_length() - 1
    bucket = number & ((2 << level) - 1)
    return bucket if bucket < buckets else number & ((1 << level) - 1)


def _known_bits(bucket: int, buckets: int) -> int:
    """How many low bits of a hash the bucket's number tells."""
    level = buckets.bit_length() - 1
    is_split = bucket >= 1 << level or bucket + (1 << level) < buckets
    return level + 1 if is_split else level


def _read(connection: IndexConnection, bucket: int, buckets: int) -> list[tuple[int, int]]:
    """(hash, series key) of every entry."""
    row = connection.execute("SELECT entries FROM settled_uid WHERE bucket = ?", (bucket,)).fetchone()
    if row is None:
        return []
    data: bytes = row[0]
    bits = _known_bits(bucket, buckets)
    rest, width = _rest_bytes(bits), data[0]
    found: list[tuple[int, int]] = []
    for place in range(1, len(data), rest + width):
        number = int.from_bytes(data[place : place + rest], "little") << bits | bucket
        found.append((number, int.from_bytes(data[place + rest : place + rest + width], "little")))
    return found


def _write(
    connection: IndexConnection, bucket: int, buckets: int, entries: Sequence[tuple[int, int]]
) -> None:
    if not entries:
        connection.execute("DELETE FROM settled_uid WHERE bucket = ?", (bucket,))
        return
    bits = _known_bits(bucket, buckets)
    rest = _rest_bytes(bits)
    width = max(1, (max(key for _, key in entries).bit_length() + 7) // 8)
    parts = [bytes([width])]
    for number, key in entries:
        parts += ((number >> bits).to_bytes(rest, "little"), key.to_bytes(width, "little"))
    connection.execute("INSERT OR REPLACE INTO settled_uid VALUES(?, ?)", (bucket, b"".join(parts)))


def _rest_bytes(bits: int) -> int:
    return max(0, (_HASH_BITS - bits + 7) // 8)


def _split(connection: IndexConnection, buckets: int) -> None:
    """Parts the next bucket in turn: its entries go to it or to the new last bucket."""
    old = buckets - (1 << (buckets.bit_length() - 1))
    entries = _read(connection, old, buckets)
    for bucket in (old, buckets):
        kept = [entry for entry in entries if _bucket(entry[0], buckets + 1) == bucket]
        _write(connection, bucket, buckets + 1, kept)
