"""Objects that leave one by one: the right bytes in order, whether they lie in memory or not, as long as shown."""

import asyncio
from collections.abc import Sequence
from itertools import product

import pytest

from samsyn.access.view import View
from samsyn.errors import DamagedData, NotFound
from samsyn.model.imaging import BodyLocation, StoredInstance
from samsyn.retrieve import read_ahead
from samsyn.retrieve.read_ahead import ReadAhead
from tests.dicomweb.house import House, data_set, image, image_file, store, subject_like
from tests.dicomweb.test_rejection import note_file, send
from tests.rot import rot

_COUNT = 4


async def filled(house: House) -> tuple[View, Sequence[StoredInstance]]:
    async with house.client() as client:
        await store(client, [image_file(number) for number in range(1, _COUNT + 1)])
    view = await house.gatekeeper.open_view(subject_like(house, "NORDWEB"))
    instances = await house.retriever.instances(view, "2.25.10")
    assert len(instances) == _COUNT
    return view, instances


def into_memory(house: House, instances: Sequence[StoredInstance]) -> None:
    """What has just been written went past the page cache, with its neighbours in the same pages."""
    for instance in instances:
        house.store.body(instance.location.segment, instance.location.offset, instance.location.length)


def out_of_memory(house: House, monkeypatch: pytest.MonkeyPatch, gone: set[int]) -> list[int]:
    """Objects whose bytes begin there are not at hand; where those were read that the loop has read itself."""
    ask, read = house.store.body_at_hand, []

    def at_hand(place: BodyLocation) -> memoryview | None:
        if place.offset in gone:
            return None
        read.append(place.offset)
        return ask(place)

    monkeypatch.setattr(house.store, "body_at_hand", at_hand)
    return read


@pytest.mark.parametrize("absent", list(product([False, True], repeat=_COUNT)))
@pytest.mark.parametrize("in_group", [1, 2, _COUNT])
@pytest.mark.parametrize("left_out", [None, 1])
async def test_each_is_given_byte_for_byte_in_order(
    house: House,
    monkeypatch: pytest.MonkeyPatch,
    absent: tuple[bool, ...],
    in_group: int,
    left_out: int | None,
) -> None:
    view, instances = await filled(house)
    monkeypatch.setattr(read_ahead, "GROUP_BYTES", instances[0].location.length * in_group)
    gone = {each.location.offset for each, is_gone in zip(instances, absent, strict=True) if is_gone}
    into_memory(house, instances)
    out_of_memory(house, monkeypatch, gone)
    async with ReadAhead(house.retriever, view, instances) as ahead:
        assert [len(group) for group in ahead.groups] == [in_group] * (_COUNT // in_group)
        for number, instance in enumerate(instances):
            if number != left_out:
                expected = data_set(image(int(instance.sop_instance_uid.rpartition(".")[2]) - 1000))
                assert await ahead.leaving(instance) == expected
                await asyncio.sleep(0)


async def test_what_lies_in_memory_is_read_when_it_is_its_turn_and_no_earlier(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    view, instances = await filled(house)
    into_memory(house, instances)
    read = out_of_memory(house, monkeypatch, set())
    async with ReadAhead(house.retriever, view, instances) as ahead:
        for number, instance in enumerate(instances, 1):
            await ahead.leaving(instance)
            assert len(read) == number
            assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("is_at_hand", [True, False])
async def test_what_is_rejected_meanwhile_does_not_leave(
    house: House, monkeypatch: pytest.MonkeyPatch, is_at_hand: bool
) -> None:
    view, instances = await filled(house)
    monkeypatch.setattr(read_ahead, "GROUP_BYTES", instances[0].location.length * 2)
    into_memory(house, instances)
    if not is_at_hand:
        out_of_memory(house, monkeypatch, {each.location.offset for each in instances})
    async with ReadAhead(house.retriever, view, instances[::2] + instances[1::2]) as ahead:
        await ahead.leaving(instances[0])
        await ahead.leaving(instances[2])
        await send(house, note_file([instances[3].sop_instance_uid]))
        into_memory(house, instances)
        if not is_at_hand:
            await ahead.__aexit__()  # else the second group was read before the note came
        await ahead.leaving(instances[1])
        with pytest.raises(NotFound):
            await ahead.leaving(instances[3])


@pytest.mark.parametrize("is_at_hand", [True, False])
async def test_a_damaged_one_is_told_and_the_others_are_given(
    house: House, monkeypatch: pytest.MonkeyPatch, is_at_hand: bool
) -> None:
    view, instances = await filled(house)
    place = instances[1].location
    rot(house.store, place.segment, place.offset + place.length - 3)
    into_memory(house, instances)
    if not is_at_hand:
        out_of_memory(house, monkeypatch, {each.location.offset for each in instances})
    given = []
    async with ReadAhead(house.retriever, view, instances) as ahead:
        for instance in instances:
            try:
                left = await ahead.leaving(instance)
                assert isinstance(left, memoryview)
                given.append(bytes(left))
            except DamagedData:
                given.append(b"")
    assert [bool(each) for each in given] == [True, False, True, True]
