"""Seals: what is read has its hash, or is not read."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samsyn import limits
from samsyn.errors import DamagedData
from samsyn.store.objects import sealed
from samsyn.store.objects.folder import FolderObjects
from samsyn.store.objects.sealed import SealedObjects

BLOCK = 256 * limits.KIB


@given(st.integers(0, 5 * BLOCK) | st.sampled_from([0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 4 * BLOCK]))
def test_the_length_follows_from_the_sealed_size(length: int) -> None:
    pieces = [bytes(length)]
    assert sealed.length_of(length + len(sealed.seal(pieces))) == length


@given(st.integers(0, 200))
def test_what_is_too_short_for_its_seal_is_damage(size: int) -> None:
    try:
        length = sealed.length_of(size)
    except DamagedData:
        return
    assert length + len(sealed.seal([bytes(length)])) == size


def test_how_the_pieces_were_cut_does_not_matter() -> None:
    data = random.Random(1).randbytes(3 * BLOCK + 5)
    for cut in (1, BLOCK - 1, BLOCK, 2 * BLOCK + 7):
        assert sealed.seal([data[:cut], data[cut:]]) == sealed.seal([data])


def test_one_bit_anywhere_is_found_and_the_other_blocks_are_still_read(tmp_path: Path) -> None:
    data = random.Random(2).randbytes(3 * BLOCK + 500)
    whole = data + sealed.seal([data])
    places = [0, BLOCK, 2 * BLOCK - 1, len(data) - 1, len(data), len(whole) - 1]
    for number, place in enumerate(places):
        plain = FolderObjects(tmp_path / str(number))
        rotten = bytearray(whole)
        rotten[place] ^= 4
        plain.put_new("objects/1", [rotten])
        objects = SealedObjects(plain, 0)
        with pytest.raises(DamagedData):
            objects.read("objects/1", 0, len(data))
        if place < len(data):
            other = (place // BLOCK + 1) % 3
            assert objects.read("objects/1", other * BLOCK, 10) == data[other * BLOCK : other * BLOCK + 10]


def test_blocks_are_kept_within_their_bound_and_read_once(tmp_path: Path) -> None:
    plain = FolderObjects(tmp_path)
    objects = SealedObjects(plain, 8 * BLOCK)
    for number in range(12):
        objects.put_new(f"objects/{number}", [bytes((number,)) * BLOCK])
    for number in range(12):
        assert objects.read(f"objects/{number}", 5, 5) == bytes((number,)) * 5
        assert objects.kept_bytes <= 8 * BLOCK
    (tmp_path / "objects/11").unlink()
    assert objects.read("objects/11", 100, 3) == bytes((11,)) * 3
    objects.forget("objects/11")
    with pytest.raises(DamagedData):
        objects.read("objects/11", 100, 3)
