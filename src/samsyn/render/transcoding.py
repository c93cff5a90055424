"""Compressed objects as Explicit VR Little Endian, for receivers that can not decode. The stored object never changes.

Pixels come out of the decoding children as they were compressed: no colour is converted and no bit is cut, unless
the codec's own transform has to be undone (JPEG's YCbCr, JPEG 2000's RCT and ICT), and then the header says so.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from samsyn.access.view import View
from samsyn.dicom.decompression import native_data_set
from samsyn.dicom.transfer_syntaxes import (
    EVERY_JPEG_XL,
    HTJ2K,
    HTJ2K_LOSSLESS,
    HTJ2K_LOSSLESS_RPCL,
    JPEG_2000,
    JPEG_2000_LOSSLESS,
    JPEG_BASELINE,
    JPEG_EXTENDED,
    JPEG_LOSSLESS,
    JPEG_LOSSLESS_SV1,
    JPEG_LS_LOSSLESS,
    JPEG_LS_NEAR,
    RLE_LOSSLESS,
    WRAPPED,
)
from samsyn.errors import BadInput, DamagedData, LimitExceeded, NotSupported, OutOfResources
from samsyn.limits import MAX_TRANSCODED_BYTES
from samsyn.model.imaging import PixelLayout, StoredInstance
from samsyn.render.children import DecodingChildren
from samsyn.render.codestream import CodestreamHead, jpeg2000_head, jpeg_xl_gives_rgb, jpeg_xl_head
from samsyn.render.words import EncodedFrame
from samsyn.retrieve.retrieve import Retriever

DECOMPRESSED: Final = frozenset(
    {JPEG_BASELINE, JPEG_EXTENDED, JPEG_LOSSLESS, JPEG_LOSSLESS_SV1, JPEG_LS_LOSSLESS, JPEG_LS_NEAR}
    | {JPEG_2000_LOSSLESS, JPEG_2000, HTJ2K_LOSSLESS, HTJ2K_LOSSLESS_RPCL, HTJ2K}
    | {RLE_LOSSLESS, *EVERY_JPEG_XL, *WRAPPED}
)
"""Transfer syntaxes that `Transcoder` reads."""

_PART_2: Final = ("1.2.840.10008.1.2.4.92", "1.2.840.10008.1.2.4.93")
_JPEG_2000: Final = frozenset(
    {JPEG_2000_LOSSLESS, JPEG_2000, HTJ2K_LOSSLESS, HTJ2K_LOSSLESS_RPCL, HTJ2K, *_PART_2}
)
_LOSSY_JPEG: Final = frozenset({JPEG_BASELINE, JPEG_EXTENDED})
_SUBSAMPLED: Final = ("YBR_FULL_422", "YBR_PARTIAL_422", "YBR_PARTIAL_420")
_NO_SUBSAMPLING: Final = "subsampled colour in a codec that keeps every sample"
_PHOTOMETRIC: Final = 0x00280004
_PLANAR: Final = 0x00280006
_LOSSY: Final = 0x00282110
_TRIES: Final = 5
_PAUSE_S: Final = 0.5


def can_be_native(instance: StoredInstance) -> bool:
    """Whether `Transcoder` makes such objects native, as far as the header tells; a frame may still be broken."""
    return _reason_against(instance) == ""


def is_too_large(instance: StoredInstance) -> bool:
    """Whether the object would be larger than MAX_TRANSCODED_BYTES when it is native."""
    layout = instance.pixels
    if layout is None:
        return False
    bits = layout.rows * layout.columns * layout.samples * layout.bits_allocated * max(layout.frames, 1)
    return bits > MAX_TRANSCODED_BYTES * 8


def _reason_against(instance: StoredInstance) -> str:
    layout, syntax = instance.pixels, instance.transfer_syntax_uid
    if layout is None or syntax not in DECOMPRESSED:
        return "no decoder for the object's transfer syntax"
    if layout.bits_allocated not in (1, 8, 16, 32) or layout.samples not in (1, 3):
        return f"{layout.samples} samples of {layout.bits_allocated} bits"
    return _reason_against_colour(layout, syntax)


def _reason_against_colour(layout: PixelLayout, syntax: str) -> str:
    """As far as the header tells."""
    if layout.samples == 3 and syntax not in _LOSSY_JPEG | _JPEG_2000 | WRAPPED:
        if layout.photometric in _SUBSAMPLED and syntax not in EVERY_JPEG_XL:
            return _NO_SUBSAMPLING
        if layout.photometric in ("YBR_RCT", "YBR_ICT"):
            return "a colour transform of JPEG 2000 in another codec"
    return ""


class Transcoder:
    """Makes native forms of compressed objects."""

    def __init__(self, retriever: Retriever, children: DecodingChildren) -> None:
        self._retriever = retriever
        self._children = children

    async def native(self, view: View, instance: StoredInstance, data: bytes | memoryview) -> bytes:
        """The object's data set `data` in Explicit VR Little Endian.

        NotSupported: no decoder for it. DamagedData, BadInput, NotFound: a frame is broken or missing.
        LimitExceeded: MAX_TRANSCODED_BYTES or a limit of decoding; or the children are busy for too long.
        """
        against, layout = _reason_against(instance), instance.pixels
        if against or layout is None:
            raise NotSupported(against)
        if is_too_large(instance):
            raise LimitExceeded("MAX_TRANSCODED_BYTES")
        first = await self._retriever.frame(view, instance, 1)
        plain, photometric = _as_object(layout, instance.transfer_syntax_uid, first)
        frames = [
            await self._frame(view, instance, number, plain) for number in range(1, max(layout.frames, 1) + 1)
        ]
        if layout.bits_allocated == 1:
            frames = [await asyncio.to_thread(_joined, frames, layout.rows * layout.columns * layout.samples)]
        changed = _attributes(layout, instance.transfer_syntax_uid, photometric)
        return await asyncio.to_thread(native_data_set, data, frames, layout.bits_allocated, changed)

    async def _frame(self, view: View, instance: StoredInstance, number: int, layout: PixelLayout) -> bytes:
        stored = await self._retriever.frame(view, instance, number)
        frame = EncodedFrame(stored, layout, instance.transfer_syntax_uid)
        for attempt in range(_TRIES):
            try:
                decoded = await self._children.decoded(frame, urgent=False)
                break
            except OutOfResources as error:
                # Readers' pictures go first; a sender can wait for some seconds.
                if attempt == _TRIES - 1:
                    raise LimitExceeded(error.detail) from error
                await asyncio.sleep(_PAUSE_S)
        else:  # pragma: no cover - the loop ends by break or by raising
            raise LimitExceeded("RENDER_QUEUE")
        told = (decoded.rows, decoded.columns, decoded.samples, decoded.bits_allocated)
        if told != (layout.rows, layout.columns, layout.samples, layout.bits_allocated):
            raise DamagedData("a frame comes out in another form than the header says")
        return decoded.data


def as_samples(layout: PixelLayout, syntax: str, frame: bytes) -> tuple[PixelLayout, bool]:
    """The layout that makes the decoder give every cell as it was compressed, and whether the codec itself makes them
    RGB. DamagedData: the frame tells nothing about itself."""
    plain = replace(layout, bits_stored=layout.bits_allocated)
    if layout.samples == 1:
        return plain, False
    if syntax in WRAPPED:
        return layout, False
    if syntax in _LOSSY_JPEG:
        return layout, True
    if syntax in EVERY_JPEG_XL:
        is_rgb = jpeg_xl_gives_rgb(_head(jpeg_xl_head, frame), syntax, layout.photometric)
    else:
        is_rgb = syntax in _JPEG_2000 and _head(jpeg2000_head, frame).is_transformed
    return replace(plain, photometric="RGB"), is_rgb


def _as_object(layout: PixelLayout, syntax: str, first_frame: bytes) -> tuple[PixelLayout, str]:
    """The layout as of `as_samples`, and the new Photometric Interpretation, "" = as it was. NotSupported: no native
    object can be made of it."""
    plain, is_rgb = as_samples(layout, syntax, first_frame)
    if is_rgb:
        return plain, "RGB"
    if syntax in WRAPPED:
        return plain, ""
    if layout.photometric in _SUBSAMPLED:
        raise NotSupported(_NO_SUBSAMPLING)
    return plain, "RGB" if layout.photometric in ("YBR_RCT", "YBR_ICT") else ""


def _attributes(layout: PixelLayout, syntax: str, photometric: str) -> dict[int, tuple[bytes, bytes]]:
    """What the native object says otherwise, or says at all: samples stand pixel by pixel, and what a codec has lost is
    lost, which its transfer syntax told as long as it was there (PS3.3 C.7.6.1.1.5)."""
    changed: dict[int, tuple[bytes, bytes]] = {}
    if photometric:
        value = photometric.encode("ascii")
        changed[_PHOTOMETRIC] = b"CS", value + b" " * (len(value) % 2)
    if layout.samples == 3 and syntax not in WRAPPED:
        changed[_PLANAR] = b"US", b"\0\0"
    if syntax in _LOSSY_JPEG:
        changed[_LOSSY] = b"CS", b"01"
    return changed


def _joined(frames: Sequence[bytes], pixels: int) -> bytes:
    """Frames of so many pixels of one bit as native ones stand: without a gap between them (PS3.5 8.1.1)."""
    joined = np.zeros((pixels * len(frames) + 7) // 8 + 1, np.uint8)
    for number, frame in enumerate(frames):
        first, shift = divmod(number * pixels, 8)
        shifted = np.frombuffer(frame, np.uint8).astype(np.uint16) << shift
        joined[first : first + len(frame)] |= (shifted & 0xFF).astype(np.uint8)
        joined[first + 1 : first + 1 + len(frame)] |= (shifted >> 8).astype(np.uint8)
    return joined[:-1].tobytes()


def _head(read: Callable[[bytes], CodestreamHead], codestream: bytes) -> CodestreamHead:
    try:
        return read(codestream)
    except BadInput as error:
        raise DamagedData(error.detail) from error
