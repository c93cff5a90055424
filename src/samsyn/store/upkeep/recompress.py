"""Which settled series are stored coded, by rule, and what that won.

Only native frames of 8 or 16 bits are coded; everything else of an instance, header, padding and trailing elements,
lies as it came. That the original comes back byte for byte is proved three times: the coding child decodes what it
coded and compares, the finished object is read back and every instance's SHA-256 compared before it takes its name,
and the journal's bytes are given back only after another such reading.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Any, Final

from samsyn import limits
from samsyn.clock import STOCKHOLM, Clock
from samsyn.dicom.frames import frame_bits
from samsyn.dicom.transfer_syntaxes import EXPLICIT_BIG
from samsyn.errors import Conflict
from samsyn.model.imaging import PixelLayout
from samsyn.settings.recompression import UNCOMPRESSED, RecompressSettings
from samsyn.store.index.port import IndexConnection
from samsyn.store.objects.manifest import pixels_of
from samsyn.store.packing.extents import Codec, Shape

CODECS: Final = MappingProxyType(
    {"jpeg-ls": Codec.JPEG_LS, "jpeg-2000": Codec.JPEG_2000, "htj2k": Codec.HTJ2K}
)
_SMALLEST_FRAME: Final = 4 * limits.KIB
"""A frame below this is a block of the disk at the most."""


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """What rules ask of a series."""

    modality: str
    provider: str
    study_date: str
    """YYYYMMDD, "" = not told."""


class Recompression:
    """The rules in force. One per store."""

    def __init__(self, rules: Sequence[RecompressSettings], clock: Clock) -> None:
        self._rules = rules
        self._clock = clock
        self.original_bytes = 0
        self.stored_bytes = 0
        """Frames that were coded since start, before and after, for metrics."""

    def codec_of(self, facts: SeriesFacts, transfer_syntax_uid: str) -> Codec:
        """How an object's frames are to be stored, by the first rule that fits."""
        if transfer_syntax_uid not in UNCOMPRESSED:
            return Codec.PLAIN
        for rule in self._rules:
            if (
                facts.modality in (rule.modalities or (facts.modality,))
                and facts.provider in (rule.providers or (facts.provider,))
                and transfer_syntax_uid in (rule.transfer_syntaxes or UNCOMPRESSED)
                and self._is_old(facts.study_date, rule.older_than_days)
            ):
                return CODECS[rule.codec]
        return Codec.PLAIN

    def _is_old(self, study_date: str, days: int) -> bool:
        if not days:
            return True
        if not study_date:
            return False
        began = date(int(study_date[:4]), int(study_date[4:6]), int(study_date[6:8]))
        return (self._clock.now().astimezone(STOCKHOLM).date() - began).days >= days

    @property
    def is_on(self) -> bool:
        """Whether there is any rule."""
        return bool(self._rules)

    def note(self, original_bytes: int, stored_bytes: int) -> None:
        """An object with coded frames was recorded."""
        self.original_bytes += original_bytes
        self.stored_bytes += stored_bytes


def facts_of(connection: IndexConnection, series_key: int) -> SeriesFacts:
    """The facts of a series. Conflict: it has had another key since."""
    row = connection.execute(
        "SELECT series.modality, study.provider, study.study_date FROM series JOIN study USING(study_key)"
        " WHERE series_key = ?",
        (series_key,),
    ).fetchone()
    if row is None:
        raise Conflict("a series was moved while it was looked at")
    return SeriesFacts(row[0], row[1], row[2])


def frames_of(row: Mapping[str, Any]) -> list[tuple[int, Shape]]:
    """Offset in the data set and form of each native frame that can be coded, from a row of the instance table."""
    layout = pixels_of(row)
    shape = _shape(layout, row["transfer_syntax"]) if layout is not None else None
    if layout is None or shape is None or shape.length * layout.frames > layout.length:
        return []
    if not _SMALLEST_FRAME <= shape.length <= limits.MAX_CODED_FRAME_BYTES:
        return []
    return [(layout.offset + number * shape.length, shape) for number in range(layout.frames)]


def _shape(layout: PixelLayout, transfer_syntax_uid: str) -> Shape | None:
    """None: not whole bytes for each sample, or sizes that are not the frame's."""
    rows, samples = layout.rows, layout.samples
    if layout.bits_allocated not in (8, 16) or samples not in (1, 3):
        return None
    if frame_bits(layout) != rows * layout.columns * samples * layout.bits_allocated:
        return None
    if samples == 3 and layout.planar == 1:
        rows, samples = rows * 3, 1
    return Shape(
        rows,
        layout.columns,
        samples,
        layout.bits_allocated,
        layout.signed,
        transfer_syntax_uid == EXPLICIT_BIG,
    )
