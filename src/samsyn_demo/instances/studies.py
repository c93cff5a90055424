"""Whole studies: an examination goes in, its DICOM objects come out one at a time, ready to send."""

from collections.abc import Iterator
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from samsyn_demo.drawing.fields import Array
from samsyn_demo.history import Examination
from samsyn_demo.images import (
    brain,
    chest_xray,
    ecg,
    echo,
    knee,
    lesions,
    mammogram,
    paper,
    thorax,
    ultrasound,
)
from samsyn_demo.instances import objects, samples, structured
from samsyn_demo.instances.objects import Instance, Series, SeriesObjects
from samsyn_demo.seed import pick, stream


def study(examination: Examination) -> Iterator[Instance]:
    """Every object of the examination's study; nothing when it has no pictures."""
    if not examination.images:
        return
    makers = {
        "chest": _chest,
        "ct-chest": _ct_trunk,
        "ct-abdomen": _ct_trunk,
        "ct-head": _ct_head,
        "mr-brain": _mr_brain,
        "knee": _knee,
        "us-abdomen": _abdomen_stills,
        "us-aorta": _abdomen_stills,
        "mammography": _mammography,
        "echo": _echo,
        "ecg": _ecg,
    }
    maker = makers.get(examination.kind.key)
    if maker is None:
        yield samples.instance_of(examination)
    else:
        yield from maker(examination)
    yield from structured.reports(examination)
    if examination.paper:
        yield _paper(examination)


def count(examination: Examination) -> int:
    """How many objects `study` makes of the examination, without making them."""
    if not examination.images:
        return 0
    kind, case = examination.kind.key, examination.case.name
    counts = {"ct-head": 28, "mr-brain": 28 * len(_SEQUENCES), "mammography": 4, "echo": 2, "ct-abdomen": 20}
    if kind == "chest":
        number = len(_chest_views(examination))
    elif kind == "ct-chest":
        number = len(_chosen_slices(examination))
    elif (kind, case) in _SCENES:
        number = len(_SCENES[kind, case])
    else:
        number = counts.get(kind, 1)
    return number + structured.count(examination) + examination.paper


def _size(examination: Examination) -> float:
    """How large the person is compared with the model: the same in every examination of one person."""
    base = {"F": 0.96, "M": 1.02}[examination.person.sex]
    return base * float(stream("size", examination.person.key).uniform(0.97, 1.03))


def _lossless(examination: Examination) -> str:
    """The transfer syntax in which the provider's archive sends large pictures."""
    return objects.JPEG_LS if examination.provider.key == "klara" else objects.LOSSLESS_JPEG


_CHEST_FINDINGS: dict[str, tuple[chest_xray.Finding, ...]] = {
    "pneumonia": (chest_xray.Finding((0.32, 0.60), (0.12, 0.10), 24),),
    "nodule": (chest_xray.Finding((0.715, 0.30), (0.030, 0.024), 15, "nodule"),),
    "effusion": (chest_xray.Finding((0.87, 0.83), (0.16, 0.08), 62, "fluid"),),
    "failure": (
        chest_xray.Finding((0.87, 0.85), (0.16, 0.06), 50, "fluid"),
        chest_xray.Finding((0.13, 0.85), (0.16, 0.05), 40, "fluid"),
        chest_xray.Finding((0.35, 0.48), (0.13, 0.14), 9),
        chest_xray.Finding((0.68, 0.48), (0.13, 0.14), 9),
    ),
}


@cache
def _chest_base(large_heart: bool, breasts: bool, view: chest_xray.View) -> Array:
    if breasts:
        return _chest_base(large_heart, False, view) + chest_xray.breasts()
    return chest_xray.base(1.16 if large_heart else 1.0, view)


def _chest_views(examination: Examination) -> tuple[chest_xray.View, ...]:
    """Klara Röntgen takes two views, the hospital one."""
    two = examination.provider.key == "klara" and examination.case.name != "failure"
    return ("frontal", "lateral") if two else ("frontal",)


