"""Compressed objects as Explicit VR Little Endian, for receivers that can not decode. The stored object never changes.

Pixels come out of the decoding children as they were compressed: no colour is converted and no bit is cut, unless
the codec's own transform has to be undone (JPEG's YCbCr, JPEG 2000's RCT and ICT), and then the header says so.
"""

import asyncio
from dataclasses import replace
from typing import Final

from samsyn.access.view import View
from samsyn.dicom.decompression import native_data_set
from samsyn.dicom.transfer_syntaxes import (
    DEFLATED_FRAME,
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
)
from samsyn.errors import BadInput, DamagedData, LimitExceeded, NotSupported, OutOfResources
from samsyn.limits import MAX_TRANSCODED_BYTES
from samsyn.model.imaging import PixelLayout, StoredInstance
from samsyn.render.children import DecodingChildren
from samsyn.render.codestream import jpeg2000_head
from samsyn.render.words import EncodedFrame
from samsyn.retrieve.retrieve import Retriever

DECOMPRESSED: Final = frozenset(
    {JPEG_BASELINE, JPEG_EXTENDED, JPEG_LOSSLESS, JPEG_LOSSLESS_SV1, JPEG_LS_LOSSLESS, JPEG_LS_NEAR}
    | {JPEG_2000_LOSSLESS, JPEG_2000, HTJ2K_LOSSLESS, HTJ2K_LOSSLESS_RPCL, HTJ2K}
    | {RLE_LOSSLESS, DEFLATED_FRAME}
)
"""Transfer syntaxes that `Transcoder` reads."""

_PART_2: Final = ("1.2.840.10008.1.2.4.92", "1.2.840.10008.1.2.4.93")
_JPEG_2000: Final = frozenset(
    {JPEG_2000_LOSSLESS, JPEG_2000, HTJ2K_LOSSLESS, HTJ2K_LOSSLESS_RPCL, HTJ2K, *_PART_2}
)
_LOSSY_JPEG: Final = frozenset({JPEG_BASELINE, JPEG_EXTENDED})
_TRIES: Final = 5
_PAUSE_S: Final = 0.5


def can_be_native(instance: StoredInstance) -> bool:
    """Whether there is a decoder for the object's transfer syntax and it has pixels."""
    return instance.transfer_syntax_uid in DECOMPRESSED and instance.pixels is not None


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
        layout = instance.pixels
        if layout is None or instance.transfer_syntax_uid not in DECOMPRESSED:
            raise NotSupported("no decoder for the object's transfer syntax")
        size = layout.rows * layout.columns * layout.samples * layout.bits_allocated // 8
        if size * max(layout.frames, 1) > MAX_TRANSCODED_BYTES:
            raise LimitExceeded("MAX_TRANSCODED_BYTES")
        first = await self._retriever.frame(view, instance, 1)
        plain, photometric = _as_object(layout, instance.transfer_syntax_uid, first)
        frames = [
            await self._frame(view, instance, number, plain) for number in range(1, max(layout.frames, 1) + 1)
        ]
        return await asyncio.to_thread(native_data_set, data, frames, layout.bits_allocated, photometric)

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
    RGB. NotSupported: pixels of one bit. DamagedData: the frame tells nothing about itself."""
    if layout.bits_allocated % 8:
        raise NotSupported("compressed pixels of one bit")
    plain = replace(layout, bits_stored=layout.bits_allocated)
    if layout.samples == 1:
        return plain, False
    if syntax in _LOSSY_JPEG:
        return layout, True
    return replace(plain, photometric="RGB"), syntax in _JPEG_2000 and _is_transformed(frame)


def _as_object(layout: PixelLayout, syntax: str, first_frame: bytes) -> tuple[PixelLayout, str]:
    """The layout as of `as_samples`, and the new Photometric Interpretation, "" = as it was. NotSupported: no native
    object can be made of it."""
    plain, is_rgb = as_samples(layout, syntax, first_frame)
    if is_rgb:
        return plain, "RGB"
    if layout.photometric in ("YBR_FULL_422", "YBR_PARTIAL_422", "YBR_PARTIAL_420"):
        raise NotSupported("subsampled colour in a codec that keeps every sample")
    if layout.photometric in ("YBR_RCT", "YBR_ICT"):
        if syntax not in _JPEG_2000:
            raise NotSupported("a colour transform of JPEG 2000 in another codec")
        return plain, "RGB"
    return plain, ""


def _is_transformed(codestream: bytes) -> bool:
    try:
        return jpeg2000_head(codestream).is_transformed
    except BadInput as error:
        raise DamagedData(error.detail) from error
