"""The kinds of examinations that the region does: names, local codes, who does them, which cases come up."""

from dataclasses import dataclass

from samsyn_demo.texts import cases
from samsyn_demo.texts.cases import Case


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of examination. `codes` maps a provider's key to its own code and name of it."""

    key: str
    modality: str
    body_part: str
    """DICOM defined term (PS3.16 annex L)."""
    cases: tuple[Case, ...]
    codes: dict[str, tuple[str, str]]
    units: tuple[tuple[str, str, int], ...]
    """(provider key, unit key, weight) of those who do it."""
    quota: int
    """Examinations that keep their pictures in the demo; older ones are text only."""
    sided: bool = False


KINDS = {
    kind.key: kind
    for kind in (
        Kind(
            "chest", "CR", "CHEST", cases.CHEST,
            {"nord": ("31100", "Rtg lungor"), "klara": ("LUNG2", "Lungröntgen, frontal och sida")},
            (("nord", "rontgen", 3), ("klara", "city", 2)), 20,
        ),
        Kind(
            "ct-chest", "CT", "CHEST", cases.CT_CHEST,
            {"nord": ("83100", "DT thorax med iv kontrast")},
            (("nord", "rontgen", 1),), 7,
        ),
        Kind(
            "ct-abdomen", "CT", "ABDOMEN", cases.CT_ABDOMEN,
            {"nord": ("83400", "DT buk med iv kontrast")},
            (("nord", "rontgen", 1),), 6,
        ),
        Kind(
            "ct-head", "CT", "HEAD", cases.CT_HEAD,
            {"nord": ("81000", "DT hjärna utan kontrast")},
            (("nord", "rontgen", 1),), 6,
        ),
        Kind(
            "mr-brain", "MR", "BRAIN", cases.MR_BRAIN,
            {"nord": ("91000", "MR hjärna"), "klara": ("MRHJ", "MR hjärna")},
            (("nord", "rontgen", 2), ("klara", "city", 1)), 4,
        ),
        Kind(
            "knee", "DX", "KNEE", cases.KNEE,
            {"nord": ("36500", "Rtg knäled"), "klara": ("KNA", "Knäled, belastad")},
            (("klara", "city", 2), ("nord", "rontgen", 1)), 12, sided=True,
        ),
        Kind(
            "us-abdomen", "US", "ABDOMEN", cases.ABDOMEN_US,
            {"nord": ("71400", "UL övre buk"), "klara": ("ULBUK", "Ultraljud övre buk")},
            (("klara", "city", 2), ("nord", "rontgen", 1)), 20,
        ),
        Kind(
            "us-aorta", "US", "ABDOMEN", cases.AORTA_US,
            {"nord": ("71470", "UL bukaorta"), "klara": ("ULAO", "Ultraljud bukaorta")},
            (("klara", "city", 1), ("nord", "rontgen", 1)), 8,
        ),
        Kind(
            "mammography", "MG", "BREAST", cases.MAMMOGRAPHY,
            {"solsidan": ("MAM", "Mammografi bilateralt")},
            (("solsidan", "brost", 1),), 7,
        ),
        Kind(
            "echo", "US", "HEART", cases.ECHO,
            {"nord": ("F510", "Ekokardiografi, transtorakal")},
            (("nord", "fysiologi", 1),), 8,
        ),
        Kind(
            "ecg", "ECG", "HEART", cases.ECG,
            {"nord": ("F100", "Vilo-EKG")},
            (("nord", "fysiologi", 1),), 14,
        ),
        Kind(
            "real-chest", "CR", "CHEST", cases.REAL_CHEST, {"klara": ("LUNG2", "Lungröntgen")},
            (("klara", "city", 1),), 1,
        ),
        Kind(
            "real-leg", "CR", "LEG", cases.REAL_LEG, {"nord": ("36600", "Rtg underben")},
            (("nord", "rontgen", 1),), 1,
        ),
        Kind(
            "real-shoulder", "MR", "SHOULDER", cases.REAL_SHOULDER, {"klara": ("MRAX", "MR axelled")},
            (("klara", "city", 1),), 1,
        ),
        Kind(
            "real-liver", "MR", "ABDOMEN", cases.REAL_LIVER, {"nord": ("93400", "MR lever")},
            (("nord", "rontgen", 1),), 1,
        ),
        Kind(
            "real-spine", "CT", "TSPINE", cases.REAL_SPINE, {"nord": ("82200", "DT bröstrygg")},
            (("nord", "rontgen", 1),), 1,
        ),
        Kind(
            "real-perfusion", "CT", "HEAD", cases.REAL_PERFUSION, {"nord": ("81050", "DT perfusion hjärna")},
            (("nord", "rontgen", 1),), 1,
        ),
        Kind(
            "real-echo", "US", "HEART", cases.ECHO, {"nord": ("F510", "Ekokardiografi, transtorakal")},
            (("nord", "fysiologi", 1),), 1,
        ),
        Kind(
            "point-of-care", "US", "ABDOMEN", cases.POINT_OF_CARE,
            {"linden": ("PUL", "Ultraljud, patientnära")},
            (("linden", "linden", 1),), 0,
        ),
    )
}  # fmt: skip
"""All kinds, by key."""
