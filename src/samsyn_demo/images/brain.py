"""A head as a map of tissues, from which CT and MR contrasts are made.

x grows to the left, y to the back, z to the head, in mm; z = 0 is the level of the foramen of Monro.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from samsyn_demo.drawing.fields import Array, blur, cloud, fractal, grain, zoomed
from samsyn_demo.seed import stream

SIZE = 512
SPACING_MM = 0.47
"""Pixel size of the tissue map and the CT; the MR pictures have twice as large pixels."""
THICKNESS_MM = 5.0
BOTTOM_MM = -54.0
"""Height of the lowest slice."""


class Tissue(IntEnum):
    """What a pixel of the map is."""

    AIR = 0
    SKIN = 1
    FAT = 2
    MUSCLE = 3
    BONE = 4
    MARROW = 5
    CSF = 6
    GREY = 7
    WHITE = 8
    NUCLEUS = 9
    DURA = 10
    EYE = 11
    LENS = 12
    CELLS = 13
    """Air cells of the mastoid."""
    LESION = 14
    """White matter change or infarct."""
    HAEMATOMA = 15
    TUMOUR = 16
    MUCOSA = 17
    PALE = 18
    """Globus pallidus."""
    CHOROID = 19


_T = Tissue
CONTRASTS: dict[str, dict[Tissue, float]] = {
    "CT": {
        _T.AIR: -1000, _T.SKIN: 40, _T.FAT: -75, _T.MUSCLE: 55, _T.BONE: 1150, _T.MARROW: 520, _T.CSF: 6,
        _T.GREY: 39, _T.WHITE: 28, _T.NUCLEUS: 37, _T.DURA: 58, _T.EYE: 12, _T.LENS: 75, _T.CELLS: 200,
        _T.LESION: 18, _T.HAEMATOMA: 68, _T.TUMOUR: 52, _T.MUCOSA: 35, _T.PALE: 42, _T.CHOROID: 110,
    },
    "T1": {
        _T.AIR: 4, _T.SKIN: 480, _T.FAT: 980, _T.MUSCLE: 330, _T.BONE: 40, _T.MARROW: 420, _T.CSF: 95,
        _T.GREY: 400, _T.WHITE: 610, _T.NUCLEUS: 440, _T.DURA: 260, _T.EYE: 130, _T.LENS: 330, _T.CELLS: 45,
        _T.LESION: 380, _T.HAEMATOMA: 520, _T.TUMOUR: 400, _T.MUCOSA: 420, _T.PALE: 560, _T.CHOROID: 380,
    },
    "T2": {
        _T.AIR: 4, _T.SKIN: 380, _T.FAT: 640, _T.MUSCLE: 190, _T.BONE: 35, _T.MARROW: 330, _T.CSF: 1000,
        _T.GREY: 500, _T.WHITE: 330, _T.NUCLEUS: 410, _T.DURA: 160, _T.EYE: 980, _T.LENS: 200, _T.CELLS: 60,
        _T.LESION: 760, _T.HAEMATOMA: 240, _T.TUMOUR: 560, _T.MUCOSA: 800, _T.PALE: 290, _T.CHOROID: 620,
    },
    "FLAIR": {
        _T.AIR: 4, _T.SKIN: 420, _T.FAT: 690, _T.MUSCLE: 230, _T.BONE: 35, _T.MARROW: 340, _T.CSF: 70,
        _T.GREY: 470, _T.WHITE: 355, _T.NUCLEUS: 430, _T.DURA: 210, _T.EYE: 110, _T.LENS: 230, _T.CELLS: 50,
        _T.LESION: 900, _T.HAEMATOMA: 600, _T.TUMOUR: 640, _T.MUCOSA: 700, _T.PALE: 340, _T.CHOROID: 520,
    },
}  # fmt: skip
"""Brightness of each tissue: Hounsfield units for CT, arbitrary units for the MR weightings."""


@dataclass(frozen=True, slots=True)
class Spot:
    """An ellipsoid of another tissue: centre and radii in mm; only over `onto` if that is given."""

    tissue: Tissue
    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    onto: tuple[Tissue, ...] = ()


@dataclass(frozen=True, slots=True)
class Head:
    """A map of tissues (slices, rows, columns), feet first; `bottom_mm` is the first slice's height."""

    tissues: NDArray[np.uint8]
    bottom_mm: float


def head(slices: int = 28, age: float = 0.0, bottom_mm: float = BOTTOM_MM) -> Head:
    """A head with `slices` slices of 5 mm from the skull base; `age` 0..1 widens ventricles and sulci."""
    tissues = np.zeros((slices, SIZE, SIZE), np.uint8)
    folds = _Folds()
    for index in range(slices):
        tissues[index] = _Slice(bottom_mm + index * THICKNESS_MM, age, folds).paint()
    return Head(tissues, bottom_mm)


