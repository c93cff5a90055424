"""What starts have cut off from the journal and kept beside it: files for somebody to look at, and then to move away.

A start cuts off a torn end; where it can not tell whether a crash has torn it or the disk has rotted what was already
acknowledged, or another node has overtaken it, the bytes are kept (Journal._is_torn, Journal.cut_behind).
"""

from pathlib import Path
from typing import Final

SUFFIX: Final = ".cut-off"


def kept_aside(data_folder: Path) -> tuple[Path, ...]:
    """The files in the data folder's journal, by name. Reads the whole folder: for starts and checks."""
    return tuple(sorted((data_folder / "journal").glob(f"*{SUFFIX}")))