def _chest(examination: Examination) -> Iterator[Instance]:
    case, person = examination.case.name, examination.person
    large = case == "failure"
    for number, view in enumerate(_chest_views(examination), start=1):
        series = Series(examination, number, "CR", "Thorax PA" if view == "frontal" else "Thorax sida")
        making = SeriesObjects(series)
        data = making.new(objects.CR_IMAGE, number, _lossless(examination))
        base = _chest_base(large, person.sex == "F" and view == "frontal", view)
        findings = _CHEST_FINDINGS.get(case, ()) if view == "frontal" else ()
        side = "R" if view == "frontal" else "L"
        pixels = chest_xray.picture(base, f"{examination.key}/{view}", _size(examination), findings, side)
        data.ImageType = ["ORIGINAL", "PRIMARY"]
        data.ViewPosition = "PA" if view == "frontal" else "LL"
        data.PatientOrientation = ["L", "F"] if view == "frontal" else ["P", "F"]
        data.PatientPosition = ""
        data.KVP = "125"
        data.Exposure = "2"
        data.CassetteOrientation, data.PlateType = "PORTRAIT", "STANDARD"
        data.ImagerPixelSpacing = [f"{chest_xray.SPACING_MM:g}"] * 2
        data.PixelSpacing = [f"{chest_xray.SPACING_MM:g}"] * 2
        data.PixelIntensityRelationship, data.PixelIntensityRelationshipSign = "LOG", 1
        data.BurnedInAnnotation = "NO"
        objects.put_windows(data, [(2000, 4000, "Standard"), (1400, 2600, "Lunga")])
        data.PresentationLUTShape = "IDENTITY"
        objects.put_grey(data, pixels, 12)
        yield making.finish(data)


@cache
def _trunk() -> thorax.Volume:
    return thorax.volume(80)


_WINDOWS = {
    "ct-chest": [(40, 400, "Mjukdel"), (-550, 1600, "Lunga"), (400, 1800, "Skelett")],
    "ct-abdomen": [(50, 380, "Buk"), (400, 1800, "Skelett")],
}


def _chosen_slices(examination: Examination) -> range:
    """Which slices of the whole volume the examination has."""
    if examination.kind.key == "ct-abdomen":
        return range(40, 80, 2)
    return range(80) if examination.slices == 80 else range(2, 58, 1 if examination.slices else 2)


def _ct_trunk(examination: Examination) -> Iterator[Instance]:
    """Chest (the whole volume or every other slice of its upper part) or abdomen (its lower part)."""
    volume = _trunk()
    chest = examination.kind.key == "ct-chest"
    chosen = _chosen_slices(examination)
    values = lesions.in_trunk(volume, examination.case.name)
    factor = _size(examination)
    name = "Thorax 5 mm, venös fas" if chest else "Buk 5 mm, portovenös fas"
    series = Series(examination, 2, "CT", name)
    native = examination.provider.key == "nord" and examination.slices == 80
    syntax = objects.NATIVE if native else _lossless(examination)
    spacing = volume.spacing_mm * factor
    half = (thorax.SIZE - 1) / 2 * spacing
    order = stream("ct", examination.key)
    down, right = int(order.integers(-4, 5)), int(order.integers(-5, 6))
    making = SeriesObjects(series)
    objects.put_frame(making.shared, series, spacing, volume.thickness_mm * chosen.step)
    _ct_terms(making.shared, "120", "B30f" if chest else "B40f")
    making.shared.ContrastBolusAgent = "Omnipaque 350 mg I/ml"
    making.shared.ContrastBolusRoute, making.shared.ContrastBolusVolume = "IV", "90"
    making.shared.CTDIvol = 6.4
    objects.put_windows(making.shared, _WINDOWS[examination.kind.key])
    objects.put_grey_layout(making.shared, thorax.SIZE, thorax.SIZE, 16, objects.stored_bits(12, syntax))
    making.shared.XRayTubeCurrent = 210
    for number, index in enumerate(chosen, start=1):
        height = volume.top_mm - index * volume.thickness_mm
        corner = (-half + right * spacing, -half + down * spacing, height)
        plane = _stored(np.roll(values[index], (-down, -right), (0, 1)))
        yield making.plane(objects.CT_IMAGE, number, syntax, corner, plane)


def _stored(hounsfield: NDArray[np.int16]) -> NDArray[np.uint16]:
    """Stored values of a CT slice: Hounsfield + 1024 in 12 bits."""
    return (np.clip(hounsfield, -1024, 3071) + 1024).astype(np.uint16)