def with_spots(model: Head, spots: tuple[Spot, ...]) -> Head:
    """The same head with lesions."""
    tissues = model.tissues.copy()
    x, y = _axes()
    for spot in spots:
        may = np.zeros(256, bool)
        may[[int(tissue) for tissue in spot.onto or tuple(Tissue)]] = True
        may[Tissue.AIR] = False
        columns = slice(*np.searchsorted(x[0], _reach(spot.centre[0], spot.radii[0])))
        rows = slice(*np.searchsorted(y[:, 0], _reach(spot.centre[1], spot.radii[1])))
        for index, plane in enumerate(tissues):
            z = model.bottom_mm + index * THICKNESS_MM
            if abs(z - spot.centre[2]) >= spot.radii[2]:
                continue
            part = plane[rows, columns]
            inside = _ellipsoid(x[:, columns], y[rows], z, spot.centre, spot.radii) < 0
            part[inside & may[part]] = spot.tissue
    return Head(tissues, model.bottom_mm)


def _reach(centre: float, radius: float) -> tuple[float, float]:
    return centre - radius, centre + radius


def ct(model: Head, name: str, factor: float = 1.0) -> NDArray[np.int16]:
    """Hounsfield values (slices, 512, 512); `name` chooses noise, `factor` the head's size."""
    noise = grain((SIZE, SIZE), 3.4, stream("ct-head-noise", name))
    table = _table("CT")
    texture = 1.6 * cloud(SIZE, SIZE, 9, stream("ct-head-texture", name))
    out = np.empty(model.tissues.shape, np.int16)
    for index, tissues in enumerate(model.tissues):
        plane = blur(table[tissues], 1.0)
        plane += texture * (plane > -40) * (plane < 90)
        plane = zoomed(plane, factor) + np.roll(noise, 37 * index + 11, 0) * (1 + 0.4 * (index < 6))
        out[index] = np.rint(np.clip(plane, -1024, 3000)).astype(np.int16)
    return out


def mr(model: Head, weighting: str, name: str, factor: float = 1.0) -> NDArray[np.uint16]:
    """MR brightness (slices, 256, 256), 12 bits, with receive-coil shading and Rician noise."""
    chance = stream("mr-noise", name, weighting)
    half = SIZE // 2
    real, imaginary = grain((half, half), 13.0, chance), grain((half, half), 13.0, chance)
    shading = 1 + 0.10 * cloud(half, half, 130, chance)
    table = _table(weighting)
    out = np.empty((len(model.tissues), half, half), np.uint16)
    for index, tissues in enumerate(model.tissues):
        fine = table[tissues]
        coarse = (fine[::2, ::2] + fine[1::2, ::2] + fine[::2, 1::2] + fine[1::2, 1::2]) * np.float32(0.25)
        coarse = zoomed(blur(coarse, 0.5), factor) * shading
        moved = np.roll(real, 29 * index, 0) + coarse
        out[index] = np.rint(np.sqrt(moved**2 + np.roll(imaginary, 31 * index, 1) ** 2)).astype(np.uint16)
    return out


def _table(contrast: str) -> Array:
    values = CONTRASTS[contrast]
    return np.array([values[tissue] for tissue in Tissue], np.float32)


def _axes() -> tuple[Array, Array]:
    axis = (np.arange(SIZE, dtype=np.float32) - (SIZE - 1) / 2) * np.float32(SPACING_MM)
    return axis[None, :], axis[:, None]


def _ellipsoid(
    x: Array, y: Array, z: float, centre: tuple[float, float, float], radii: tuple[float, float, float]
) -> Array:
    """Signed distance in mm, roughly: negative inside."""
    rho = np.sqrt(
        ((x - centre[0]) / radii[0]) ** 2
        + ((y - centre[1]) / radii[1]) ** 2
        + ((z - centre[2]) / radii[2]) ** 2
    )
    return np.asarray((rho - 1) * min(radii), np.float32)


class _Folds:
    """The folding of the cortex: a smooth 3D field whose zero lines are the sulci."""

    def __init__(self) -> None:
        levels = 12
        self.step_mm = 13.0
        chance = stream("brain-folds")
        self.layers = [cloud(SIZE, SIZE, 11.0 / SPACING_MM, chance) for _ in range(levels)]
        self.fine = [cloud(SIZE, SIZE, 4.0 / SPACING_MM, chance) for _ in range(2)]
        self.warp = fractal(SIZE, SIZE, 60, 2, stream("brain-warp"))

    def at(self, z: float) -> Array:
        """The field at height z, about unit variance."""
        place = (z + 70) / self.step_mm % (len(self.layers) - 1)
        low = int(place)
        angle = (place - low) * np.pi / 2
        mixed = np.cos(angle) * self.layers[low] + np.sin(angle) * self.layers[low + 1]
        return np.asarray(mixed, np.float32)


