"""Which stored bytes are known to be damaged: no read touches them until they are mended."""

from dataclasses import dataclass
from threading import Lock

from samsyn.errors import DamagedData
from samsyn.store.index.port import IndexConnection


@dataclass(frozen=True, slots=True)
class DamagedBody:
    """A body whose bytes have not their hash any more, as the index marks it."""

    segment: int
    offset: int
    length: int
    sha256: str
    owner: str
    reference: str


class DamagedPlaces:
    """The marked bodies, for a look before every read: nothing is asked of the index, and nothing costs when none is
    marked. Changed by one thread at a time, asked by any."""

    def __init__(self, bodies: list[DamagedBody]) -> None:
        self._lock = Lock()
        self._by_segment: dict[int, tuple[tuple[int, int], ...]] = {}
        for body in bodies:
            self.add(body.segment, body.offset, body.length)

    def __len__(self) -> int:
        return sum(len(places) for places in self._by_segment.values())

    def replace(self, bodies: list[DamagedBody]) -> None:
        """From now on exactly these are marked."""
        fresh = DamagedPlaces(bodies)
        with self._lock:
            self._by_segment = fresh._by_segment

    def add(self, segment: int, offset: int, length: int) -> None:
        """From now on reads of these bytes are refused."""
        with self._lock:
            places = {*self._by_segment.get(segment, ()), (offset, offset + length)}
            self._by_segment[segment] = tuple(sorted(places))

    def remove(self, segment: int, offset: int, length: int) -> None:
        """The bytes are good again."""
        with self._lock:
            places = tuple(
                place for place in self._by_segment.get(segment, ()) if place != (offset, offset + length)
            )
            if places:
                self._by_segment[segment] = places
            else:
                self._by_segment.pop(segment, None)

    def has(self, segment: int, offset: int, length: int) -> bool:
        """Whether exactly this body is marked."""
        return (offset, offset + length) in self._by_segment.get(segment, ())

    def refuse(self, segment: int, offset: int, length: int) -> None:
        """DamagedData when any of these bytes belongs to a marked body."""
        for begins, ends in self._by_segment.get(segment, ()):
            if offset < ends and begins < offset + max(length, 1):
                raise DamagedData(f"segment {segment} is marked as damaged at {begins}")


def marked(connection: IndexConnection) -> list[DamagedBody]:
    """Every mark of the index."""
    rows = connection.execute(
        "SELECT segment, body_offset, length, sha256, owner, reference FROM damage ORDER BY segment, body_offset"
    )
    return [DamagedBody(*row) for row in rows]


def marked_in(connection: IndexConnection, segment: int) -> list[DamagedBody]:
    """The marks of one segment, or of one series object."""
    return [body for body in marked(connection) if body.segment == segment]
