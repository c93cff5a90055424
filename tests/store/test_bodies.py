"""Several bodies at once: whatever lies between them, each is what was stored, and a fault costs only its own."""

from pathlib import Path

from samsyn.errors import DamagedData
from samsyn.model.imaging import BodyLocation
from tests.store.test_store import add_message, opened


async def test_bodies_are_the_same_together_as_one_by_one(tmp_path: Path) -> None:
    store = opened(tmp_path)
    sizes = (10, 300_000, 7, 20_000, 1, 17_000, 5)
    for number, size in enumerate(sizes):
        await store.commit(add_message(str(number)), bytes([number]) * size)
    found = store.peek(
        lambda connection: connection.execute(
            "SELECT segment, body_offset, length FROM message ORDER BY message_key"
        ).fetchall()
    )
    places = [BodyLocation(row[0], row[1], row[2]) for row in found]
    for order in (places, places[::-1], places[::2], [places[3], places[3], places[0]]):
        together = store.bodies(order)
        assert together == [store.body(place.segment, place.offset, place.length) for place in order]
    store.close()


async def test_a_body_that_can_not_be_read_costs_only_itself(tmp_path: Path) -> None:
    store = opened(tmp_path)
    await store.commit(add_message("1"), b"whole")
    row = store.peek(
        lambda connection: connection.execute("SELECT segment, body_offset, length FROM message").fetchone()
    )
    place = BodyLocation(row[0], row[1], row[2])
    lost = BodyLocation(place.segment, place.offset + 10_000, 1 << 24)
    gone = BodyLocation(77, 0, 5)
    found = store.bodies([place, lost, gone, place])
    assert (found[0], found[3]) == (b"whole", b"whole")
    assert isinstance(found[1], DamagedData)
    assert isinstance(found[2], DamagedData)
    store.close()
