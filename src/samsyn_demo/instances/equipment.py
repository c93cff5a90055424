"""The region's machines, as their pictures name them. Makers and models are invented."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Machine:
    """One imaging device."""

    maker: str
    model: str
    station: str
    serial: str
    software: str
    department: str


_MACHINES = {
    ("nord", "CR"): Machine("Fjällbild AB", "Panorama CR 35", "NORDRTG4", "4471", "6.2", "Röntgen"),
    ("nord", "DX"): Machine("Fjällbild AB", "Panorama DR 40", "NORDRTG5", "4610", "7.0", "Röntgen"),
    ("nord", "CT"): Machine("Aurora Medicinteknik", "Spiral 128", "NORDCT2", "90233", "VB20A", "Röntgen"),
    ("nord", "MR"): Machine("Aurora Medicinteknik", "Norrsken 1.5", "NORDMR1", "31007", "E11", "Röntgen"),
    ("nord", "US"): Machine("Ekolod AB", "Havet 9", "NORDUL3", "7702", "3.4.1", "Röntgen"),
    ("nord", "echo"): Machine("Ekolod AB", "Kardia 7", "NORDFYS1", "7811", "4.0.2", "Klinisk fysiologi"),
    ("nord", "ECG"): Machine("Pulslinjen AB", "Tolv 12", "NORDEKG1", "1203", "2.8", "Klinisk fysiologi"),
    ("klara", "CR"): Machine("Fjällbild AB", "Panorama DR 40", "KLARART1", "5120", "7.1", "Röntgen City"),
    ("klara", "DX"): Machine("Fjällbild AB", "Panorama DR 40", "KLARART1", "5120", "7.1", "Röntgen City"),
    ("klara", "CT"): Machine("Sydljus Imaging", "Clarity 64", "KLARACT1", "88120", "10.3", "Röntgen City"),
    ("klara", "MR"): Machine("Sydljus Imaging", "Magnet 15", "KLARAMR1", "21044", "R9", "Röntgen City"),
    ("klara", "US"): Machine("Ekolod AB", "Havet 7", "KLARAUL1", "7555", "3.2", "Röntgen City"),
    ("solsidan", "MG"): Machine("Solsken Mammografi", "Klarsyn 3", "SOLMG1", "2219", "5.5", "Mammografi"),
}


def machine(provider: str, modality: str) -> Machine:
    """The provider's device for a modality ("echo" is the heart's ultrasound)."""
    return _MACHINES[provider, modality]
