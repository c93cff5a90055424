"""About forty synthetic people with published test numbers. Nobody of them exists.

The numbers are Skatteverket's published test series: serials 980-999 for people born before 1990, 238 and
239 for those born later, with the right check digit; plus the classic 19121212-1212, one coordination
number (samordningsnummer) and Region Stockholm's reserve numbers (reservnummer) in their test form.
"""

from collections.abc import Iterator
from dataclasses import dataclass

PERSONNUMMER = "1.2.752.129.2.1.3.1"
"""OID of the national personal identity number."""
SAMORDNINGSNUMMER = "1.2.752.129.2.1.3.3"
"""OID of the coordination number: the day is 60 higher."""
SLL_RESERVNUMMER = "1.2.752.97.3.1.3"
"""OID of Region Stockholm's reserve number: 99, year of issue, serial; Luhn over positions 5-11."""


@dataclass(frozen=True, slots=True)
class Person:
    """One invented person.

    `number` has 12 characters without separator, `birth_date` is YYYYMMDD and stands by itself: it is never
    derived from the number. `earlier_number` is a reserve number that a merge (A40) later replaces.
    """

    key: str
    number: str
    issuer: str
    family: str
    given: str
    birth_date: str
    sex: str
    protected: bool = False
    deceased: bool = False
    earlier_number: str = ""
    earlier_issuer: str = ""

    @property
    def dicom_name(self) -> str:
        """Name as DICOM PN: family^given."""
        return f"{self.family}^{self.given}"

    @property
    def hyphened(self) -> str:
        """The number as people write it: YYYYMMDD-NNNN."""
        return f"{self.number[:8]}-{self.number[8:]}"


GUARDIANS = (("ytterberg", "soderberg"),)
"""Children and who is told to be their guardian (vårdnadshavare)."""


def luhn_digit(digits: str) -> str:
    """The check digit (modulus 10) that completes `digits`."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled // 10 + doubled % 10
    return str(-total % 10)


def personnummer(birth_date: str, serial: str) -> str:
    """The 12-digit number for YYYYMMDD and a three-digit serial, with its check digit."""
    return birth_date + serial + luhn_digit(birth_date[2:] + serial)


def _resident(key: str, family: str, given: str, birth_date: str, serial: str) -> Person:
    sex = "M" if int(serial[2]) % 2 else "F"
    return Person(key, personnummer(birth_date, serial), PERSONNUMMER, family, given, birth_date, sex)


_RESIDENTS = """
abrahamsson Abrahamsson Åke 19380214 981
ahlen Ahlén Margareta 19440703 982
almqvist Almqvist Göran 19510622 983
ask Åsk Birgitta 19481130 984
backstrom Bäckström Lars-Åke 19570309 985
bergstrom Bergström Inga-Lill 19530818 986
bjork Björk Jörgen 19620504 987
blom Blom Märta 19331027 988
dahl Dahl Sören 19590116 989
ekstrom Ekström Åsa 19680912 990
engstrom Engström Per-Östen 19450421 991
falt Fält Gunnel 19500605 992
forsen Forsén André 19710228 993
fredriksson Fredriksson Maj-Britt 19420919 994
gullberg Gullberg Hans-Göran 19640713 995
hakansson Håkansson Lena 19610330 996
hoglund Höglund Stig 19360806 997
isaksson Isaksson Désirée 19740525 998
jonsson Jönsson Torbjörn 19550211 999
karrberg Kärrberg Eivor 19400117 980
lind Lind Björn 19690408 981
lofgren Löfgren Anna-Karin 19721203 982
mansson Månsson Rune 19470527 983
noren Norén Ulla 19560924 984
nystrom Nyström Mats 19660710 985
oberg Öberg Helén 19770315 986
ostlund Östlund Kåre 19430629 987
palmqvist Palmqvist Ann-Sofie 19790822 988
rask Rask René 19811104 989
sjoberg Sjöberg Linnéa 19850719 990
strom Ström Elis 19910206 239
soderberg Söderberg Josefin 19940911 238
tornqvist Törnqvist Malte 19980523 239
wahlstrom Wåhlström Ebba 20030417 238
ytterberg Ytterberg Viggo 20160309 239
"""


def _everybody() -> Iterator[Person]:
    yield Person("tolvan", "191212121212", PERSONNUMMER, "Tolvansson", "Tolvan", "19121212", "M")
    for line in _RESIDENTS.split("\n")[1:-1]:
        key, family, given, birth_date, serial = line.split()
        yield _resident(key, family, given, birth_date, serial)
    yield Person("samordning", "191401682396", SAMORDNINGSNUMMER, "Kowalczyk", "André", "19140108", "M")
    yield Person("reserv", "991981000010", SLL_RESERVNUMMER, "Okänd", "Man", "", "M")
    merged = personnummer("19830614", "991")
    yield Person(
        "byter", merged, PERSONNUMMER, "Haddad", "Yousef", "19830614", "M", False, False,
        "991993000032", SLL_RESERVNUMMER,
    )  # fmt: skip
    shielded = personnummer("19870902", "992")
    yield Person("skyddad", shielded, PERSONNUMMER, "Sjögren", "Signe", "19870902", "F", protected=True)
    dead = personnummer("19290113", "994")
    yield Person("avliden", dead, PERSONNUMMER, "Österman", "Greta", "19290113", "F", deceased=True)


PEOPLE: tuple[Person, ...] = tuple(_everybody())
"""All of them; the story patient 19121212-1212 first."""

BY_KEY = {person.key: person for person in PEOPLE}
"""The same, by `key`."""

STORY = PEOPLE[0]
"""Tolvan Tolvansson, whom the demo's general practitioner looks up."""


def guardians_csv() -> str:
    """The register of guardians as a population register's extract would deliver it (docs/login.md)."""
    rows = [f"{BY_KEY[child].hyphened};{BY_KEY[guardian].hyphened};;" for child, guardian in GUARDIANS]
    return "\n".join(["child;guardian;from;to", *rows]) + "\n"