def _ct_terms(data: Dataset, kvp: str, kernel: str) -> None:
    """The CT image module."""
    data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.AcquisitionNumber = 1
    data.KVP = kvp
    data.ExposureTime = 500
    data.ConvolutionKernel = kernel
    data.GantryDetectorTilt = "0"
    data.TableHeight = "140"
    data.RotationDirection = "CW"
    data.RescaleIntercept, data.RescaleSlope, data.RescaleType = "-1024", "1", "HU"


@cache
def _head(aged: bool) -> brain.Head:
    return brain.head(28, 0.75 if aged else 0.12)


def _skull(examination: Examination) -> brain.Head:
    case = examination.case.name
    aged = case in ("aged", "subdural")
    return brain.with_spots(_head(aged), lesions.IN_BRAIN.get(case, ()))


def _ct_head(examination: Examination) -> Iterator[Instance]:
    values = brain.ct(_skull(examination), examination.key, _size(examination) ** 0.5)
    series = Series(examination, 2, "CT", "Hjärna 5 mm")
    half = (brain.SIZE - 1) / 2 * brain.SPACING_MM
    making = SeriesObjects(series)
    objects.put_frame(making.shared, series, brain.SPACING_MM, brain.THICKNESS_MM)
    _ct_terms(making.shared, "120", "H31s")
    making.shared.CTDIvol, making.shared.XRayTubeCurrent = 42.0, 310
    objects.put_windows(making.shared, [(38, 80, "Hjärna"), (600, 2800, "Skelett"), (60, 180, "Subduralt")])
    syntax = _lossless(examination)
    objects.put_grey_layout(making.shared, brain.SIZE, brain.SIZE, 16, objects.stored_bits(12, syntax))
    for number, plane in enumerate(values, start=1):
        corner = (-half, -half, brain.BOTTOM_MM + (number - 1) * brain.THICKNESS_MM)
        yield making.plane(objects.CT_IMAGE, number, syntax, corner, _stored(plane))


_SEQUENCES = (
    ("T1", "T1 SE tra", "SE", 500.0, 12.0, 0.0, 1),
    ("T2", "T2 TSE tra", "SE", 4800.0, 98.0, 0.0, 15),
    ("FLAIR", "T2 FLAIR tra", "IR", 9000.0, 110.0, 2500.0, 15),
)
"""Weighting, name, scanning sequence, repetition, echo and inversion time (ms), echo train length."""


