"""Documents that are kept with their marks: whatever lies where, they leave as if the text had been put in."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from samsyn.errors import DamagedData
from samsyn.store import marked
from samsyn.store.marked import WINDOW_BYTES

MARK = b"samsyn-base:"
MADE_OF = bytes(range(16))
TEXT = b"https://images.example/dicomweb"


async def sent(document: marked.Marked) -> bytes:
    with ThreadPoolExecutor(1) as executor:
        return b"".join([bytes(each) async for some in document.pieces(TEXT, executor) for each in some])


def kept(folder: Path, document: bytes) -> Path:
    path = folder / "1-1.marked"
    path.write_bytes(marked.with_table(document, MARK, MADE_OF))
    return path


@pytest.mark.parametrize(
    "document",
    [
        b"",
        MARK,
        b"no mark",
        MARK * 3,
        b"x" * WINDOW_BYTES,
        b"x" * (WINDOW_BYTES + 1),
        *(
            b"x" * (WINDOW_BYTES - before) + MARK + b"y" * WINDOW_BYTES + MARK
            for before in range(len(MARK) + 2)
        ),
        (b"x" * 4_000 + MARK) * 400,
    ],
    ids=len,
)
def test_a_document_leaves_with_the_text_in_place_of_each_mark(tmp_path: Path, document: bytes) -> None:
    path = kept(tmp_path, document)
    found = marked.looked_up(path, MARK)
    wanted = document.replace(MARK, TEXT)
    assert asyncio.run(sent(found)) == wanted
    assert found.length_with(TEXT) == len(wanted)
    assert found.made_of == MADE_OF
    assert marked.read(path) == document


def test_a_file_that_is_not_whole_is_not_taken(tmp_path: Path) -> None:
    path = kept(tmp_path, b"a" + MARK + b"b")
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DamagedData):
            marked.looked_up(path, MARK)


def test_what_was_replaced_meanwhile_does_not_leave(tmp_path: Path) -> None:
    found = marked.looked_up(kept(tmp_path, b"a" + MARK), MARK)
    other = tmp_path / "other"
    other.write_bytes(marked.with_table(b"c" + MARK, MARK, MADE_OF))
    other.replace(found.path)
    with pytest.raises(DamagedData):
        asyncio.run(sent(found))


def test_a_mark_that_has_rotted_does_not_leave(tmp_path: Path) -> None:
    path = kept(tmp_path, b"a" + MARK + b"b")
    path.write_bytes(path.read_bytes().replace(MARK, b"samsyn-bas*:"))
    with pytest.raises(DamagedData):
        asyncio.run(sent(marked.looked_up(path, MARK)))
