"""A person's name as the index keeps it, DICOM's PN, taken apart (PS3.5 6.2.1)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PersonName:
    """The five components of one group, without surrounding spaces; "" = not said."""

    family: str
    given: str
    middle: str
    prefix: str
    suffix: str

    @classmethod
    def of(cls, dicom_name: str) -> "PersonName":
        """From family^given^middle^prefix^suffix; of several groups (`=`) the first that says anything."""
        group = next((each for each in dicom_name.split("=") if each.strip("^ ")), "")
        parts = [*group.split("^"), "", "", "", "", ""][:5]
        return cls(*(part.strip() for part in parts))

    def written(self) -> str:
        """As people write it: prefix, given names, family name, suffix."""
        return " ".join(
            part for part in (self.prefix, self.given, self.middle, self.family, self.suffix) if part
        )
