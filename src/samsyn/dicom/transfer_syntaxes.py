"""Every transfer syntax that Samsyn knows (PS3.6 table A-1, PS3.5 annex A) and what follows from it."""

from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class TransferSyntax:
    """How a data set is encoded. Encapsulated ones are always explicit VR little endian."""

    uid: str
    name: str
    media_type: str = "application/octet-stream"
    """Of one frame of it (PS3.18 8.7.3.3); video types name the whole bitstream."""
    explicit: bool = True
    little: bool = True
    deflated: bool = False
    encapsulated: bool = True
    lossy: bool = False
    """Whether pixels may have lost information; lossless modes of a two-way codec count as lossy here."""
    video: bool = False
    retired: bool = False


IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DEFLATED_LITTLE = "1.2.840.10008.1.2.1.99"
ENCAPSULATED_UNCOMPRESSED = "1.2.840.10008.1.2.1.98"
"""Native frames, each in fragments of its own (PS3.5 A.4.11): for objects that a 32-bit length is too short for."""
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.57"
JPEG_LOSSLESS_SV1 = "1.2.840.10008.1.2.4.70"
JPEG_LS_LOSSLESS = "1.2.840.10008.1.2.4.80"
JPEG_LS_NEAR = "1.2.840.10008.1.2.4.81"
JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"
JPEG_2000 = "1.2.840.10008.1.2.4.91"
JPEG_2000_MULTI_LOSSLESS = "1.2.840.10008.1.2.4.92"
JPEG_2000_MULTI = "1.2.840.10008.1.2.4.93"
JPEG_XL_LOSSLESS = "1.2.840.10008.1.2.4.110"
JPEG_XL_RECOMPRESSION = "1.2.840.10008.1.2.4.111"
JPEG_XL = "1.2.840.10008.1.2.4.112"
HTJ2K_LOSSLESS = "1.2.840.10008.1.2.4.201"
HTJ2K_LOSSLESS_RPCL = "1.2.840.10008.1.2.4.202"
HTJ2K = "1.2.840.10008.1.2.4.203"
RLE_LOSSLESS = "1.2.840.10008.1.2.5"
DEFLATED_FRAME = "1.2.840.10008.1.2.8.1"

EVERY_JPEG_XL = frozenset({JPEG_XL_LOSSLESS, JPEG_XL_RECOMPRESSION, JPEG_XL})
WRAPPED = frozenset({DEFLATED_FRAME, ENCAPSULATED_UNCOMPRESSED})
"""Their fragments hold each frame as native pixels have it, whatever its attributes are (PS3.5 8.2.16, A.4.11)."""

_JPEG = "1.2.840.10008.1.2.4."


def _table() -> dict[str, TransferSyntax]:
    def video(last: str, name: str, media_type: str = "video/mp4") -> TransferSyntax:
        return TransferSyntax(_JPEG + last, name, media_type, lossy=True, video=True)

    def jpeg(last: str, name: str, media_type: str = "image/jpeg", *, lossy: bool = False) -> TransferSyntax:
        return TransferSyntax(_JPEG + last, name, media_type, lossy=lossy)

    known = [
        TransferSyntax(IMPLICIT_LITTLE, "Implicit VR Little Endian", explicit=False, encapsulated=False),
        TransferSyntax(EXPLICIT_LITTLE, "Explicit VR Little Endian", encapsulated=False),
        TransferSyntax(ENCAPSULATED_UNCOMPRESSED, "Encapsulated Uncompressed Explicit VR Little Endian"),
        TransferSyntax(
            DEFLATED_LITTLE, "Deflated Explicit VR Little Endian", deflated=True, encapsulated=False
        ),
        TransferSyntax(
            EXPLICIT_BIG, "Explicit VR Big Endian", little=False, encapsulated=False, retired=True
        ),
        jpeg("50", "JPEG Baseline (Process 1)", lossy=True),
        jpeg("51", "JPEG Extended (Process 2 and 4)", lossy=True),
        jpeg("57", "JPEG Lossless, Non-Hierarchical (Process 14)"),
        jpeg("70", "JPEG Lossless, First-Order Prediction (Process 14, Selection Value 1)"),
        jpeg("80", "JPEG-LS Lossless", "image/jls"),
        jpeg("81", "JPEG-LS Near-Lossless", "image/jls", lossy=True),
        jpeg("90", "JPEG 2000 (Lossless Only)", "image/jp2"),
        jpeg("91", "JPEG 2000", "image/jp2", lossy=True),
        jpeg("92", "JPEG 2000 Part 2 Multi-component (Lossless Only)", "image/jpx"),
        jpeg("93", "JPEG 2000 Part 2 Multi-component", "image/jpx", lossy=True),
        jpeg("110", "JPEG XL Lossless", "image/jxl"),
        jpeg("111", "JPEG XL JPEG Recompression", "image/jxl", lossy=True),
        jpeg("112", "JPEG XL", "image/jxl", lossy=True),
        jpeg("201", "High-Throughput JPEG 2000 (Lossless Only)", "image/jphc"),
        jpeg("202", "High-Throughput JPEG 2000 with RPCL (Lossless Only)", "image/jphc"),
        jpeg("203", "High-Throughput JPEG 2000", "image/jphc", lossy=True),
        video("100", "MPEG2 Main Profile / Main Level", "video/mpeg"),
        video("100.1", "Fragmentable MPEG2 Main Profile / Main Level", "video/mpeg"),
        video("101", "MPEG2 Main Profile / High Level", "video/mpeg"),
        video("101.1", "Fragmentable MPEG2 Main Profile / High Level", "video/mpeg"),
        video("102", "MPEG-4 AVC/H.264 High Profile / Level 4.1"),
        video("102.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.1"),
        video("103", "MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1"),
        video("103.1", "Fragmentable MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1"),
        video("104", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video"),
        video("104.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video"),
        video("105", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video"),
        video("105.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video"),
        video("106", "MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2"),
        video("106.1", "Fragmentable MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2"),
        video("107", "HEVC/H.265 Main Profile / Level 5.1"),
        video("108", "HEVC/H.265 Main 10 Profile / Level 5.1"),
        TransferSyntax(RLE_LOSSLESS, "RLE Lossless", "image/dicom-rle"),
        TransferSyntax(DEFLATED_FRAME, "Deflated Image Frame Compression", "application/x-deflate"),
    ]
    return {syntax.uid: syntax for syntax in known}


TRANSFER_SYNTAXES = MappingProxyType(_table())
"""uid -> transfer syntax."""


def find(uid: str) -> TransferSyntax | None:
    """The transfer syntax with this UID, or None when Samsyn does not know it."""
    return TRANSFER_SYNTAXES.get(uid)
