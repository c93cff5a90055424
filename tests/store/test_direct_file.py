"""What is written past the page cache is what was asked for, wherever the writes begin and end."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samsyn.store import direct_file
from samsyn.store.direct_file import DirectFile, block_border


@given(
    st.lists(
        st.lists(st.integers(0, 9000) | st.sampled_from([4096, 8192]), min_size=1, max_size=4),
        min_size=1,
        max_size=6,
    ),
    st.booleans(),
)
def test_the_file_holds_every_part_in_order_and_zeros_to_the_next_block(
    tmp_path_factory: pytest.TempPathFactory, writes: list[list[int]], again: bool
) -> None:
    path = tmp_path_factory.mktemp("direct") / "file"
    path.touch()
    file = DirectFile(path)
    expected = b""
    for number, lengths in enumerate(writes):
        parts = [os.urandom(length) for length in lengths]
        assert file.write(parts, len(expected)) == sum(lengths)
        expected += b"".join(parts)
        if again and number == len(writes) // 2:
            file.close()
            file = DirectFile(path)
    file.sync()
    assert path.read_bytes() == expected.ljust(block_border(len(expected)), b"\0")
    file.cut(len(expected))
    assert path.read_bytes() == expected
    file.close()


def test_more_than_the_buffer_holds_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    file = DirectFile(path)
    large = os.urandom(direct_file._BUFFER_BYTES * 2 + 77)
    file.write([b"first", large, b"last"], 0)
    file.close()
    assert path.read_bytes().rstrip(b"\0") == b"first" + large + b"last"


def test_a_write_after_a_cut_begins_with_what_the_file_holds(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    file = DirectFile(path)
    file.write([b"a" * 5000], 0)
    file.cut(4500)
    file.write([b"b" * 10], 4500)
    file.close()
    assert path.read_bytes().rstrip(b"\0") == b"a" * 4500 + b"b" * 10


def test_zeros_ahead_leave_the_last_block_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    file = DirectFile(path)
    file.write([b"a" * 5000], 0)
    assert file.write_zeros(block_border(5000), 8192) == 8192
    file.write([b"b" * 5000], 5000)
    assert file.size == 16384
    file.close()
    assert path.read_bytes() == (b"a" * 5000 + b"b" * 5000).ljust(16384, b"\0")


def test_a_file_system_without_direct_writes_takes_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def refusing(path: Path, flags: int) -> int:
        if flags & os.O_DIRECT:
            raise OSError(errno.EINVAL, "Invalid argument")
        return opened(path, flags)

    path = tmp_path / "file"
    path.touch()
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refusing)
        file = DirectFile(path)
    file.write([b"a" * 5000], 0)
    file.close()
    assert path.read_bytes().rstrip(b"\0") == b"a" * 5000
