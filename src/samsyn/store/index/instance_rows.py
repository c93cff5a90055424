"""Reads of what is stored under a study."""

from collections.abc import Iterable
from typing import Any, Final

from samsyn.model.imaging import BodyLocation, PixelLayout, StoredInstance
from samsyn.model.predicate import Item
from samsyn.store.index import settled_rows
from samsyn.store.index.port import IndexConnection

_COLUMNS: Final = (
    "sop_uid, sop_class, transfer_syntax, instance.number, segment, body_offset, length, sha256, pixel_offset,"
    " pixel_length, pixel_rows, pixel_columns, samples, bits_allocated, bits_stored, signed, photometric,"
    " planar, frames, series_uid, study_uid, checksum"
)
_PIXELS: Final = slice(8, 19)
"""Of the columns, those of the pixels' layout."""


def study_facts(connection: IndexConnection, study_uid: str) -> tuple[int, Item, int] | None:
    """(study key, what access decides on, number of instances), or None."""
    row = connection.execute(
        "SELECT study_key, patient_key, provider, unit, begins, ends, instance_count FROM study"
        " WHERE study_uid = ?",
        (study_uid,),
    ).fetchone()
    if row is None:
        return None
    return row[0], Item(row[1], row[2], row[3], row[4], row[5]), row[6]


def instances_of_study(connection: IndexConnection, study_key: int) -> list[StoredInstance]:
    """Every instance, by series and number."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM series JOIN study USING(study_key) JOIN instance USING(series_key)"
        " WHERE series.study_key = ? ORDER BY series.number, series.series_key, instance.number, sop_uid",
        (study_key,),
    )
    found = _instances(rows)
    settled = settled_rows.series_of_study(connection, study_key)
    if not settled:
        return found
    numbers = connection.execute(
        "SELECT series_uid, number, series_key FROM series WHERE study_key = ?", (study_key,)
    )
    order = {row[0]: (_none_first(row[1]), row[2]) for row in numbers}
    for _, key in settled:
        found += _settled(connection, key)
    found.sort(key=lambda each: (*order[each.series_uid], *_by_number(each)))
    return found


def _settled(connection: IndexConnection, key: int) -> tuple[StoredInstance, ...]:
    settled = settled_rows.settled_of(connection, key)
    return settled.instances if settled is not None else ()


def _none_first(number: int | None) -> tuple[bool, int]:
    """As SQLite sorts."""
    return number is not None, number or 0


def _by_number(instance: StoredInstance) -> tuple[tuple[bool, int], str]:
    return _none_first(instance.number), instance.sop_instance_uid


def instances_of_series(connection: IndexConnection, series_uid: str) -> list[StoredInstance]:
    """Every instance of one series, by number."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM series JOIN study USING(study_key) JOIN instance USING(series_key)"
        " WHERE series_uid = ? ORDER BY instance.number, sop_uid",
        (series_uid,),
    )
    found = _instances(rows)
    if settled_rows.is_any(connection):
        key = connection.execute(
            "SELECT series_key FROM series WHERE series_uid = ?", (series_uid,)
        ).fetchone()
        found += _settled(connection, key[0]) if key is not None else ()
        found.sort(key=_by_number)
    return found


def series_of_study(connection: IndexConnection, study_uid: str) -> tuple[tuple[str, int, int], ...]:
    """(series UID, series key, number of instances) of what holds any, in the order of `instances_of_study`."""
    rows = connection.execute(
        "SELECT series_uid, series_key, series.instance_count FROM study JOIN series USING(study_key)"
        " WHERE study_uid = ? AND series.instance_count > 0 ORDER BY series.number, series_key",
        (study_uid,),
    )
    return tuple((row[0], row[1], row[2]) for row in rows)


def series_facts(connection: IndexConnection, series_uid: str) -> tuple[int, int, str] | None:
    """(series key, number of instances, when the last one came), or None."""
    row = connection.execute(
        "SELECT series_key, instance_count, (SELECT MAX(received) FROM instance WHERE series_key ="
        " series.series_key) FROM series WHERE series_uid = ?",
        (series_uid,),
    ).fetchone()
    return (row[0], row[1], row[2] or "") if row else None


def series_key(connection: IndexConnection, series_uid: str) -> int:
    """The series' key; it must exist."""
    return int(
        connection.execute("SELECT series_key FROM series WHERE series_uid = ?", (series_uid,)).fetchone()[0]
    )


def study_of_instance(connection: IndexConnection, sop_uid: str) -> str | None:
    """The study that an instance belongs to."""
    row = connection.execute(
        "SELECT study_uid FROM instance JOIN series USING(series_key) JOIN study USING(study_key)"
        " WHERE sop_uid = ?",
        (sop_uid,),
    ).fetchone()
    if row is not None:
        return str(row[0])
    settled = settled_rows.instance(connection, sop_uid)
    return settled.study_uid if settled is not None else None


def instance(connection: IndexConnection, sop_uid: str) -> StoredInstance | None:
    """One instance by its UID, settled or not."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM instance JOIN series USING(series_key) JOIN study USING(study_key)"
        " WHERE sop_uid = ?",
        (sop_uid,),
    ).fetchone()
    return _instances([row])[0] if row is not None else settled_rows.instance(connection, sop_uid)


def study_of_series(connection: IndexConnection, series_uid: str) -> str | None:
    """The study that a series belongs to."""
    row = connection.execute(
        "SELECT study_uid FROM series JOIN study USING(study_key) WHERE series_uid = ?", (series_uid,)
    ).fetchone()
    return row[0] if row else None


def _instances(rows: Iterable[Any]) -> list[StoredInstance]:
    """Slices of a series have the same layout: it is made once."""
    layouts: dict[tuple[Any, ...], PixelLayout | None] = {}
    found: list[StoredInstance] = []
    for row in rows:
        values = tuple(row)
        told = values[_PIXELS]
        if told not in layouts:
            layouts[told] = _layout(told)
        uid, sop_class, syntax, number, segment, offset, length, sha256 = values[:8]
        series_uid, study_uid, checksum = values[19:]
        location = BodyLocation(segment, offset, length)
        found.append(
            StoredInstance(
                uid,
                sop_class,
                syntax,
                study_uid,
                series_uid,
                number,
                location,
                bytes.fromhex(sha256),
                checksum,
                layouts[told],
            )
        )
    return found


def _layout(told: tuple[Any, ...]) -> PixelLayout | None:
    offset, length, rows, columns, samples, allocated, stored, signed, photometric, planar, frames = told
    if offset < 0:
        return None
    return PixelLayout(
        offset=offset,
        length=length,
        rows=rows,
        columns=columns,
        samples=samples,
        bits_allocated=allocated,
        bits_stored=stored,
        signed=bool(signed),
        photometric=photometric,
        planar=planar,
        frames=frames,
    )