class _Slice:
    """One axial plane of the map."""

    def __init__(self, z: float, age: float, folds: _Folds) -> None:
        self.z, self.age, self.folds = z, age, folds
        self.x, self.y = _axes()
        self.map: NDArray[np.uint8] = np.zeros((SIZE, SIZE), np.uint8)

    def put(self, inside: NDArray[np.bool_], tissue: Tissue) -> None:
        self.map[inside] = tissue

    def blob(
        self, centre: tuple[float, float, float], radii: tuple[float, float, float], tissue: Tissue
    ) -> None:
        """An ellipsoid on both sides (x mirrored), or one in the middle when x = 0."""
        if abs(self.z - centre[2]) < radii[2]:
            inside = _ellipsoid(np.abs(self.x) if centre[0] else self.x, self.y, self.z, centre, radii) < 0
            self.put(inside, tissue)

    def paint(self) -> NDArray[np.uint8]:
        skull = self._skull()
        self._brain(skull)
        self._deep()
        if self.z < -8:
            self._below()
        if self.z < -22:
            self._base(skull)
        return self.map

    def _outline(self) -> Array:
        """Signed distance to the inner table of the skull."""
        z = self.z
        height = np.sqrt(max(1 - ((z - 6) / (80 if z > 6 else 118)) ** 2, 0.0))
        if z < -42:
            height *= 1 - 0.006 * (-42 - z)
        wide = (66.0 + 0.075 * self.y) * height
        long = 84.0 * height
        rho = np.sqrt((self.x / np.maximum(wide, 1)) ** 2 + ((self.y - 2) / max(long, 1.0)) ** 2)
        ripple = 0.5 * self.folds.warp
        return np.asarray((rho - 1) * max(60 * height, 8) + ripple, np.float32)

    def _skull(self) -> Array:
        outline = self._outline()
        thick = 6.6 + 1.5 * np.cos(np.arctan2(self.x, -self.y) * 2)
        edge = outline - thick
        low = float(np.clip((14 - self.z) / 34, 0, 1))
        bulge = 8.5 * low * np.exp(-(((self.y + 16) / 24) ** 2)) * np.clip((np.abs(self.x) - 30) / 12, 0, 1)
        neck = 6.0 * float(np.clip((-18 - self.z) / 22, 0, 1)) * np.clip((self.y - 34) / 18, 0, 1)
        scalp = edge - bulge - neck
        self.put(scalp < 6.2, _T.SKIN)
        self.put(scalp < 4.6, _T.FAT)
        self.put((scalp < 1.2) & (bulge + neck > 1.0), _T.MUSCLE)
        self.put(edge < 0, _T.BONE)
        self.put((edge < -1.9) & (outline > 1.9), _T.MARROW)
        self.put(outline < 0, _T.CSF)
        return outline

    def _brain(self, outline: Array) -> None:
        age, z = self.age, self.z
        folds = self.folds.at(z)
        depth = -(outline + 2.4 + 2.2 * age)
        field = np.abs(folds + 0.12 * self.folds.warp) * 4.7
        reach = np.clip(1 - depth / 27, 0, 1)
        gap = (0.55 + 0.9 * age) * np.sqrt(reach) * (depth < 27)
        brain = (depth > 0) & ~((field < gap) & (depth > 0))
        middle = np.abs(self.x + 1.2 * self.folds.warp * 0.4)
        cleft = 0.9 + 0.9 * age + 0.02 * np.maximum(np.abs(self.y) - 30, 0)
        divided = (z > 22) | (np.abs(self.y) > 34)
        brain &= ~((middle < cleft) & divided)
        grey = (field < gap + 2.9) & (depth < 28 + 3 * self.folds.warp)
        grey |= depth < 3.0
        grey |= (middle < cleft + 2.8) & divided
        self.put(brain, _T.WHITE)
        self.put(brain & grey, _T.GREY)
        self._sylvian(depth)
        self.put((np.abs(self.x) < 0.75) & divided & (depth > -1) & (z > -5), _T.DURA)

    def _sylvian(self, depth: Array) -> None:
        """The lateral cleft with the insula at its floor."""
        z, x = self.z, np.abs(self.x)
        if not -22 < z < 20:
            return
        line = self.y - (-12 + 0.35 * (x - 36) - 0.35 * z) + 4.5 * self.folds.warp
        open_by = (1.0 + 1.6 * self.age) * np.clip((x - 34) / 18, 0.3, 1.3)
        self.put((np.abs(line) < open_by + 3) & (x > 37) & (depth > 0), _T.GREY)
        self.put((np.abs(line) < open_by) & (x > 38.5) & (depth > -3), _T.CSF)
        bend = x + 0.012 * (self.y + 2) ** 2 + 1.2 * self.folds.warp
        floor = np.sqrt(((bend - 38) / 4.0) ** 2 + ((self.y + 2) / 20) ** 2 + ((z - 2) / 19) ** 2)
        self.put((floor < 1.0) & (depth > 0), _T.GREY)
        slit = np.sqrt(
            ((bend - 41) / (1.5 + 1.5 * self.age)) ** 2 + ((self.y + 2) / 19) ** 2 + ((z - 2) / 17) ** 2
        )
        self.put((slit < 1.0) & (depth > 0), _T.CSF)

    def _tube(
        self, path: tuple[tuple[float, float, float], ...], radii: tuple[float, ...], flat: float
    ) -> None:
        """Fluid along a path on both sides; `flat` > 1 narrows it from side to side."""
        x = np.abs(self.x)
        for number in range(len(path) - 1):
            start, end = np.array(path[number], np.float32), np.array(path[number + 1], np.float32)
            axis = end - start
            share = ((x - start[0]) * axis[0] + (self.y - start[1]) * axis[1]) + (self.z - start[2]) * axis[2]
            share = np.clip(share / float(axis @ axis), 0, 1)
            gap2 = ((x - start[0] - share * axis[0]) * flat) ** 2 + (self.y - start[1] - share * axis[1]) ** 2
            gap = np.sqrt(gap2 + (self.z - start[2] - share * axis[2]) ** 2)
            self.put(gap < radii[number] + share * (radii[number + 1] - radii[number]), _T.CSF)

    def _deep(self) -> None:
        """Deep nuclei and ventricles."""
        if not -40 < self.z < 42:
            return
        self.blob((13, -22, 9), (6.5, 9, 11), _T.NUCLEUS)
        self.blob((17, 0, 22), (4.5, 16, 7), _T.NUCLEUS)
        self.blob((26, -5, 4), (6.5, 18, 12), _T.NUCLEUS)
        self.blob((19.5, -1, 3), (4.5, 10, 7), _T.PALE)
        self.blob((11, 12, 8), (9.5, 15, 11), _T.NUCLEUS)
        self.blob((13, -17, -4), (10, 9, 7), _T.NUCLEUS)
        self.blob((5, -2, -6), (5, 9, 6), _T.NUCLEUS)
        self.blob((22, -6, -17), (8, 8, 8), _T.GREY)
        self.blob((27, 12, -14), (6, 15, 7), _T.GREY)
        wide = 1.0 + 0.75 * self.age
        self._tube(
            ((7, -34, 6), (9, -24, 12), (10, 0, 23), (13, 22, 22), (21, 36, 12), (22, 58, 8)),
            tuple(wide * radius for radius in (4.6, 5.6, 5.0, 5.4, 6.6, 2.6)),
            1.25,
        )
        self._tube(
            ((21, 36, 12), (31, 20, -8), (31, 0, -18)), tuple(wide * radius for radius in (5.5, 3, 2.2)), 1.0
        )
        if -8 < self.z < 12:
            slit = (np.abs(self.x) < (1.6 + 1.8 * self.age)) & (np.abs(self.y - 4) < 15)
            self.put(slit, _T.CSF)
        if 2 < self.z < 26:
            self.put((np.abs(self.x) < 0.7) & (self.y > -34) & (self.y < -6), _T.WHITE)
        self.blob((20, 40, 12), (3.2, 5, 5), _T.CHOROID)
        self.blob((0, 26, 4), (2.2, 3, 3.5), _T.CHOROID)

    def _below(self) -> None:
        """Temporal lobes, brain stem, cerebellum and the fluid around them."""
        z = self.z
        if z < -14:
            self.put(_ellipsoid(self.x, self.y, z, (0, -10, -28), (15, 12, 12)) < 0, _T.CSF)
            self.put((np.abs(np.abs(self.x) - 22) < 3) & (np.abs(self.y - 18) < 14), _T.CSF)
        if z < -17:
            lobe = _ellipsoid(self.x, self.y, z, (0, 50, -44), (56, 42, 33))
            folia = np.sin(1.75 * (self.y + 0.3 * np.abs(self.x)) + 2.6 * self.folds.warp)
            inside = (lobe < -1) & (self.map != _T.BONE) & (self._outline() < -2.5) & (self.y > 16)
            tent = (lobe < 0.6) & ~inside & (self.y > 16) & (self._outline() < -2)
            self.put(tent, _T.CSF)
            self.put(inside, _T.GREY)
            self.put(inside & (folia > 0.55) & (lobe < -3), _T.WHITE)
            core = _ellipsoid(np.abs(self.x), self.y, z, (20, 44, -44), (15, 14, 14)) < 0
            self.put(inside & core, _T.WHITE)
            self.put(inside & (np.abs(self.x) < 7) & (folia < 0.1), _T.GREY)
        stem = _ellipsoid(self.x, self.y, z, (0, 12, -36), (18, 15, 22)) < 0
        self.put((_ellipsoid(self.x, self.y, z, (0, 12, -36), (22, 19, 40)) < 0) & (z < -17), _T.CSF)
        self.put(stem | (_ellipsoid(self.x, self.y, z, (0, 18, -60), (9, 8, 60)) < 0), _T.WHITE)
        if -28 < z < -8:
            self.put(_ellipsoid(np.abs(self.x), self.y, z, (13, 4, -18), (8, 9, 9)) < 0, _T.WHITE)
            self.put(_ellipsoid(np.abs(self.x), self.y, z, (7, 10, -17), (3.5, 3.5, 5)) < 0, _T.PALE)
        if z < -22:
            self.blob((0, 32, -38), (8 + 3 * self.age, 6, 12), _T.CSF)
        else:
            self.blob((0, 21, -18), (1.8, 1.8, 12), _T.CSF)

    def _base(self, outline: Array) -> None:
        """Skull base: petrous bones, sinuses, orbits."""
        z, x, y = self.z, np.abs(self.x), self.y
        if z < -30:
            ridge = (
                np.abs(y - (8 + 0.62 * (x - 12)))
                - (0.5 + 0.16 * (x - 10)) * min((-28 - z) / 12, 1.4)
                - 1.2 * self.folds.warp
            )
            petrous = (ridge < 0) & (x > 11) & (outline < 3)
            self.put(petrous, _T.BONE)
            cells = petrous & (x > 42) & (self.folds.fine[0] > 0.05)
            self.put(cells, _T.CELLS)
            self.put(cells & (self.folds.fine[1] > 0.2), _T.AIR)
            wing = (np.abs(y + 30 + 0.25 * (x - 25)) < 2.5 + 2 * min((-30 - z) / 20, 1)) & (outline < 2)
            self.put(wing & (x > 6), _T.BONE)
            self.put((x < 15) & (np.abs(y + 26) < 13), _T.BONE)
            self.put((x < 12.5) & (x > 0.8) & (np.abs(y + 28) < 9.5) & (z < -36), _T.AIR)
        if z < -30:
            self._face(x, y, z, outline)

    def _face(self, x: Array, y: Array, z: float, outline: Array) -> None:
        front = (y < -34) & (outline < 6.6)
        self.put(front & (y < -36 - 0.25 * x) & (x < 60), _T.FAT)
        shell = _ellipsoid(x, y, z, (31, -54, -46), (21, 28, 21))
        self.put((np.abs(shell) < 1.4) & (y < -30) & (x > 8), _T.BONE)
        self.put((shell < -1.2) & (y < -28), _T.FAT)
        for nx, width in ((26, 2.0), (40, 2.0), (33, 1.9)):
            line = np.abs(x - (nx + (-52 - y) * (32 - nx) / 24)) - width
            self.put((line < 0) & (shell < -1.5) & (y > -62) & (y < -34) & (abs(z + 46) < 8), _T.MUSCLE)
        self.blob((32, -64, -46), (12.5, 12.5, 12.5), _T.MUSCLE)
        self.blob((32, -64, -46), (11.5, 11.5, 11.5), _T.EYE)
        self.blob((32, -73, -46), (4.4, 2.1, 4.4), _T.LENS)
        nose = (x < 12.5) & (y < -40) & (y > -74)
        self.put(nose & (x < 12), _T.MUCOSA)
        cell = (np.sin(y * 0.55) + np.cos(x * 0.9)) > -0.55
        self.put(nose & cell & (x > 1.1) & (x < 10.8), _T.AIR)
        self.put(nose & (x < 0.6), _T.BONE)
        self.put(nose & (np.abs(x - 11.8) < 0.6), _T.BONE)
        self.put((y < -80 - 6 + 0.1 * x) & (x > 9), _T.AIR)