def _mr_brain(examination: Examination) -> Iterator[Instance]:
    model = _skull(examination)
    spacing = 2 * brain.SPACING_MM
    half = (brain.SIZE // 2 - 1) / 2 * spacing
    factor = _size(examination) ** 0.5
    for number, (weighting, name, kind, repetition, echo_time, inversion, train) in enumerate(_SEQUENCES, 2):
        series = Series(examination, number, "MR", name, minutes=3.0 * number)
        making = SeriesObjects(series)
        objects.put_frame(making.shared, series, spacing, brain.THICKNESS_MM)
        making.shared.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"]
        making.shared.ScanningSequence, making.shared.SequenceVariant, making.shared.ScanOptions = (
            kind,
            "SK",
            "PFP",
        )
        making.shared.MRAcquisitionType, making.shared.SequenceName = "2D", weighting
        making.shared.RepetitionTime, making.shared.EchoTime = f"{repetition:g}", f"{echo_time:g}"
        if inversion:
            making.shared.InversionTime = f"{inversion:g}"
        making.shared.EchoTrainLength, making.shared.NumberOfAverages, making.shared.EchoNumbers = (
            train,
            "1",
            1,
        )
        making.shared.MagneticFieldStrength, making.shared.ImagingFrequency, making.shared.ImagedNucleus = (
            "1.5",
            "63.87",
            "1H",
        )
        making.shared.FlipAngle, making.shared.PixelBandwidth = "90" if kind == "SE" else "150", "130"
        making.shared.AcquisitionMatrix = [0, 256, 256, 0]
        making.shared.InPlanePhaseEncodingDirection = "ROW"
        making.shared.SpacingBetweenSlices = f"{brain.THICKNESS_MM:g}"
        objects.put_windows(making.shared, [(480, 960, "Standard")])
        objects.put_grey_layout(making.shared, brain.SIZE // 2, brain.SIZE // 2, 16, 12)
        for place, plane in enumerate(brain.mr(model, weighting, examination.key, factor), start=1):
            corner = (-half, -half, brain.BOTTOM_MM + (place - 1) * brain.THICKNESS_MM)
            pixels = np.minimum(plane, 4095).astype(np.uint16)
            yield making.plane(objects.MR_IMAGE, place, objects.NATIVE, corner, pixels)


@cache
def _knee_base(arthrosis: bool) -> Array:
    return knee.base(0.85 if arthrosis else 0.0)


def _knee(examination: Examination) -> Iterator[Instance]:
    side: Literal["L", "R"] = "R" if examination.side == "höger" else "L"
    series = Series(examination, 1, "DX", f"Knä frontal {examination.side}")
    making = SeriesObjects(series)
    data = making.new(objects.DX_IMAGE, 1, _lossless(examination))
    pixels = knee.picture(_knee_base(examination.case.name == "arthrosis"), examination.key, side)
    _projection(data, side, "AP", knee.SPACING_MM)
    data.PatientOrientation = ["L", "F"]
    data.AnatomicRegionSequence = Sequence([objects.code("72696002", "SCT", "Knee")])
    data.PositionerType = "NONE"
    data.KVP, data.Exposure = "60", "4"
    objects.put_windows(data, [(2000, 3900, "Standard")])
    objects.put_grey(data, pixels, 12)
    yield making.finish(data)


def _projection(data: Dataset, side: str, view: str, spacing: float) -> None:
    """DX image, detector and acquisition context modules (PS3.3 C.8.11)."""
    data.ImageType = ["DERIVED", "PRIMARY"]
    data.PresentationIntentType = "FOR PRESENTATION"
    data.ImageLaterality = side
    data.ViewPosition = view
    data.PixelIntensityRelationship, data.PixelIntensityRelationshipSign = "LOG", 1
    data.RescaleIntercept, data.RescaleSlope, data.RescaleType = "0", "1", "US"
    data.PresentationLUTShape = "IDENTITY"
    data.LossyImageCompression = "00"
    data.BurnedInAnnotation = "NO"
    data.DetectorType, data.DetectorID = "DIRECT", "D1"
    data.ImagerPixelSpacing = [f"{spacing:g}"] * 2
    data.AcquisitionContextSequence = Sequence([])


_MG_VIEWS = {"CC": ("399162004", "cranio-caudal"), "MLO": ("399368009", "medio-lateral oblique")}


def _mammography(examination: Examination) -> Iterator[Instance]:
    density: Literal["fatty", "dense"] = pick(("fatty", "dense"), "density", examination.person.key)
    mass = mammogram.Mass(0.36, 0.42, 7.0, 16) if examination.case.name == "mass" else None
    # One of the archive's older pictures is kept as JPEG 2000, the rest as JPEG-LS.
    syntax = objects.JPEG_2000 if examination.when.year % 4 == 0 else objects.JPEG_LS
    number = 0
    for view in ("CC", "MLO"):
        for side in ("R", "L"):
            number += 1
            series = Series(examination, number, "MG", f"{side} {view}")
            making = SeriesObjects(series)
            data = making.new(objects.MG_IMAGE, number, syntax)
            seen = mass if side == "L" else None
            pixels = mammogram.picture(view, side, density, examination.person.key, seen)
            _projection(data, side, view, mammogram.SPACING_MM)
            inwards = "P" if side == "R" else "A"
            data.PatientOrientation = [inwards, ("L" if side == "R" else "R") if view == "CC" else "F"]
            concept, meaning = _MG_VIEWS[view]
            projection = objects.code(concept, "SCT", meaning)
            projection.ViewModifierCodeSequence = Sequence([])
            data.ViewCodeSequence = Sequence([projection])
            data.AnatomicRegionSequence = Sequence([objects.code("76752008", "SCT", "Breast")])
            data.PositionerType, data.PositionerPrimaryAngle = "MAMMOGRAPHIC", "0" if view == "CC" else "45"
            data.OrganExposed, data.BreastImplantPresent, data.PartialView = "BREAST", "NO", "NO"
            data.KVP, data.AnodeTargetMaterial, data.FilterMaterial = "29", "TUNGSTEN", "RHODIUM"
            data.BodyPartThickness, data.CompressionForce, data.OrganDose = "52", "108", "0.0112"
            data.PixelSpacing = [f"{mammogram.SPACING_MM:g}"] * 2
            objects.put_windows(data, [(1750, 3000, "Standard")])
            objects.put_grey(data, pixels, 12)
            yield making.finish(data)


def _region(data: Dataset, rows: int, columns: int, mm_per_pixel: float) -> None:
    """US region calibration (PS3.3 C.8.5.5): lengths can be measured in the picture."""
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = 1, 1, 0
    region.RegionLocationMinX0, region.RegionLocationMinY0 = 0, 40
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = columns - 1, rows - 1
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX = region.PhysicalDeltaY = mm_per_pixel / 10
    data.SequenceOfUltrasoundRegions = Sequence([region])
    data.ImageType = ["ORIGINAL", "PRIMARY"]
    data.PatientOrientation = ""
    data.BurnedInAnnotation = "NO"


_SCENES: dict[tuple[str, str], tuple[tuple[ultrasound.Scene, str], ...]] = {
    ("us-abdomen", "gallstone"): (
        ("stone", "Gallblåsa"),
        ("liver", "Lever och höger njure"),
        ("aorta", "Aorta"),
    ),
    ("us-abdomen", "normal"): (("gallbladder", "Gallblåsa"), ("liver", "Lever och höger njure")),
    ("us-abdomen", "hydronephrosis"): (("hydronephrosis", "Höger njure"), ("gallbladder", "Gallblåsa")),
    ("us-aorta", "aorta"): (("aorta", "Bukaorta längs"), ("liver", "Lever och höger njure")),
    ("us-aorta", "aneurysm"): (("aneurysm", "Bukaorta längs"), ("liver", "Lever och höger njure")),
}
_PLAIN = str.maketrans("åäöÅÄÖ", "aaoAAO")


def _abdomen_stills(examination: Examination) -> Iterator[Instance]:
    series = Series(examination, 1, "US", examination.title)
    scenes = _SCENES[examination.kind.key, examination.case.name]
    for number, (scene, name) in enumerate(scenes, start=1):
        native = examination.provider.key == "nord"
        making = SeriesObjects(series)
        data = making.new(objects.US_IMAGE, number, objects.NATIVE if native else objects.JPEG)
        pixels = ultrasound.still(scene, examination.key, name.translate(_PLAIN))
        _region(data, ultrasound.ROWS, ultrasound.COLUMNS, ultrasound.MM_PER_PIXEL)
        data.ImageComments = name
        objects.put_windows(data, [(128, 256, "Standard")])
        if native:
            objects.put_grey(data, pixels, 8)
            data.LossyImageCompression = "00"
        else:
            objects.put_grey_jpeg(data, pixels)
        yield making.finish(data)


@cache
def _beat(view: echo.View, weak: bool) -> list[bytes]:
    heart = echo.Heart(0.38, 1.28) if weak else echo.Heart()
    frames = echo.cine(view, heart, f"Klin fys Nordsjukhuset   {view}")
    return [objects.jpeg(frame) for frame in frames]


def _echo(examination: Examination) -> Iterator[Instance]:
    views: tuple[tuple[echo.View, str], ...] = (("A4C", "Apikal fyrkammarbild"), ("PSAX", "Kortaxel"))
    series = Series(examination, 1, "US", "Ekokardiografi", device="echo")
    for number, (view, name) in enumerate(views, start=1):
        making = SeriesObjects(series)
        data = making.new(objects.US_CINE, number, objects.JPEG)
        _region(data, echo.ROWS, echo.COLUMNS, echo.MM_PER_PIXEL)
        data.ImageComments = name
        data.FrameIncrementPointer = 0x00181063
        data.FrameTime = f"{echo.FRAME_TIME_MS:g}"
        data.CineRate = round(1000 / echo.FRAME_TIME_MS)
        data.RecommendedDisplayFrameRate = data.CineRate
        data.HeartRate = round(60_000 / (echo.FRAMES * echo.FRAME_TIME_MS))
        data.NumberOfStages, data.StageNumber, data.NumberOfViewsInStage, data.ViewNumber = 1, 1, 2, number
        beat = _beat(view, examination.case.name == "reduced")
        # The loop is caught at another moment of the beat for everybody.
        first = int(stream("beat", examination.key, view).integers(len(beat)))
        objects.put_colour_cine(data, beat[first:] + beat[:first], echo.ROWS, echo.COLUMNS)
        yield making.finish(data)


_LEAD_CODES = {
    "I": "1", "II": "2", "III": "61", "aVR": "62", "aVL": "63", "aVF": "64",
    "V1": "3", "V2": "4", "V3": "5", "V4": "6", "V5": "7", "V6": "8",
}  # fmt: skip
"""MDC lead numbers of PS3.16 CID 3001 (2:n)."""


def _ecg(examination: Examination) -> Iterator[Instance]:
    series = Series(examination, 1, "ECG", "Vilo-EKG 12 avledningar")
    making = SeriesObjects(series)
    data = making.new(objects.ECG_12_LEAD, 1)
    rhythm: ecg.Rhythm = "fibrillation" if examination.case.name == "fibrillation" else "sinus"
    samples = ecg.samples(examination.key, rhythm, 90.0 if rhythm == "fibrillation" else 68.0)
    moment = series.start
    data.AcquisitionDateTime = f"{moment:%Y%m%d%H%M%S}"
    data.AcquisitionContextSequence = Sequence([])
    group = Dataset()
    group.MultiplexGroupLabel, group.WaveformOriginality = "RHYTHM", "ORIGINAL"
    group.NumberOfWaveformChannels, group.NumberOfWaveformSamples = len(ecg.LEADS), len(samples)
    group.SamplingFrequency = str(ecg.RATE_HZ)
    group.ChannelDefinitionSequence = Sequence(
        [_channel(number, lead) for number, lead in enumerate(ecg.LEADS, 1)]
    )
    group.WaveformBitsAllocated, group.WaveformSampleInterpretation = 16, "SS"
    group.WaveformData = samples.astype("<i2").tobytes()
    group["WaveformData"].VR = "OW"
    data.WaveformSequence = Sequence([group])
    yield making.finish(data)


def _channel(number: int, lead: str) -> Dataset:
    channel = Dataset()
    channel.WaveformChannelNumber = number
    channel.ChannelLabel = lead
    channel.ChannelSourceSequence = Sequence([objects.code(f"2:{_LEAD_CODES[lead]}", "MDC", f"Lead {lead}")])
    channel.ChannelSensitivity = f"{ecg.MICROVOLTS_PER_STEP:g}"
    channel.ChannelSensitivityUnitsSequence = Sequence([objects.code("uV", "UCUM", "microvolt")])
    channel.ChannelSensitivityCorrectionFactor, channel.ChannelBaseline = "1", "0"
    channel.ChannelTimeSkew, channel.WaveformBitsStored = "0", 16
    channel.FilterLowFrequency, channel.FilterHighFrequency = "0.05", "150"
    return channel


def _paper(examination: Examination) -> Instance:
    """The referral on paper, scanned at arrival (Encapsulated PDF, PS3.3 A.45.1)."""
    series = Series(examination, 90, "DOC", "Skannad remiss", device=examination.kind.modality)
    making = SeriesObjects(series)
    data = making.new(objects.PDF, 1)
    person = examination.person
    page = paper.scan(
        "REMISS",
        (
            ("Patient", f"{person.hyphened}  {person.given} {person.family}"),
            ("Remittent", f"{examination.referrer.name}, {examination.referrer_unit.name}"),
            ("Önskad undersökning", examination.title),
            ("Anamnes", examination.case.history),
            ("Frågeställning", examination.case.question),
        ),
        f"ANKOM\n{examination.ordered:%Y-%m-%d}",
        examination.key,
    )
    data.ConversionType = "SD"
    data.BurnedInAnnotation = "YES"
    data.DocumentTitle = "Remiss"
    data.ConceptNameCodeSequence = Sequence([objects.code("57133-1", "LN", "Referral note")])
    data.MIMETypeOfEncapsulatedDocument = "application/pdf"
    document = paper.pdf(page, "Remiss", examination.ordered)
    data.EncapsulatedDocumentLength = len(document)
    data.EncapsulatedDocument = document + b"\0" * (len(document) % 2)
    data["EncapsulatedDocument"].VR = "OB"
    return making.finish(data)
