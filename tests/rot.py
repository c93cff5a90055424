"""Bytes on disk that change under the store, as on a dying disk."""

from pathlib import Path

from samsyn.store.store import Store


def rot(store: Store, segment: int, offset: int) -> None:
    """Turns bits of one byte of a journal segment round.

    The journal's writer keeps the last block in memory and would write it over rot there: it is told to forget it,
    as it has when the store has gone on.
    """
    path: Path = store.folder / "journal" / f"{segment:08d}.journal"
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 0x11]))
    writer = store.journal._writer
    writer.cut(writer.size)
