"""What the data sets of one source have in common, so that the next one like them is read faster.

The headers of a series differ in a few values; tags, VRs, lengths, whole sequences and most values stay the same.
Elements that were read one by one before make a *run*: in the next data set what tells their structure is compared all
together, and with it the wanted values that have stayed the same so far. Where every byte is the same the elements are
read, and what was made of those values is known. One that comes with another structure leaves its run, and is read by
itself from then on; a value that changes is looked at each time. So a run never accepts what the walk would refuse, and
what is found does not depend on what came before.
"""

from collections.abc import Iterable, Sequence, Set
from itertools import islice
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from samsyn.model.imaging import PixelLayout

Found: TypeAlias = dict[int, bytes | memoryview]
"""Raw values by tag."""

_LEAST_ELEMENTS: Final = 6
"""To compare a run costs as much as reading so many elements one by one."""
_MOST_ELEMENTS: Final = 500
_MOST_STRUCTURE_BYTES: Final = 16 * 1024
"""Of a data set that are learned, values that stay the same among them. Each takes ten, so all stays under 0.4 MiB."""
MAX_ALIKE_BYTES: Final = 1_024
"""Of an element in a run, since the bytes of a run are copied."""
_MOST_LESSONS: Final = 4
"""A source whose data sets have nothing in common is not learned again and again."""
_LONGEST_HEADER: Final = 12
_HELD_FOR: Final = 8
"""Data sets in a row that were alike: what changes then belongs to the next series and stays the same again; what
changes sooner differs from one instance to the next."""


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
    value: bytes
    """What is wanted of it."""


class Run:
    """Elements in a row, and how to find them in a data set."""

    __slots__ = (
        "_at",
        "charsets",
        "count",
        "elements",
        "fixed",
        "held",
        "places",
        "sample",
        "size",
        "tags",
        "texts",
        "values",
    )

    def __init__(self, elements: tuple[Element, ...], changing: Set[int]) -> None:
        """`changing`: tags whose values are looked at each time."""
        self.elements = elements
        self.fixed: Found = {}
        """The values that are compared with the structure."""
        self.held = 0
        """Data sets in a row that it was found in."""
        self.charsets: tuple[str, ...] | None = None
        self.texts: dict[int, str] = {}
        """The texts among `fixed` by `charsets`, None = not read yet."""
        self._at: dict[int, tuple[int, int]] = {}
        places: list[int] = []
        places_of_values: list[int] = []
        position = 0
        for element in elements:
            places.extend(range(position, position + len(element.structure)))
            if element.tag:
                begin, end = position + element.value_at, position + element.size
                self._at[element.tag] = begin, end
                if element.tag not in changing:
                    places_of_values.extend(range(begin, end))
                    self.fixed[element.tag] = element.value
            position += element.size
        self.size = position
        self.places: NDArray[np.intp] = np.array(places + places_of_values, np.intp)
        """Where in the run each byte of `sample` lies."""
        self.sample = b"".join((*(element.structure for element in elements), *self.fixed.values()))
        """What must be the same: the structure, then the values that are."""
        self.count = sum(element.counts for element in elements)
        self.values = tuple((tag, *at) for tag, at in self._at.items() if tag not in self.fixed)
        """Tag, begin and end of what is wanted and changes."""
        self.tags = frozenset(self._at)

    def adopt(self, head: bytes) -> None:
        """The values of a data set of the same structure are those that stay the same from now on."""
        for tag in self.fixed:
            begin, end = self._at[tag]
            self.fixed[tag] = head[begin:end]
        self.sample = np.frombuffer(head, np.uint8).take(self.places).tobytes()
        self.charsets = None
        self.held = 0

    def changed(self, head: bytes) -> frozenset[int]:
        """The tags of fixed values that are others in a data set of the same structure."""
        return frozenset(tag for tag, value in self.fixed.items() if head[slice(*self._at[tag])] != value)

    def first_other(self, sample: bytes) -> int:
        """Place of the first element that is another in a data set, -1 when the structure is the same."""
        position = 0
        for place, element in enumerate(self.elements):
            if not sample.startswith(element.structure, position):
                return place
            position += len(element.structure)
        return -1


class Habits:
    """What differs from one data set to the next, in all that one kind of source sends: a new series need not be
    disappointed by it again."""

    __slots__ = ("changing", "leaving")

    def __init__(self) -> None:
        self.changing: set[int] = set()
        """Tags of values that are looked at each time."""
        self.leaving: set[int] = set()
        """Keys of elements that come with another structure."""

    def note(self, known: set[int], more: Set[int]) -> None:
        """Adds to one of the two, which never grows without bound."""
        known |= more
        if len(known) > _MOST_ELEMENTS:
            known.clear()


class Alike:
    """What is known of one source's data sets in explicit VR little endian. Not for several threads at once."""

    __slots__ = ("_habits", "_lessons", "layout", "runs", "uids")

    def __init__(self, habits: Habits | None = None) -> None:
        """`habits`: shared with other sources of the same kind."""
        self.runs: dict[int, Run] = {}
        """By the key of the first element."""
        self.uids: dict[int, tuple[bytes, str]] = {}
        """Tag -> the last value, raw and as the UID that it is."""
        self.layout: tuple[tuple[object, ...], PixelLayout] | None = None
        """The last pixel facts, raw, and what they say."""
        self._habits = habits or Habits()
        self._lessons = 0

    def take(
        self, run: Run, data: bytes | memoryview, position: int, most: int, found: Found, fresh: Found
    ) -> Run | None:
        """Reads the run at that position, of `most` elements at the most, into `found`, and what is not in its `fixed`
        into `fresh` too; the run as it is now. None, and nothing is read: it is not there."""
        head = bytes(data[position : position + run.size])
        if len(head) < run.size or run.count > most:
            return None
        sample = np.frombuffer(head, np.uint8).take(run.places).tobytes()
        if sample != run.sample:
            place = run.first_other(sample)
            if place >= 0:
                self._part(run, place)
                return None
            if run.held < _HELD_FOR:
                self._habits.note(self._habits.changing, run.changed(head))
                run = self.runs[run.elements[0].key] = Run(run.elements, self._habits.changing)
            run.adopt(head)
        if not run.tags.isdisjoint(found):
            return None
        run.held += 1
        found.update(run.fixed)
        for tag, begin, end in run.values:
            found[tag] = fresh[tag] = head[begin:end]
        return run

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
            left -= len(element.structure) + len(element.value) if element is not None else 0
            if left < 0:
                break
            if element is not None and element.key not in self._habits.leaving:
                row.append(element)
            else:
                self._add(row)
                row = []
        self._add(row)

    def _add(self, elements: Sequence[Element]) -> None:
        if sum(element.counts for element in elements) >= _LEAST_ELEMENTS:
            self.runs[elements[0].key] = Run(tuple(elements), self._habits.changing)

    def _part(self, run: Run, place: int) -> None:
        """The element at that place of the run is another now. Its value is no structure but where it is a sequence,
        which may hold for another series; everything is learned anew then. Otherwise it leaves the run."""
        element = run.elements[place]
        if run.held >= _HELD_FOR and len(element.structure) == element.size > _LONGEST_HEADER:
            self.runs.clear()
            self._lessons = min(self._lessons, _MOST_LESSONS - 1)
            return
        self._habits.note(self._habits.leaving, {element.key})
        del self.runs[run.elements[0].key]
        self._add(run.elements[:place])
        self._add(run.elements[place + 1 :])
