"""Reads of settled series: which they are by SQL, what is in them from their manifests."""

from collections.abc import Callable, Collection, Iterable
from typing import Any, Final

import orjson

from samsyn import limits
from samsyn.errors import Conflict, LimitExceeded
from samsyn.model.imaging import StoredInstance
from samsyn.store.index import settled_uids, tables
from samsyn.store.index.port import IndexConnection
from samsyn.store.objects.manifest import Manifest
from samsyn.store.objects.series_objects import SettledSeries

_IN_OBJECTS: Final = ("instance", "original_body", "held")
"""Tables whose rows may have their bytes in a series object."""
NAMING: Final = (
    "SELECT 1 FROM series_object WHERE object_key = ?1"
    " UNION ALL SELECT 1 FROM former_object WHERE object_key = ?1"
)
"""Has a row when one names the object, as the present one of its series or a former one."""


def settled_of(connection: IndexConnection, series_key: int) -> SettledSeries | None:
    """What is settled of a series; None = nothing. DamagedData: the object's manifest is."""
    row = connection.execute(
        "SELECT object_key, instances FROM series_object WHERE series_key = ?", (series_key,)
    ).fetchone()
    return connection.objects.settled(row[0], row[1]) if row is not None else None


def settled_in(connection: IndexConnection, object_key: int) -> SettledSeries | None:
    """The same by the key of the object."""
    row = connection.execute(
        "SELECT instances FROM series_object WHERE object_key = ?", (object_key,)
    ).fetchone()
    return connection.objects.settled(object_key, row[0]) if row is not None else None


def series_of_study(connection: IndexConnection, study_key: int) -> list[tuple[int | None, int]]:
    """(series number, series key) of the study's settled series."""
    rows = connection.execute(
        "SELECT series.number, series_key FROM series JOIN series_object USING(series_key)"
        " WHERE series.study_key = ?",
        (study_key,),
    )
    return [(row[0], row[1]) for row in rows]


def series_holding(connection: IndexConnection, sop_uid: str) -> int | None:
    """Key of the series that a settled instance is in; None = it is not settled."""
    for series_key in settled_uids.candidates(connection, sop_uid):
        settled = settled_of(connection, series_key)
        if settled is not None and sop_uid in settled.numbers:
            return series_key
    return None


def table_of_instance(connection: IndexConnection, sop_uid: str) -> tuple[str, str] | None:
    """`as_table` for one settled instance, None when it is not settled."""
    key = series_holding(connection, sop_uid)
    return as_table(connection, [(key, 1)], uids={sop_uid}) if key is not None else None


def instance(connection: IndexConnection, sop_uid: str) -> StoredInstance | None:
    """A settled instance by its UID alone."""
    for series_key in settled_uids.candidates(connection, sop_uid):
        settled = settled_of(connection, series_key)
        if settled is not None and (number := settled.numbers.get(sop_uid)) is not None:
            return settled.instances[number]
    return None


def is_any(connection: IndexConnection) -> bool:
    """Whether any series is settled."""
    return connection.execute("SELECT 1 FROM series_object LIMIT 1").fetchone() is not None


def table_of_study(connection: IndexConnection, study_key: int) -> tuple[str, str] | None:
    """`as_table` for the settled series of one study, None when there are none."""
    rows = connection.execute(
        "SELECT series_key, instances FROM series JOIN series_object USING(series_key) WHERE study_key = ?",
        (study_key,),
    )
    series = [(row[0], row[1]) for row in rows]
    return as_table(connection, series) if series else None


def as_table(
    connection: IndexConnection,
    series: list[tuple[int, int]],
    wanted: Collection[str] = (),
    uids: Collection[str] | None = None,
) -> tuple[str, str]:
    """(SQL that stands for a table like `instance`, its JSON parameter) with all instances of the settled series.

    `series`: (key, settled instances); `wanted`: columns beside series_key, none = all; `uids`: only these
    instances, None = all. LimitExceeded: so many that the search has to be narrowed.
    """
    if sum(count for _, count in series) > limits.MAX_SETTLED_SEARCH:
        raise LimitExceeded("MAX_SETTLED_SEARCH: name the patient, the study or the series")
    columns = [
        (name, kind)
        for name, kind in tables.columns_of("instance").items()
        if not wanted or name == "series_key" or name in wanted
    ]
    names = [name for name, _ in columns]
    rows: list[list[Any]] = []
    for series_key, _ in series:
        settled = settled_of(connection, series_key)
        if settled is None:
            continue
        manifest = settled.manifest
        own = {"series_key": series_key, "segment": -manifest.object_key}
        places = {name: place for place, name in enumerate(manifest.columns)}
        chosen: Iterable[int] = range(len(manifest.rows))
        if uids is not None:
            chosen = [settled.numbers[uid] for uid in uids if uid in settled.numbers]
        for number in chosen:
            row = manifest.rows[number]
            rows.append(
                [
                    own[name] if name in own else row[places[name]] if name in places else None
                    for name in names
                ]
            )
    selected = ", ".join(
        f"CAST(json_extract(value, '$[{place}]') AS {kind}) AS {name}"
        for place, (name, kind) in enumerate(columns)
    )
    return f"(SELECT {selected} FROM json_each(?)) AS instance", orjson.dumps(rows).decode()


