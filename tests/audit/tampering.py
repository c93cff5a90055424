"""An attacker who knows the format: every way to change an audit journal that we could think of.

Works on a small data folder of audit entries only, some segments long. Each way gets a copy of it and chance.
"""

import random
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from samsyn.audit import journal
from samsyn.audit.anchors import Anchor
from samsyn.audit.chain import FIRST_HASH, chained_hash
from samsyn.audit.proof import prove
from samsyn.clock import SystemClock
from samsyn.model.audit import AuditEntry
from samsyn.store.records import FRAME, decode_frame, encode_frame
from tests.indexes import forget_index, make_store

Record = dict[str, Any]


def entry(number: int) -> AuditEntry:
    return AuditEntry(
        event="OPEN_IMAGES",
        activity="Läsa",
        actor=f"SE9990000001-{number % 7:04d}",
        actor_provider="SE9990000001-0001",
        actor_unit="SE9990000001-0002",
        assignment="SE9990000001-5001",
        purpose="Vård och behandling",
        session_id=f"s{number % 5}",
        patient_key=number % 3,
        owner_provider="SE9990000002-0001",
        owner_unit="SE9990000002-0002",
        allowed=True,
        details={"of": f"2.25.{number}", "rule": "consent"},
    )


async def fill(folder: Path, first: int, count: int) -> None:
    """Adds entries as the house does: some records with one, some with several."""
    store = make_store(folder, SystemClock())
    store.start()
    number = first
    while number < first + count:
        several = min(1 + number % 3, first + count - number)
        await journal.write(store, *(entry(each) for each in range(number, number + several)))
        number += several
    store.close()


def anchor_of(folder: Path) -> Anchor:
    """What `samsyn audit anchor` would tell now."""
    proof = prove(folder, [])
    assert not proof.findings
    return Anchor(proof.journal, proof.entries, "2026-01-01T00:00:00+00:00", proof.head)


@dataclass
class Scene:
    """What is attacked: the folder as it is now, a whole older copy of it, and the anchor of back then."""

    present: Path
    older: Path
    early: Anchor
    newest: Anchor


# -- the attacker's tools -----------------------------------------------------------------------------------


def segments(folder: Path) -> list[Path]:
    return sorted((folder / "journal").glob("*.journal"))


def load(path: Path) -> list[tuple[bytes, Record]]:
    """(the record's bytes, its header) of a segment."""
    data, found, offset = path.read_bytes(), [], 0
    while offset < len(data):
        frame = decode_frame(data[offset : offset + FRAME.size])
        assert frame is not None
        end = offset + FRAME.size + frame[0] + frame[1]
        found.append((data[offset:end], orjson.loads(data[end - frame[0] : end])))
        offset = end
    return found


def packed(header: Record) -> bytes:
    data = orjson.dumps(header)
    return encode_frame(data, 0) + data


def headers(folder: Path) -> list[Record]:
    return [header for path in segments(folder) for _, header in load(path)]


def rewrite(folder: Path, records: list[Record], *, rechain: bool, index: bool) -> None:
    """Puts these records into one segment, numbered anew, with the chain computed anew if wanted; index alike."""
    for path in segments(folder):
        path.unlink()
    previous, sequence = FIRST_HASH, 0
    for place, header in enumerate(records, start=1):
        header["n"] = place
        for operation in header["o"]:
            if rechain and operation[1] == "audit" and operation[0] == "i":
                sequence += 1
                row = operation[2]
                row["sequence"] = sequence
                row["hash"] = previous = chained_hash(previous, row)
    (folder / "journal" / "00000001.journal").write_bytes(b"".join(packed(header) for header in records))
    if index:
        forget_index(folder)
        again = make_store(folder, SystemClock())
        again.start()  # makes the index from the journal
        again.close()


def in_index(folder: Path, *statements: str) -> None:
    connection = sqlite3.connect(folder / "index.sqlite")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def pick(folder: Path, chance: random.Random) -> tuple[Path, list[tuple[bytes, Record]], int]:
    path = chance.choice(segments(folder))
    records = load(path)
    return path, records, chance.randrange(len(records))


