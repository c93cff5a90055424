"""What the cases put into the volumes: the same names as in `texts.cases`."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from samsyn_demo.drawing.fields import Array, cloud
from samsyn_demo.images import thorax, thorax_shape
from samsyn_demo.images.brain import Spot, Tissue
from samsyn_demo.seed import stream

_WHITE = (Tissue.WHITE,)
_BRAIN = (Tissue.WHITE, Tissue.GREY, Tissue.CSF, Tissue.NUCLEUS)


def _periventricular(count: int, size: float, name: str) -> tuple[Spot, ...]:
    chance = stream("spots", name)
    spots = []
    for _ in range(count):
        side = 1 if chance.uniform() < 0.5 else -1
        centre = (side * chance.uniform(15, 26), chance.uniform(-38, 48), chance.uniform(14, 36))
        radii = (
            size * chance.uniform(1.0, 1.9),
            size * chance.uniform(0.6, 1.1),
            size * chance.uniform(0.9, 1.4),
        )
        spots.append(Spot(Tissue.LESION, (float(centre[0]), float(centre[1]), float(centre[2])),
                          (float(radii[0]), float(radii[1]), float(radii[2])), _WHITE))  # fmt: skip
    return tuple(spots)


IN_BRAIN: dict[str, tuple[Spot, ...]] = {
    "aged": (
        *_periventricular(40, 4.2, "aged"),
        Spot(Tissue.LESION, (-17, -36, 16), (7, 9, 8), _WHITE),
        Spot(Tissue.LESION, (17, -36, 16), (7, 9, 8), _WHITE),
        Spot(Tissue.LESION, (-26, 44, 16), (8, 10, 9), _WHITE),
        Spot(Tissue.LESION, (26, 44, 16), (8, 10, 9), _WHITE),
    ),
    "ms": (*_periventricular(11, 2.6, "ms"), Spot(Tissue.LESION, (-32, -34, 24), (4, 5, 4), _WHITE)),
    "infarct": (
        Spot(Tissue.LESION, (-48, -4, 12), (19, 27, 23), (Tissue.WHITE, Tissue.GREY)),
        Spot(Tissue.LESION, (-26, -5, 6), (6, 13, 9), (Tissue.NUCLEUS, Tissue.WHITE)),
    ),
    "subdural": tuple(
        Spot(
            Tissue.HAEMATOMA,
            (66.0 - 0.0052 * (y - 2) ** 2, float(y), 22.0),
            (8.5, 11, 34),
            (*_BRAIN, Tissue.DURA),
        )
        for y in range(-54, 50, 8)
    ),
    "meningioma": (Spot(Tissue.TUMOUR, (37, -54, 24), (11, 9, 12), _BRAIN),),
}
"""Lesions by case; the patient's right is at negative x."""


@cache
def in_trunk(volume: thorax.Volume, case: str) -> NDArray[np.int16]:
    """The chest and abdomen volume with what the case found. Volumes compare by identity."""
    painters = {
        "tumour": _tumour, "embolism": _embolism, "effusion": _effusion, "cyst": _cyst, "metastases": _metastases,
    }  # fmt: skip
    if case not in painters:
        return volume.values
    values = volume.values.copy()
    painters[case](volume, values)
    return values


def _axes(volume: thorax.Volume) -> tuple[Array, Array]:
    axis = (np.arange(thorax.SIZE, dtype=np.float32) - (thorax.SIZE - 1) / 2) * np.float32(volume.spacing_mm)
    return axis[None, :], (axis + 6.0)[:, None]


def _blend(plane: NDArray[np.int16], share: Array, value: Array | float) -> None:
    plane[...] = np.rint(plane + share * (value - plane)).astype(np.int16)