def quiet_series(connection: IndexConnection, before: str, limit: int) -> list[tuple[int, int]]:
    """(series key, bytes) of series with instances to settle, of which the last came before the time."""
    rows = connection.execute(
        "SELECT series_key, SUM(length) FROM instance GROUP BY series_key HAVING MAX(received) <= ? LIMIT ?",
        (before, limit),
    )
    return [(row[0], row[1]) for row in rows]


def rows_to_settle(connection: IndexConnection, series_key: int) -> list[dict[str, Any]]:
    """The instance rows of a series, by number."""
    rows = connection.execute(
        "SELECT * FROM instance WHERE series_key = ? ORDER BY number, sop_uid", (series_key,)
    )
    names = [column[0] for column in rows.description]
    return [dict(zip(names, row, strict=True)) for row in rows]


def uids_of_series(connection: IndexConnection, series_key: int) -> tuple[str, str]:
    """(Series Instance UID, Study Instance UID). Conflict: the series has had another key since."""
    row = connection.execute(
        "SELECT series_uid, study_uid FROM series JOIN study USING(study_key) WHERE series_key = ?",
        (series_key,),
    ).fetchone()
    if row is None:
        raise Conflict("a series was moved while it was looked at")
    return row[0], row[1]


def all_objects(connection: IndexConnection, after: int, limit: int) -> list[tuple[int, int]]:
    """(object key, instances that must be in it) by key, from the one behind `after` on."""
    rows = connection.execute(
        "SELECT object_key, instances FROM series_object WHERE object_key > ?1"
        " UNION ALL SELECT object_key, instances FROM former_object WHERE object_key > ?1"
        " ORDER BY object_key LIMIT ?2",
        (after, limit),
    )
    return [(row[0], row[1]) for row in rows]


def given_back(connection: IndexConnection) -> set[int]:
    """Segments that have nothing more to give back."""
    return {row[0] for row in connection.execute("SELECT segment FROM given_back")}


def settled_before(connection: IndexConnection, sop_uid: str, before: str) -> StoredInstance | None:
    """The instance, when it is settled and its series was settled last before the time; None otherwise."""
    if connection.execute("SELECT 1 FROM instance WHERE sop_uid = ?", (sop_uid,)).fetchone() is not None:
        return None
    found = instance(connection, sop_uid)
    if found is None:
        return None
    row = connection.execute(
        "SELECT 1 FROM series_object WHERE object_key = ? AND settled <= ?", (-found.location.segment, before)
    ).fetchone()
    return found if row is not None else None


def next_object(connection: IndexConnection) -> int:
    """A key that no object had that a record tells of."""
    return int(connection.execute("SELECT last_object FROM settled_size").fetchone()[0]) + 1


def object_keys(connection: IndexConnection) -> set[int]:
    """Keys of all series objects that a row names, former ones among them."""
    rows = connection.execute(
        "SELECT object_key FROM series_object UNION ALL SELECT object_key FROM former_object"
    )
    return {row[0] for row in rows}


def names_object(connection: IndexConnection, object_key: int) -> bool:
    """Whether a row names the object, as the present one of its series or a former one."""
    return connection.execute(NAMING, (object_key,)).fetchone() is not None


def is_of(connection: IndexConnection, manifest: Manifest, count: int) -> bool:
    """Whether a manifest can be that of the object which the index knows under its key, with so many settled
    instances: it is of the same series, these are settled there, and whatever else lies in it lies in its place."""
    key = manifest.object_key
    rows = [manifest.row(number) for number in range(len(manifest.rows))]
    if len(rows) < count:
        return False
    settled = connection.execute(
        "SELECT series_key, series_uid FROM series_object JOIN series USING(series_key) WHERE object_key = ?",
        (key,),
    ).fetchone()
    if settled is not None:
        if settled[1] != manifest.series_uid:
            return False
        for row in rows[:count]:
            if settled[0] not in settled_uids.candidates(connection, row["sop_uid"]):
                return False
    told = {(row["sop_uid"], row["body_offset"], row["length"], row["sha256"]) for row in rows}
    return all(
        tuple(row) in told
        for table in _IN_OBJECTS
        for row in connection.execute(
            f"SELECT sop_uid, body_offset, length, sha256 FROM {table} WHERE segment = ?", (-key,)
        ).fetchall()
    )


def empty_former_objects(connection: IndexConnection) -> list[int]:
    """Keys of former objects in which no instance lies any more."""
    keys = [row[0] for row in connection.execute("SELECT object_key FROM former_object").fetchall()]
    return [
        key
        for key in keys
        if not is_named_by_rows(lambda sql, *values: connection.execute(sql, values).fetchone(), key)
    ]


def is_named_by_rows(one: Callable[..., Any], object_key: int) -> bool:
    """Whether a row has its bytes in the object. `one` asks for the first row of an SQL question."""
    return any(
        one(f"SELECT 1 FROM {table} WHERE segment = ? LIMIT 1", -object_key) is not None
        for table in _IN_OBJECTS
    )
