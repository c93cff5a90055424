"""What an uncompressed object looks like by a plain reading of the standard (PS3.3 C.7.6.3, C.11.1, C.11.2), one step
after the other for every pixel, without any of our own code."""

import numpy as np
from pydicom.dataset import Dataset

_SHAPES = {"MONOCHROME1": "INVERSE", "MONOCHROME2": "IDENTITY"}


def seen(made: Dataset, number: int = 1, asked: tuple[float, float] | None = None) -> np.ndarray:
    """Frame `number` (from 1) of a native little endian object as 8-bit grey or RGB; `asked`: centre and width of a
    linear window."""
    if made.PhotometricInterpretation == "PALETTE COLOR":
        return _by_palette(stored_values(made, number).reshape(made.Rows, made.Columns), made)
    return _colour(made, number) if made.SamplesPerPixel == 3 else _grey(made, number, asked)


def stored_values(made: Dataset, number: int = 1) -> np.ndarray:
    """The samples of a frame in the order of the data (PS3.5 8.1.1): Bits Stored bits that end at High Bit."""
    kind = f"<u{made.BitsAllocated // 8}"
    count = made.Rows * made.Columns * made.SamplesPerPixel
    width = made.BitsAllocated // 8
    cells = np.frombuffer(made.PixelData, kind, count, (number - 1) * count * width).astype(np.int64)
    values = (cells >> (made.HighBit + 1 - made.BitsStored)) & ((1 << made.BitsStored) - 1)
    if made.PixelRepresentation:
        values = np.where(values >= 1 << (made.BitsStored - 1), values - (1 << made.BitsStored), values)
    return values


def _colour(made: Dataset, number: int) -> np.ndarray:
    values = stored_values(made, number)
    if made.PlanarConfiguration:
        pixels = values.reshape(3, made.Rows, made.Columns).transpose(1, 2, 0)
    else:
        pixels = values.reshape(made.Rows, made.Columns, 3)
    if made.PhotometricInterpretation == "YBR_FULL":
        middle = 1 << (made.BitsStored - 1)
        luma, blue, red = (pixels[..., 0], pixels[..., 1] - middle, pixels[..., 2] - middle)
        channels = (luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue)
        pixels = np.clip(np.stack(channels, 2), 0, (1 << made.BitsStored) - 1)
    return np.floor(pixels * 256 / (1 << made.BitsStored)).astype(np.uint8)


def _by_palette(stored: np.ndarray, made: Dataset) -> np.ndarray:
    channels = []
    for name in ("Red", "Green", "Blue"):
        entries, first, bits = made[f"{name}PaletteColorLookupTableDescriptor"].value
        data = np.frombuffer(made[f"{name}PaletteColorLookupTableData"].value, "<u2" if bits == 16 else "u1")
        places = np.clip(stored - first, 0, (entries or 65_536) - 1)
        channels.append(data[places] >> (bits - 8))
    return np.stack(channels, 2).astype(np.uint8)


def _grey(made: Dataset, number: int, asked: tuple[float, float] | None) -> np.ndarray:
    stored = stored_values(made, number).reshape(made.Rows, made.Columns)
    shown = levels(made, number).reshape(stored.shape)
    unit = _window(shown, *asked, "LINEAR") if asked else _voi(shown, made, number)
    # One inversion, told twice (PS3.3 C.8.11.3): the shape is the last step (PS3.4 N.2.1.4).
    if made.get("PresentationLUTShape", _SHAPES[made.PhotometricInterpretation]) == "INVERSE":
        unit = 1.0 - unit
    picture = np.rint(unit * 255).astype(np.uint8)
    if "PixelPaddingValue" in made:
        ends = made.PixelPaddingValue, made.get("PixelPaddingRangeLimit", made.PixelPaddingValue)
        picture[(stored >= min(ends)) & (stored <= max(ends))] = 0
    return picture


def _told(made: Dataset, number: int, macro: str) -> Dataset:
    """The frame's own functional group, else the shared one, else the data set."""
    groups = list(made.get("PerFrameFunctionalGroupsSequence", [])[number - 1 : number])
    groups += made.get("SharedFunctionalGroupsSequence", [])
    return next((group[macro].value[0] for group in groups if macro in group), made)


def levels(made: Dataset, number: int = 1) -> np.ndarray:
    """Stored values in output units (PS3.3 C.11.1)."""
    stored = stored_values(made, number)
    if "ModalityLUTSequence" in made:
        return _looked_up(stored, made.ModalityLUTSequence[0])
    told = _told(made, number, "PixelValueTransformationSequence")
    return stored * float(told.get("RescaleSlope", 1)) + float(told.get("RescaleIntercept", 0))


def _looked_up(values: np.ndarray, item: Dataset) -> np.ndarray:
    entries, first, _ = item.LUTDescriptor
    places = np.clip(values.astype(np.int64) - first, 0, (entries or 65_536) - 1)
    return np.array(item.LUTData)[places].astype(float)


def _voi(levels: np.ndarray, made: Dataset, number: int) -> np.ndarray:
    told = _told(made, number, "FrameVOILUTSequence")
    if "VOILUTSequence" in told:
        item = told.VOILUTSequence[0]
        return _looked_up(np.rint(levels), item) / ((1 << item.LUTDescriptor[2]) - 1)
    center, width = (float(np.atleast_1d(told[name].value)[0]) for name in ("WindowCenter", "WindowWidth"))
    return _window(levels, center, width, str(told.get("VOILUTFunction", "LINEAR")))


def _window(levels: np.ndarray, center: float, width: float, function: str) -> np.ndarray:
    """0 to 1 by PS3.3 C.11.2.1.2 and C.11.2.1.3, the conditions as they stand there."""
    if function == "SIGMOID":
        return 1 / (1 + np.exp(np.clip(-4 * (levels - center) / width, -700, 700)))
    if function == "LINEAR_EXACT":
        rising = (levels - center) / width + 0.5
        return np.select([levels <= center - width / 2, levels > center + width / 2], [0.0, 1.0], rising)
    rising = (levels - (center - 0.5)) / max(width - 1, 1e-9) + 0.5
    dark, bright = levels <= center - 0.5 - (width - 1) / 2, levels > center - 0.5 + (width - 1) / 2
    return np.select([dark, bright], [0.0, 1.0], rising)