def change(row: Record, chance: random.Random) -> None:
    column = chance.choice(["time", "actor", "purpose", "patient_key", "allowed", "details", "activity"])
    row[column] = {"patient_key": 99, "allowed": 0}.get(column, "anything else")


# -- the ways -----------------------------------------------------------------------------------------------


def flip_a_bit(scene: Scene, chance: random.Random) -> None:
    path = chance.choice(segments(scene.present))
    data = bytearray(path.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def remove_a_record(scene: Scene, chance: random.Random) -> None:
    path, records, place = pick(scene.present, chance)
    del records[place]
    path.write_bytes(b"".join(data for data, _ in records))


def remove_a_record_and_number_anew(scene: Scene, chance: random.Random) -> None:
    records = headers(scene.present)
    del records[chance.randrange(len(records))]
    rewrite(scene.present, records, rechain=False, index=chance.random() < 0.5)


def swap_two_records(scene: Scene, chance: random.Random) -> None:
    records = headers(scene.present)
    one, other = chance.sample(range(len(records)), 2)
    records[one], records[other] = records[other], records[one]
    rewrite(scene.present, records, rechain=False, index=False)


def swap_two_entries(scene: Scene, chance: random.Random) -> None:
    rows = [operation for header in headers(scene.present) for operation in header["o"]]
    one, other = chance.sample(range(len(rows)), 2)
    records = headers(scene.present)
    mine = [operation for header in records for operation in header["o"]]
    mine[one][2], mine[other][2] = mine[other][2], mine[one][2]
    rewrite(scene.present, records, rechain=False, index=False)


def repeat_a_record(scene: Scene, chance: random.Random) -> None:
    path, records, place = pick(scene.present, chance)
    records.insert(place, records[place])
    path.write_bytes(b"".join(data for data, _ in records))


def cut_at_a_record(scene: Scene, chance: random.Random) -> None:
    """As after a clean stop; every file behind it is gone as well."""
    paths = segments(scene.present)
    place = chance.randrange(len(paths))
    records = load(paths[place])
    keep = chance.randrange(len(records))
    paths[place].write_bytes(b"".join(data for data, _ in records[:keep]))
    for path in paths[place + 1 :]:
        path.unlink()


def cut_anywhere(scene: Scene, chance: random.Random) -> None:
    path = chance.choice(segments(scene.present))
    data = path.read_bytes()
    path.write_bytes(data[: chance.randrange(len(data))])


def cut_and_rebuild_the_index(scene: Scene, chance: random.Random) -> None:
    """What is left fits in every way but the anchor."""
    records = headers(scene.present)
    rewrite(scene.present, records[: chance.randrange(1, len(records))], rechain=False, index=True)


def zero_the_end(scene: Scene, chance: random.Random) -> None:
    """Zeros look like pages that the service prepared."""
    path = segments(scene.present)[-1]
    records = load(path)
    keep = b"".join(data for data, _ in records[: chance.randrange(len(records))])
    path.write_bytes(keep.ljust(path.stat().st_size, b"\0"))


def lose_a_file(scene: Scene, chance: random.Random) -> None:
    chance.choice(segments(scene.present)).unlink()


def put_an_older_copy_back(scene: Scene, chance: random.Random) -> None:
    shutil.rmtree(scene.present)
    shutil.copytree(scene.older, scene.present)


def put_an_older_file_back(scene: Scene, chance: random.Random) -> None:
    path = segments(scene.older)[-1]
    shutil.copy(path, scene.present / "journal" / path.name)


def write_anew_after_the_anchor(scene: Scene, chance: random.Random) -> None:
    """Everything fits itself: numbers, checksums, chain, index; and the older anchor too."""
    records = headers(scene.present)
    rows = [operation[2] for header in records for operation in header["o"]]
    change(rows[chance.randrange(scene.early.sequence, len(rows))], chance)
    rewrite(scene.present, records, rechain=True, index=True)


def write_anew_and_longer(scene: Scene, chance: random.Random) -> None:
    """Entries taken out after the older anchor, and others added until the number is what it was, or more."""
    records = headers(scene.present)
    place = next(i for i, each in enumerate(records) if each["o"][0][2]["sequence"] > scene.early.sequence)
    del records[chance.randrange(place, len(records))]
    for _ in range(chance.randrange(4, 9)):
        records.append(orjson.loads(orjson.dumps(records[-1])))
    rewrite(scene.present, records, rechain=True, index=True)


def write_everything_anew(scene: Scene, chance: random.Random) -> None:
    records = headers(scene.present)
    change(records[chance.randrange(len(records))]["o"][0][2], chance)
    rewrite(scene.present, records, rechain=True, index=True)


def change_a_field(scene: Scene, chance: random.Random) -> None:
    records = headers(scene.present)
    change(chance.choice(chance.choice(records)["o"])[2], chance)
    rewrite(scene.present, records, rechain=False, index=chance.random() < 0.5)


def add_a_change_of_an_entry(scene: Scene, chance: random.Random) -> None:
    """The entry stays as it was, and a later record changes it in the index."""
    records = headers(scene.present)
    target = {"sequence": chance.randrange(1, scene.newest.sequence)}
    operation = chance.choice(
        [
            ["u", "audit", target, {"actor": "nobody"}],
            ["d", "audit", target],
            ["+", "audit", target, {"allowed": -1}],
        ]
    )
    records[-1]["o"].append(operation)
    rewrite(scene.present, records, rechain=False, index=True)


def add_a_column(scene: Scene, chance: random.Random) -> None:
    """A field that the hash does not cover."""
    records = headers(scene.present)
    chance.choice(records)["o"][0][2]["more"] = "x"
    rewrite(scene.present, records, rechain=False, index=False)


def insert_a_record(scene: Scene, chance: random.Random) -> None:
    records = headers(scene.present)
    forged = orjson.loads(orjson.dumps(chance.choice(records)))
    change(forged["o"][0][2], chance)
    records.insert(chance.randrange(len(records)), forged)
    rewrite(scene.present, records, rechain=False, index=False)


def change_a_row_of_the_index(scene: Scene, chance: random.Random) -> None:
    column = chance.choice(["actor", "patient_key", "time", "details", "allowed", "hash", "owner_unit"])
    place = chance.randint(1, scene.newest.sequence)
    in_index(scene.present, f"UPDATE audit SET {column} = 7 WHERE sequence = {place}")


def remove_rows_of_the_index(scene: Scene, chance: random.Random) -> None:
    place = chance.randint(1, scene.newest.sequence)
    last = chance.choice([place, scene.newest.sequence])
    in_index(scene.present, f"DELETE FROM audit WHERE sequence BETWEEN {place} AND {last}")


def swap_rows_of_the_index(scene: Scene, chance: random.Random) -> None:
    one, other = chance.sample(range(1, scene.newest.sequence + 1), 2)
    in_index(
        scene.present,
        f"UPDATE audit SET sequence = -1 WHERE sequence = {one}",
        f"UPDATE audit SET sequence = {one} WHERE sequence = {other}",
        f"UPDATE audit SET sequence = {other} WHERE sequence = -1",
    )


def add_a_row_to_the_index(scene: Scene, chance: random.Random) -> None:
    beyond = scene.newest.sequence + chance.randint(1, 3)
    in_index(
        scene.present,
        f"INSERT INTO audit SELECT {beyond}, time, event, activity, actor, actor_provider, actor_unit, assignment,"
        " purpose, session_id, patient_key, owner_provider, owner_unit, allowed, details, hash FROM audit"
        f" WHERE sequence = {chance.randint(1, scene.newest.sequence)}",
    )


WAYS: tuple[Callable[[Scene, random.Random], None], ...] = (
    flip_a_bit,
    remove_a_record,
    remove_a_record_and_number_anew,
    swap_two_records,
    swap_two_entries,
    repeat_a_record,
    cut_at_a_record,
    cut_anywhere,
    cut_and_rebuild_the_index,
    zero_the_end,
    lose_a_file,
    put_an_older_copy_back,
    put_an_older_file_back,
    write_anew_after_the_anchor,
    write_anew_and_longer,
    write_everything_anew,
    change_a_field,
    add_a_change_of_an_entry,
    add_a_column,
    insert_a_record,
    change_a_row_of_the_index,
    remove_rows_of_the_index,
    swap_rows_of_the_index,
    add_a_row_to_the_index,
)
