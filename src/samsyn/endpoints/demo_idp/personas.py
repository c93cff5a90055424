"""The invented people who can log in to a demo: staff with their assignments, and patients.

Nobody of them exists, and no organisation has the numbers in these HSA-ids. Providers and units are those of the
demo region; whoever writes referrals and reports there has the same name and HSA-id here.
"""

from dataclasses import dataclass
from typing import Final

from samsyn.model.subject import Assignment, Purpose, Right, Scope, Subject, SubjectKind


@dataclass(frozen=True, slots=True)
class Persona:
    """Somebody to log in as. `number` is a patient's, empty for staff; then `assignments` has at least one."""

    key: str
    given: str
    family: str
    title: str
    title_en: str
    employee: str = ""
    number: str = ""
    assignments: tuple[Assignment, ...] = ()
    roles: frozenset[str] = frozenset()
    protected: bool = False
    """Staff with protected personal data: the name is for the own eyes only."""

    @property
    def name(self) -> str:
        """Name as read aloud."""
        return f"{self.given} {self.family}"

    def subject(self, assignment: int = 0) -> Subject:
        """The member of staff with one of the assignments chosen, as after a log-in; not for patients."""
        return Subject(
            SubjectKind.STAFF,
            self.employee,
            self.name,
            self.assignments[assignment],
            f"persona-{self.key}",
            self.roles,
            protected=self.protected,
        )


_NORD, _KLARA, _LINDEN = (
    ("SE9990000001", "Nordsjukhuset"),
    ("SE9990000002", "Klara Röntgen AB"),
    ("SE9990000004", "Vårdcentralen Linden"),
)
_NORD_RADIOLOGY = ("1001", "Röntgen Nordsjukhuset")
_NORD_EMERGENCY = ("1002", "Akuten Nordsjukhuset")
_NORD_MEDICINE = ("1003", "Medicin Nordsjukhuset")
_KLARA_CITY = ("1001", "Klara Röntgen City")
_LINDEN_UNIT = ("1001", "Vårdcentralen Linden")


def _assignment(
    number: str,
    provider: tuple[str, str],
    unit: tuple[str, str],
    scope: Scope | None,
    purpose: Purpose = Purpose.CARE,
) -> Assignment:
    organisation, provider_name = provider
    rights = () if scope is None else (Right("Läsa", "UND", scope.value),)
    return Assignment(
        hsa_id=f"{organisation}-{number}",
        name=f"{purpose.value}, {unit[1]}",
        purpose=purpose,
        provider_hsa_id=f"{organisation}-0001",
        provider_name=provider_name,
        unit_hsa_id=f"{organisation}-{unit[0]}",
        unit_name=unit[1],
        rights=rights,
    )


PERSONAS: Final[tuple[Persona, ...]] = (
    Persona(
        "gp",
        "Eva",
        "Lindgren",
        "Specialistläkare, allmänmedicin",
        "General practitioner",
        "SE9990000004-9001",
        assignments=(_assignment("5001", _LINDEN, _LINDEN_UNIT, Scope.CROSS_PROVIDER),),
    ),
    Persona(
        "radiologist",
        "Ingrid",
        "Sandelin",
        "Överläkare, röntgen, hos två vårdgivare",
        "Radiologist at two care providers",
        "SE9990000001-9001",
        assignments=(
            _assignment("5001", _NORD, _NORD_RADIOLOGY, Scope.CROSS_PROVIDER),
            _assignment("5001", _KLARA, _KLARA_CITY, Scope.PROVIDER),
        ),
    ),
    Persona(
        "physician",
        "Karin",
        "Ståhlberg",
        "Överläkare, medicin",
        "Hospital physician, internal medicine",
        "SE9990000001-9005",
        assignments=(_assignment("5003", _NORD, _NORD_MEDICINE, Scope.CROSS_PROVIDER),),
    ),
    Persona(
        "nurse",
        "Lisbet",
        "Norling",
        "Sjuksköterska, akuten, utan rätt till andra vårdgivares uppgifter",
        "Nurse, emergency department, without access to other care providers",
        "SE9990000001-9101",
        assignments=(_assignment("5002", _NORD, _NORD_EMERGENCY, Scope.PROVIDER),),
    ),
    Persona(
        "secretary",
        "Gun-Britt",
        "Alm",
        "Medicinsk sekreterare, uppdrag Administration",
        "Medical secretary, purpose administration",
        "SE9990000004-9101",
        assignments=(_assignment("5002", _LINDEN, _LINDEN_UNIT, Scope.PROVIDER, Purpose.ADMINISTRATION),),
    ),
    Persona(
        "block-administrator",
        "Tore",
        "Sandahl",
        "Spärradministratör, Nordsjukhuset",
        "Block administrator, Nordsjukhuset",
        "SE9990000001-9102",
        assignments=(_assignment("5004", _NORD, _NORD_MEDICINE, None, Purpose.ADMINISTRATION),),
        roles=frozenset({"block-administrator"}),
    ),
    Persona(
        "log-reviewer",
        "Maud",
        "Kjellin",
        "Loggranskare, Vårdcentralen Linden",
        "Log reviewer, Vårdcentralen Linden",
        "SE9990000004-9102",
        assignments=(_assignment("5003", _LINDEN, _LINDEN_UNIT, None, Purpose.QUALITY),),
        roles=frozenset({"log-reviewer"}),
    ),
    Persona(
        "exchange-desk",
        "Nils",
        "Forsgren",
        "Bild- och demogruppen, Nordsjukhuset",
        "Image exchange desk, Nordsjukhuset",
        "SE9990000001-9103",
        assignments=(_assignment("5005", _NORD, _NORD_RADIOLOGY, Scope.CROSS_PROVIDER),),
        roles=frozenset({"exchange-desk"}),
    ),
    Persona(
        "steward",
        "Birger",
        "Lundvall",
        "Förvaltare av bildarkivet, Nordsjukhuset",
        "Steward of the imaging record, Nordsjukhuset",
        "SE9990000001-9104",
        assignments=(_assignment("5006", _NORD, _NORD_RADIOLOGY, None, Purpose.ADMINISTRATION),),
        roles=frozenset({"steward"}),
    ),
    Persona(
        "researcher",
        "Agneta",
        "Wikner",
        "Forskare, uppdrag Forskning",
        "Researcher, purpose research",
        "SE9990000001-9105",
        assignments=(_assignment("5007", _NORD, _NORD_RADIOLOGY, None, Purpose.RESEARCH),),
    ),
    Persona(
        "protected-staff",
        "Harriet",
        "Lejon",
        "Distriktssköterska med skyddade personuppgifter",
        "District nurse with protected identity",
        "SE9990000004-9103",
        assignments=(_assignment("5004", _LINDEN, _LINDEN_UNIT, Scope.CROSS_PROVIDER),),
        protected=True,
    ),
    Persona("patient", "Tolvan", "Tolvansson", "Patient", "Patient", number="191212121212"),
    Persona("patient-two", "Åsa", "Ekström", "Patient", "Patient", number="196809129908"),
    Persona(
        "guardian",
        "Josefin",
        "Söderberg",
        "Vårdnadshavare och patient",
        "Guardian and patient",
        number="199409112381",
    ),
)
"""Everybody, the general practitioner of the story first."""
