"""Whether every series object is there and holds what the journal says, and whether there are others."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from samsyn.errors import DamagedData
from samsyn.store.comparing.marks import sum_of
from samsyn.store.comparing.retold import Retold
from samsyn.store.comparing.rows import Kind
from samsyn.store.index import settled_rows, settled_uids
from samsyn.store.index.port import IndexConnection
from samsyn.store.objects.manifest import Manifest
from samsyn.store.objects.series_objects import SeriesObjects

_PAGE: Final = 500
_LOOK_EVERY: Final = 500


@dataclass(slots=True)
class ObjectsSeen:
    """What is the matter with the series objects; keys of objects as examples."""

    objects: int = 0
    instances: int = 0
    """That are settled."""
    unreadable: dict[str, Kind] = field(default_factory=dict)
    """Not there or not whole, by what is the matter."""
    others: Kind = field(default_factory=Kind)
    """Whole, but with other instances than the journal says."""
    rotten: Kind = field(default_factory=Kind)
    """Instances without their SHA-256 (UIDs)."""
    lost_places: Kind = field(default_factory=Kind)
    """Instances with rows of their own whose bytes should lie in an object and do not (UIDs)."""
    untold: Kind = field(default_factory=Kind)
    """Objects that no record tells of, with instances that no record tells of either."""
    left_over: Kind = field(default_factory=Kind)
    """Objects that no record tells of, whose instances are kept elsewhere or that are unreadable."""


class ObjectsLookedAt:
    """One pass over the objects. `is_named(key)`: whether the index of this moment names an object, None = there is no
    index to ask: what a service has changed meanwhile is no fault."""

    def __init__(
        self,
        truth: Retold,
        objects: SeriesObjects,
        is_named: Callable[[int], bool | None],
        told: Callable[[str], None],
        *,
        hashes: bool,
    ) -> None:
        self._truth = truth
        self._connection: IndexConnection = truth.connection
        self._objects = objects
        self._is_named = is_named
        self._told = told
        self._hashes = hashes
        self.seen = ObjectsSeen()

    def look(self) -> ObjectsSeen:
        """Looks at all. OutOfResources: the object store does not answer."""
        for series_key, key, count, series_uid in self._settled():
            self._look_at(key, count, series_key, series_uid)
        for key, count in self._paged("former_object", "object_key", "object_key, instances"):
            self._look_at(key, count)
        self._look_at_places()
        for key in self._objects.all_keys():
            if not settled_rows.names_object(self._connection, key) and not self._is_named(key):
                self._look_at_untold(key)
        return self.seen

    def _settled(self) -> Iterator[tuple[Any, ...]]:
        for row in self._paged("series_object", "series_key", "series_key, object_key, instances"):
            (uid,) = self._connection.execute(
                "SELECT series_uid FROM series WHERE series_key = ?", (row[0],)
            ).fetchone()
            yield (*row, uid)

    def _paged(self, table: str, key: str, columns: str) -> Iterator[tuple[Any, ...]]:
        last: int = -1
        sql = f"SELECT {columns} FROM {table} WHERE {key} > ? ORDER BY {key} LIMIT {_PAGE}"  # noqa: S608 - constants
        while rows := self._connection.execute(sql, (last,)).fetchall():
            for row in rows:
                yield tuple(row)
            last = rows[-1][0]

    def _look_at(self, key: int, count: int, series_key: int = 0, series_uid: str = "") -> None:
        seen = self.seen
        seen.objects += 1
        seen.instances += count if series_key else 0
        if seen.objects % _LOOK_EVERY == 0:
            self._told(f"{seen.objects} series objects")
        try:
            manifest = self._objects.load(key)
            if len(manifest.rows) < count:
                raise DamagedData("it has fewer instances than are settled")
            if series_key and not self._fits(manifest, key, count, series_key, series_uid):
                seen.others.add(str(key))
            elif self._hashes:
                for number in self._objects.damaged_rows(key, manifest):
                    seen.rotten.add(manifest.row(number)["sop_uid"])
        except DamagedData as problem:
            if self._is_named(key) is not False:
                what = problem.detail.removeprefix(f"series object {key}: ")
                what = what.replace(f"series object {key}", "it")
                seen.unreadable.setdefault(what, Kind()).add(str(key))

    def _fits(self, manifest: Manifest, key: int, count: int, series_key: int, series_uid: str) -> bool:
        place = {name: number for number, name in enumerate(manifest.columns)}
        uid, sha256, length = place["sop_uid"], place["sha256"], place["length"]
        mark = sum_of((row[uid], row[sha256], row[length]) for row in manifest.rows[:count])
        return (
            manifest.object_key == key
            and manifest.series_uid == series_uid
            and mark == self._truth.marks.of(series_key)
        )

    def _look_at_places(self) -> None:
        """Rows of instances whose bytes lie in an object, which are few: what a steward had to change."""
        for table in ("instance", "original_body", "held"):
            columns = "sop_uid, segment, body_offset, length, sha256"
            sql = f"SELECT {columns} FROM {table} WHERE segment < 0 ORDER BY segment"  # noqa: S608 - constants
            of, places = 0, set[tuple[Any, ...]]()
            for uid, segment, *place in self._connection.execute(sql):
                if segment != of:
                    of, places = segment, self._places(-segment)
                if tuple(place) not in places and self._is_named(-segment) is not False:
                    self.seen.lost_places.add(uid)

    def _places(self, key: int) -> set[tuple[Any, ...]]:
        try:
            manifest = self._objects.load(key)
        except DamagedData:
            return set()
        rows = (manifest.row(number) for number in range(len(manifest.rows)))
        return {(row["body_offset"], row["length"], row["sha256"]) for row in rows}

    def _look_at_untold(self, key: int) -> None:
        try:
            manifest = self._objects.load(key)
        except DamagedData:
            self.seen.left_over.add(str(key))
            return
        uid = manifest.columns.index("sop_uid")
        is_untold = any(not self._knows(row[uid]) for row in manifest.rows)
        (self.seen.untold if is_untold else self.seen.left_over).add(str(key))

    def _knows(self, uid: str) -> bool:
        """Whether the journal tells of an instance, wherever it lies."""
        rows = self._connection.execute(
            "SELECT 1 FROM instance WHERE sop_uid = ?1 UNION ALL SELECT 1 FROM original_body WHERE sop_uid = ?1"
            " UNION ALL SELECT 1 FROM held WHERE sop_uid = ?1 LIMIT 1",
            (uid,),
        )
        return rows.fetchone() is not None or bool(settled_uids.candidates(self._connection, uid))
