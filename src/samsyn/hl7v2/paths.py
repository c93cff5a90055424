"""Places in a message, as profiles name them: `OBR-18`, `PID-3.4`, `OBX(ANAM)-5`, `ZDS-1`."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from samsyn.errors import ConfigurationError
from samsyn.hl7v2.parsing import Segment, Segments

_PATH = re.compile(
    r"(?P<segment>[A-Z][A-Z0-9]{2})(?:\((?P<kind>[^()]{1,80})\))?"
    r"-(?P<field>[1-9][0-9]{0,2})(?:\.(?P<component>[1-9][0-9]?)(?:\.(?P<subcomponent>[1-9][0-9]?))?)?"
)


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
        return segment.name == self.segment and (not self.kind or segment.kind == self.kind.upper())

    def among(self, segments: Iterable[Segment]) -> Iterable[Segment]:
        """Those of the segments that the path speaks of."""
        if isinstance(segments, Segments):
            if self.kind:
                return segments.of_kind(self.segment, self.kind.upper())
            return segments.by_name.get(self.segment, ())
        return [segment for segment in segments if self.matches(segment)]

    def read(self, segments: Iterable[Segment]) -> str:
        """What stands there: all lines of all matching segments, or the first component that is not empty."""
        found: Iterable[Segment] | None
        if self.kind or not isinstance(segments, Segments):
            found = self.among(segments)
        else:
            found = segments.by_name.get(self.segment)
            if found is None:
                return ""
        component, field = self.component, self.field
        if component:
            for segment in found:
                fields = segment.fields
                if field < len(fields) and fields[field]:
                    value = segment.text(field, component, self.subcomponent)
                    if value:
                        return value
            return ""
        lines: list[str] = []
        for segment in found:
            if field < len(segment.fields):
                lines += segment.every(field)
        return "\n".join(lines).strip() if lines else ""

    def component_of(self, segments: Iterable[Segment], component: int, subcomponent: int = 0) -> str:
        """The first that is not empty of a component of the field, which need not be the path's own."""
        for segment in self.among(segments):
            value = segment.text(self.field, component, subcomponent)
            if value:
                return value
        return ""


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
