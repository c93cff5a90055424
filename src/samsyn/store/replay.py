"""From journal to index: what was synced but not applied is applied; and the whole index made anew."""

from bisect import bisect_right
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from samsyn.errors import DamagedData
from samsyn.store import records
from samsyn.store.batch import Batch
from samsyn.store.index.operations import Operation
from samsyn.store.index.port import FAULTS, Index, IndexConnection, Reached
from samsyn.store.index.progress import last_keys, replayed_until
from samsyn.store.index.sqlite import SqliteIndex
from samsyn.store.journal import Journal, ReplayedRecord
from samsyn.store.journal_port import AnyJournal
from samsyn.store.objects.port import Objects
from samsyn.store.objects.series_objects import SeriesObjects
from samsyn.store.places import OwnJournal, open_places

_COMMIT_EVERY = 10_000
_ADD_EVERY = 250
"""Records whose rows wait to be added together, where that is cheaper; a part of those between two commits."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a rebuild has come."""

    segment: int
    segments: int
    offset: int
    """Bytes of this segment that are done."""
    size: int
    records: int
    damaged: int
    """Bodies so far whose bytes have not their hash any more."""


Told = Callable[[Progress], None]


def bring_up_to_date(
    index: Index,
    connection: IndexConnection,
    journal: AnyJournal,
    keeps_damage: bool = False,
    told: Told | None = None,
) -> tuple[int, int]:
    """Applies every record that the index lacks; (records, damaged bodies that are marked in the end).

    A damaged body stops it with DamagedData, unless `keeps_damage`: then its rows are made, and it is marked in
    the table `damage`. A body that was given back when its series was settled is no damage: its mark goes with the
    record that settled it. A damaged header always stops it, since nobody knows what it said, and so does a gap in
    the numbers: a segment that is gone.
    """
    segments: list[int] = []
    records = damaged = 0
    reached = index.begin(connection, index.reached(connection))
    batch = Batch(connection, connection.together)
    for record in journal.replay(reached.place, reached.sequence):
        if record.header.sequence != reached.sequence + 1:
            raise DamagedData(
                f"records {reached.sequence + 1} to {record.header.sequence - 1} are missing in the journal before"
                f" segment {record.begins.segment}: put the segment back that holds them"
            )
        if not record.body_is_whole:
            if not keeps_damage and not journal.is_given_back(record):
                segment, offset, _ = record.body_place
                raise DamagedData(
                    f"journal segment {segment} is damaged at {offset}; `samsyn index rebuild` goes on past it"
                )
            damaged += 1
        apply(batch, record)
        records += 1
        if records % _ADD_EVERY == 0:
            batch.flush()
        header = record.header
        reached = Reached(record.ends, header.sequence, reached.keys, max(header.time, reached.time))
        if records % _COMMIT_EVERY == 0:
            index.commit(connection, reached)
            if told is not None:
                segments = segments or journal.segments  # only now: to an object store it is many questions
                told(_progress(journal, segments, record, records, damaged))
            index.tidy_as_writer(connection)
            reached = index.begin(connection, reached)
    batch.flush()
    index.commit(connection, replace(reached, keys=last_keys(connection)) if records else None)
    return records, connection.execute("SELECT COUNT(*) FROM damage").fetchone()[0]


def check_reach(reached: Reached, journal: AnyJournal) -> None:
    """DamagedData: the index has records that the journal has not, so that acknowledged ones are gone: it was cut off,
    or an older copy of it was put back. Whatever came next would be written where the index believes them."""
    end, known = journal.end, reached.place
    is_short = (end.segment, end.offset) < (known.segment, known.offset)
    read = partial(journal.read, known.segment)
    # A file may be longer than its records: a copy that was made at work has what was prepared behind them.
    if is_short or (reached.sequence and not records.ends_there(read, known.offset, reached.sequence)):
        found = "the journal is an older or another one"
        if is_short:
            found = f"the journal ends at byte {end.offset} of segment {end.segment}"
        raise DamagedData(
            f"{found}, but {reached.sequence} records up to byte {known.offset} of segment {known.segment} were stored:"
            " put the missing part back from the second copy or the back-up. To go on without it, move index.sqlite"
            " away and run `samsyn index rebuild`"
        )


def _progress(
    journal: AnyJournal, segments: list[int], record: ReplayedRecord, records: int, damaged: int
) -> Progress:
    segment, offset = record.ends.segment, record.ends.offset
    place = bisect_right(segments, segment)
    return Progress(place, len(segments), offset, journal.end_of(segment), records, damaged)


def apply(batch: Batch, record: ReplayedRecord) -> None:
    """Makes a record's changes; a body that is not whole is marked in the table `damage`."""
    place = record.body_place
    for operation in record.header.operations:
        batch.change(operation, place)
        if operation[0] == "b" and not record.body_is_whole:
            batch.change(mark_of(record, operation, record.header.time), place)


def mark_of(record: ReplayedRecord, operation: Operation, found: str) -> Operation:
    """The row operation that marks a record's body as damaged; `operation` is the one that made the body's row."""
    segment, offset, length = record.body_place
    table, values = operation[1], operation[2]
    row = {
        "segment": segment,
        "body_offset": offset,
        "length": length,
        "sha256": record.header.sha256,
        "owner": table,
        "reference": str(next(iter(values.values()))),
        "found": found,
    }
    return ["r", "damage", row]


def rebuild(
    folder: Path,
    second_copy: Path | None = None,
    told: Told | None = None,
    index: Index | None = None,
    remote: Objects | None = None,
    own: OwnJournal | None = None,
) -> tuple[int, int]:
    """Makes the index of a data folder anew from its journal; (records, damaged bodies, which it marks).

    The caller holds the folder's lock. `index`: None = the folder's own file. The old index stays until the new one
    is whole and durable. DamagedData: a record's header is broken, or the old index has more than the journal
    (`check_reach`); the old index is left as it was.
    """
    kind = index or SqliteIndex(folder / "index.sqlite")
    places = open_places(folder, second_copy, remote, own)
    try:
        if isinstance(places.journal, Journal) and kind.follows_journal:
            known = _reached_before(kind, places.series)
            if known is not None:
                check_reach(known, places.journal)
                places.journal.stands_until(known.place)
        return kind.make_anew(
            places.series,
            lambda connection: bring_up_to_date(
                kind, connection, places.journal, keeps_damage=True, told=told
            ),
        )
    finally:
        places.close()


def _reached_before(index: Index, series: SeriesObjects) -> Reached | None:
    """How far the old index has come, of whatever version; None where there is none, or one that can not be read."""
    try:
        if not index.is_there():
            return None
        with closing(index.open_reader(series)) as connection:
            place, sequence = replayed_until(connection)
            return Reached(place, sequence, {}, "")
    except FAULTS:
        return None