def _ball(
    volume: thorax.Volume,
    values: NDArray[np.int16],
    centre: tuple[float, float, float],
    radius: float,
    hounsfield: float,
    rough: float = 0.0,
    only: tuple[float, float] = (-1100, 3000),
) -> None:
    """A ball of density at `centre`, with an edge that waves by `rough` mm, over voxels within `only`."""
    x, y = _axes(volume)
    reach = radius + 4 * rough + 2
    columns = slice(*np.searchsorted(x[0], [centre[0] - reach, centre[0] + reach]))
    rows = slice(*np.searchsorted(y[:, 0], [centre[1] - reach, centre[1] + reach]))
    x, y = x[:, columns], y[rows]
    ripple = np.float32(rough) * cloud(len(y), x.shape[1], 7, stream("ball", *centre)) if rough else 0
    for index, whole in enumerate(values):
        z = volume.top_mm - index * volume.thickness_mm
        if abs(z - centre[2]) > reach:
            continue
        plane = whole[rows, columns]
        away = np.sqrt((x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2)
        share = np.clip((radius + ripple - away) / 0.9 + 0.5, 0, 1) * ((plane > only[0]) & (plane < only[1]))
        _blend(plane, np.asarray(share, np.float32), hounsfield)


def _tumour(volume: thorax.Volume, values: NDArray[np.int16]) -> None:
    """22 mm in the left upper lobe, with spicules; the plain picture shows it in the same place."""
    centre = (62.0, -18.0, 62.0)
    _ball(volume, values, centre, 10.5, 52, 1.3)
    chance = stream("spicules")
    for _ in range(16):
        way = chance.normal(0, 1, 3)
        way /= np.linalg.norm(way)
        for step_mm in np.arange(9, 19, 1.2):
            place = tuple(float(c + w * step_mm) for c, w in zip(centre, way, strict=True))
            _ball(
                volume,
                values,
                (place[0], place[1], place[2]),
                1.9 - 0.07 * (step_mm - 9),
                -180,
                0.0,
                (-1100, -300),
            )
    _ball(volume, values, (34.0, 6.0, 42.0), 4.4, 62)
    _ball(volume, values, (-78.0, 62.0, -82.0), 2.3, -60, 0.0, (-1100, -300))


def _embolism(volume: thorax.Volume, values: NDArray[np.int16]) -> None:
    for place, radius in (((-38.0, 5.0, 4.0), 5.5), ((-46.0, 9.0, -6.0), 5.0), ((-50.0, 16.0, -24.0), 4.2),
                          ((-54.0, 24.0, -40.0), 3.6)):  # fmt: skip
        _ball(volume, values, place, radius, 48, 0.4, (30, 3000))
    _ball(volume, values, (-112.0, 42.0, -88.0), 11.0, 35, 2.5, (-1100, -300))


def _effusion(volume: thorax.Volume, values: NDArray[np.int16]) -> None:
    """Water behind the right lung, with a level that bends up at the wall."""
    x, y = _axes(volume)
    noise = 11 * cloud(thorax.SIZE, thorax.SIZE, 2, stream("effusion"))
    for index, plane in enumerate(values):
        z = volume.top_mm - index * volume.thickness_mm
        level = 48 - 0.42 * (10 - z) - 0.0016 * (x + 60) ** 2
        inside = thorax_shape.pleura_rho(x, y, np.full(1, z, np.float32), -1.0) < 1
        wet = inside & (plane < -250) & (x < -8) & (y > level)
        plane[wet] = np.rint((12 + noise)[wet]).astype(np.int16)


def _cyst(volume: thorax.Volume, values: NDArray[np.int16]) -> None:
    _ball(volume, values, (-96.0, 18.0, -152.0), 14.0, 6, 0.4, (40, 400))


def _metastases(volume: thorax.Volume, values: NDArray[np.int16]) -> None:
    for place, radius in (((-88.0, 30.0, -182.0), 12.0), ((-56.0, -30.0, -142.0), 8.5),
                          ((-104.0, -10.0, -166.0), 7.0), ((-20.0, -40.0, -130.0), 7.5)):  # fmt: skip
        _ball(volume, values, place, radius, 104, 0.7, (40, 400))
        _ball(volume, values, place, radius - 2.6, 66, 0.7, (40, 400))
