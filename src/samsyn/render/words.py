"""The words of rendering: what a picture depends on, as frozen values that parent and child share.

Nothing here imports numpy or a codec.
"""

from dataclasses import dataclass
from enum import Enum

from samsyn.model.imaging import PixelLayout


class Voi(Enum):
    """VOI LUT Function (0028,1056), PS3.3 C.11.2.1.2 and C.11.2.1.3."""

    LINEAR = "LINEAR"
    LINEAR_EXACT = "LINEAR_EXACT"
    SIGMOID = "SIGMOID"


@dataclass(frozen=True, slots=True)
class Window:
    """Window centre and width (*fönster*), in units after the modality transformation (HU for CT).

    LINEAR needs width >= 1, the others width > 0 (PS3.3 C.11.2.1.2.1); `display` checks it.
    """

    center: float
    width: float
    voi: Voi = Voi.LINEAR
    name: str = ""
    """Window Center & Width Explanation (0028,1055), as the modality wrote it."""


@dataclass(frozen=True, slots=True)
class LookupTable:
    """A modality, VOI or palette LUT: descriptor and data (PS3.3 C.11.1.1.1, C.7.6.3.1.5)."""

    entries: int
    """1 to 65536 (a 0 in the descriptor means 65536 and is given as such here)."""
    first: int
    """The stored value that maps to entry 0; values below take entry 0, values above take the last."""
    bits: int
    """Bits of one entry, 8 to 16."""
    data: bytes
    """Little endian 16-bit entries, or one byte per entry when len(data) == entries."""
    is_segmented: bool = False
    """Whether the data are segments that the entries are made of (PS3.3 C.7.9.2)."""


@dataclass(frozen=True, slots=True)
class DisplayValues:
    """What the header says about showing one frame. The defaults show stored values as they are."""

    slope: float = 1.0
    intercept: float = 0.0
    modality_lut: LookupTable | None = None
    """Replaces slope and intercept where present (PS3.3 C.11.1)."""
    windows: tuple[Window, ...] = ()
    voi_lut: LookupTable | None = None
    palette: tuple[LookupTable, LookupTable, LookupTable] | None = None
    """Red, green, blue for PALETTE COLOR, and for the values of a grey picture from `first` on."""
    padding: tuple[float, float] | None = None
    """Stored values from first to last, inclusive, are no tissue (PS3.3 C.7.5.1.1.2); whole unless the pixels are
    floating point numbers."""
    aspect: float = 1.0
    """Height of a pixel divided by its width; 1.0 = square."""
    inverse: bool | None = None
    """Whether the darkest is shown brightest, by Presentation LUT Shape (2050,0020); None = untold, Photometric
    Interpretation tells it."""

    def is_inverted(self, layout: PixelLayout) -> bool:
        """Whether larger values of a grey picture are darker.

        In an image both attributes shall say the same (PS3.3 C.7.6.1, C.8.11.3): MONOCHROME1 with INVERSE, MONOCHROME2
        with IDENTITY; that is one inversion, not two. Where they contradict each other it is the shape, which is the
        last step before the screen (PS3.4 N.2.1.4), as other programs have it.
        """
        return layout.photometric == "MONOCHROME1" if self.inverse is None else self.inverse


@dataclass(frozen=True, slots=True)
class Viewport:
    """Which part is shown and how large (PS3.18 8.3.5.1.3).

    The part is scaled, with its proportions kept, to the largest picture inside width x height.
    """

    width: int
    height: int
    left: float = 0.0
    top: float = 0.0
    part_width: float | None = None
    """Columns of the source that are shown; None = to the right edge; negative = mirrored."""
    part_height: float | None = None
    """Rows of the source that are shown; None = to the lower edge; negative = upside down."""


class PictureFormat(Enum):
    """What a picture is encoded as; the value is its media type."""

    JPEG = "image/jpeg"
    PNG = "image/png"
    GIF = "image/gif"
    """One picture of a clip, in at most 256 colours of its own."""


@dataclass(frozen=True, slots=True)
class PictureOptions:
    """What the asker wants of a rendered picture."""

    format: PictureFormat = PictureFormat.JPEG
    quality: int = 90
    """JPEG quality 1 to 100 (PS3.18 8.3.5.1.2)."""
    window: Window | None = None
    """Instead of the header's; colour pictures ignore it."""
    viewport: Viewport | None = None
    longest_side: int | None = None
    """Scaled down (never up) so that no side is longer, pixels; for thumbnails."""


@dataclass(frozen=True, slots=True)
class Graphic:
    """What one overlay plane (*överlagrad grafik*) draws on one frame (PS3.3 C.9.2)."""

    rows: int
    columns: int
    top: int
    """Row of the picture, from 0, that its first row lies on; may be negative."""
    left: int
    """The same for its first column."""
    is_region: bool
    """A region of interest, which is shown by its edge so that the picture inside can be seen."""
    data: bytes = b""
    """The bits of all rows without gaps, the first in the lowest bit, beginning at `first_bit` of data[0]; or one cell
    for each pixel, where `cell_bits` is more than 1."""
    first_bit: int = 0
    cell_bits: int = 1
    position: int = 0
    """The bit of a cell that is drawn."""
    is_embedded: bool = False
    """Retired: the cells are those of the frame itself, and `data` are empty."""
    is_torn: bool = False
    """Whether something of it can not be drawn: the picture then says so."""


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """One frame as it lies in the store."""

    data: bytes
    """The bytes of this frame; fragments of one frame are already joined."""
    layout: PixelLayout
    transfer_syntax_uid: str
    first_bit: int = 0
    """Where the frame begins inside data[0], 0 to 7; only for 1-bit native pixels, whose frames are packed
    without gaps (PS3.5 8.1.1)."""
    high_bit: int = -1
    """Bit of its cell in which a stored value ends (0028,0102), counted from 0; -1 = the one that follows from Bits
    Stored. Other than that in objects from before the standard of 1998, whose overlays may lie below the value."""
    float_bits: int = 0
    """Bits of a cell that is a floating point number, 32 (7FE0,0008) or 64 (7FE0,0009); 0 = they are whole numbers."""
    graphics: tuple[Graphic, ...] = ()
    """What is drawn on the frame's picture."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A rendered picture, ready for the wire."""

    data: bytes
    media_type: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """Decoded pixels in Explicit VR Little Endian's form: samples interleaved, eight pixels of one bit to a byte."""

    data: bytes
    rows: int
    columns: int
    samples: int
    bits_allocated: int


@dataclass(frozen=True, slots=True)
class WaveformChannel:
    """One channel of a multiplex group (PS3.3 C.10.9)."""

    label: str
    """Short name as written above the curve: I, II, III, aVR, aVL, aVF, V1 to V6 for a 12-lead ECG."""
    microvolts_per_bit: float
    """Channel Sensitivity times its correction factor."""
    baseline: float = 0.0
    """Channel Baseline in microvolts: added after scaling."""


@dataclass(frozen=True, slots=True)
class Waveform:
    """One multiplex group of an ECG with its samples (PS3.5 8.3)."""

    channels: tuple[WaveformChannel, ...]
    frequency_hz: float
    sample_bits: int
    """8 or 16."""
    signed: bool
    data: bytes
    """Little endian samples: all channels of the first moment, then of the next."""
