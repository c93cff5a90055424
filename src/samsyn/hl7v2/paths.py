"""Places in a message, as profiles name them: `OBR-18`, `PID-3.4`, `OBX(ANAM)-5`, `ZDS-1`."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from samsyn.errors import ConfigurationError
from samsyn.hl7v2.parsing import Segment

_PATH = re.compile(
    r"(?P<segment>[A-Z][A-Z0-9]{2})(?:\((?P<kind>[^()]{1,80})\))?"
    r"-(?P<field>[1-9][0-9]{0,2})(?:\.(?P<component>[1-9][0-9]?)(?:\.(?P<subcomponent>[1-9][0-9]?))?)?"
)
_KIND_FIELD = {"OBX": 3, "NTE": 4}
"""Where a segment tells its kind: OBX-3 observation identifier, NTE-4 comment type; field 1 of others."""


class Segments(tuple[Segment, ...]):
    """Segments in order that are found by name without looking at the others: a report has dozens of OBX."""

    def named(self, name: str) -> Sequence[Segment]:
        """Those of that name, in order."""
        known: dict[str, list[Segment]] | None = self.__dict__.get("known")
        if known is None:
            known = {}
            for segment in self:
                known.setdefault(segment.name, []).append(segment)
            self.__dict__["known"] = known
        return known.get(name, ())


@dataclass(frozen=True, slots=True)
class Path:
    """One place. Without component it means the whole field as text, every repetition a line."""

    segment: str
    kind: str
    field: int
    component: int = 0
    subcomponent: int = 0

    def matches(self, segment: Segment) -> bool:
        """Whether a segment is one that the path speaks of."""
        if segment.name != self.segment:
            return False
        if not self.kind:
            return True
        return segment.text(_KIND_FIELD.get(self.segment, 1)).upper() == self.kind.upper()

    def among(self, segments: Iterable[Segment]) -> Iterable[Segment]:
        """Those of the segments that the path speaks of."""
        if isinstance(segments, Segments):
            named = segments.named(self.segment)
            return [segment for segment in named if self.matches(segment)] if self.kind else named
        return (segment for segment in segments if self.matches(segment))

    def read(self, segments: Iterable[Segment]) -> str:
        """What stands there: all lines of all matching segments, or the first component that is not empty."""
        lines: list[str] = []
        for segment in self.among(segments):
            if self.component:
                value = segment.text(self.field, self.component, self.subcomponent)
                if value:
                    return value
                continue
            lines += segment.every(self.field)
        return "\n".join(lines).strip()


def parse_path(text: str) -> Path:
    """Reads a place as written in a profile; ConfigurationError when it is none."""
    match = _PATH.fullmatch(text.strip())
    if match is None:
        raise ConfigurationError(
            f"{text!r} is no place in a message; write such as OBR-18, PID-3.4 or OBX(ANAM)-5"
        )
    return Path(
        match["segment"],
        match["kind"] or "",
        int(match["field"]),
        int(match["component"] or 0),
        int(match["subcomponent"] or 0),
    )


def first_of(paths: Sequence[Path], segments: Sequence[Segment]) -> str:
    """The first place that is not empty."""
    for path in paths:
        value = path.read(segments)
        if value:
            return value
    return ""


def every_of(paths: Sequence[Path], segments: Sequence[Segment]) -> tuple[str, ...]:
    """What stands at each place that is not empty, without doubles, in the order of the places."""
    return tuple(dict.fromkeys(value for path in paths if (value := path.read(segments))))
