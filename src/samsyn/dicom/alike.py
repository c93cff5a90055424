"""What the data sets of one source have in common, so that the next one like them is read faster.

The headers of a series differ in a few values; tags, VRs, lengths and whole sequences stay the same. Elements that were
read one by one before make a *run*: in the next data set what tells their structure is compared all together, and where
every byte is the same its elements are read. One that comes with another structure leaves its run, and is read by
itself from then on. So a run never accepts what the walk would refuse, and what is found does not depend on what came
before.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Found: TypeAlias = dict[int, bytes | memoryview]
"""Raw values by tag."""

_LEAST_ELEMENTS: Final = 6
"""To compare a run costs as much as reading so many elements one by one."""
_MOST_ELEMENTS: Final = 500
_MOST_STRUCTURE_BYTES: Final = 16 * 1024
"""Of a data set that are learned. A byte of structure takes ten, so with the texts all stays under 0.4 MiB."""
MAX_ALIKE_BYTES: Final = 1_024
"""Of an element in a run, since the bytes of a run are copied; and of a value whose text is kept."""
_MOST_LESSONS: Final = 4
"""A source whose data sets have nothing in common is not learned again and again."""


class Element(NamedTuple):
    """One element of the top level."""

    key: int
    """Its tag as a little endian number reads it."""
    structure: bytes
    """Its header, or all of a sequence."""
    size: int
    """Bytes of header and value."""
    tag: int
    """0 = nobody wants its value."""
    value_at: int
    """Where in it begins what is wanted."""
    counts: int
    """It and all that it holds, for limits.MAX_ELEMENTS."""


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Elements in a row, and how to find them in a data set."""

    elements: tuple[Element, ...]
    structure: bytes
    places: NDArray[np.intp]
    """Where in the run each byte of `structure` lies."""
    size: int
    count: int
    values: tuple[tuple[int, int, int], ...]
    """Tag, begin and end of what is wanted."""
    tags: frozenset[int]


class Alike:
    """What is known of one source's data sets in explicit VR little endian. Not for several threads at once."""

    __slots__ = ("_charsets", "_lessons", "_texts", "runs")

    def __init__(self) -> None:
        self.runs: dict[int, Run] = {}
        """By the key of the first element."""
        self._charsets: tuple[str, ...] = ()
        self._texts: dict[int, tuple[bytes, str]] = {}
        self._lessons = 0

    def texts_by(self, charsets: tuple[str, ...]) -> dict[int, tuple[bytes, str]]:
        """Tag -> the last value, raw and as text by these character sets."""
        if charsets != self._charsets:
            self._charsets = charsets
            self._texts.clear()
        return self._texts

    def keep_text(self, tag: int, raw: bytes | memoryview, text: str) -> None:
        """Keeps the text of a value by the character sets that `texts_by` was told."""
        if len(raw) <= MAX_ALIKE_BYTES:
            self._texts[tag] = bytes(raw), text

    def take(self, run: Run, data: bytes | memoryview, position: int, found: Found) -> bool:
        """Reads the run at that position into `found`; False, and nothing is read, when it is not there."""
        head = bytes(data[position : position + run.size])
        if len(head) < run.size:
            return False
        structure = np.frombuffer(head, np.uint8).take(run.places).tobytes()
        if structure != run.structure:
            self._part(run, structure)
            return False
        if not run.tags.isdisjoint(found):
            return False
        for tag, begin, end in run.values:
            found[tag] = head[begin:end]
        return True

    def wants_lesson(self) -> bool:
        """Whether `learn` should be told a data set that was read without any run."""
        return self._lessons < _MOST_LESSONS

    def learn(self, elements: Iterable[Element | None]) -> None:
        """The elements of a data set that was read to its end; None = one over MAX_ALIKE_BYTES."""
        self._lessons += 1
        self.runs.clear()
        row: list[Element] = []
        left = _MOST_STRUCTURE_BYTES
        for element in islice(elements, _MOST_ELEMENTS):
            left -= len(element.structure) if element is not None else 0
            if left < 0:
                break
            if element is not None:
                row.append(element)
            else:
                self._add(row)
                row = []
        self._add(row)

    def _add(self, elements: Sequence[Element]) -> None:
        if len(elements) < _LEAST_ELEMENTS:
            return
        places: list[int] = []
        values: list[tuple[int, int, int]] = []
        position = 0
        for element in elements:
            places.extend(range(position, position + len(element.structure)))
            if element.tag:
                values.append((element.tag, position + element.value_at, position + element.size))
            position += element.size
        self.runs[elements[0].key] = Run(
            tuple(elements),
            b"".join(element.structure for element in elements),
            np.array(places, np.intp),
            position,
            sum(element.counts for element in elements),
            tuple(values),
            frozenset(tag for tag, _, _ in values),
        )

    def _part(self, run: Run, structure: bytes) -> None:
        """The first element that is another now leaves the run."""
        position = 0
        for place, element in enumerate(run.elements):
            if not structure.startswith(element.structure, position):
                del self.runs[run.elements[0].key]
                self._add(run.elements[:place])
                self._add(run.elements[place + 1 :])
                return
            position += len(element.structure)
