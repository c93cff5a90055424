"""What a run over the matrix found."""

from collections import Counter
from dataclasses import dataclass, field

from tests.doors.words import Reader, Seen, State


@dataclass
class Result:
    """The cells and what was wrong in them."""

    cells: int = 0
    too_open: list[str] = field(default_factory=list)
    too_closed: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)

    def note(self, reader: Reader, state: State, door: str, seen: Seen, expected: Seen) -> None:
        self.cells += 1
        cell = f"{reader.name} | {state.name} | {door}: sees {seen.name}, law {expected.name}"
        if seen > expected:
            self.too_open.append(cell)
        elif seen < expected:
            self.too_closed.append(cell)

    def add(self, other: "Result") -> None:
        self.cells += other.cells
        self.too_open += other.too_open
        self.too_closed += other.too_closed
        self.strange += other.strange

    def judge(self) -> None:
        """Prints the figure; fails when any cell is not as the oracle says."""
        print(self.figure())
        assert not (self.too_open or self.too_closed or self.strange), self.complaints()

    def figure(self) -> str:
        return f"cells checked {self.cells}, too open {len(self.too_open)}, too closed {len(self.too_closed)}"

    def complaints(self) -> str:
        """The first of each sort, and how many of each door and reader."""
        lines = [self.figure()]
        for title, cells in (("OPEN", self.too_open), ("CLOSED", self.too_closed), ("!", self.strange)):
            lines += [f"{title} {cell}" for cell in cells[:40]]
            lines += [f"{title} {count} x {door}" for door, count in _by_door(cells).most_common(30)]
        return "\n".join(lines)


def _by_door(cells: list[str]) -> Counter[str]:
    return Counter(cell.split(" | ")[-1] for cell in cells)
