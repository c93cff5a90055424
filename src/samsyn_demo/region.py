"""The invented region: four care providers of different kinds, their units, staff and systems, as plain data.

* **Nordsjukhuset**: a hospital that gives and takes everything. Its RIS sends texts, its modalities and its
  PACS send images over DIMSE, its local PACS (NORDPACS, a real Orthanc where there is one) queries.
* **Klara Röntgen AB**: a private radiology firm that gives images and texts but does not take.
* **Bröstmottagningen Solsidan**: a breast centre that gives images only, over STOW-RS.
* **Vårdcentralen Linden**: a health centre whose staff read. Its EHR files texts: the referrals that its
  doctors write and the answers of the ultrasound examinations that they do themselves (no pictures kept).

Every document is owned by the unit that wrote it: a referral by the referring unit, an answer and the images
by the unit that did the examination. So the general practitioner at Linden sees Linden's own ultrasound
answers and referrals at once, and the hospital's CT only after registering the patient's consent.

The HSA-ids are invented: no organisation has the numbers 9990000001 to 9990000004. OIDs stand under 2.999,
which is set aside for examples.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unit:
    """A care unit (vårdenhet)."""

    key: str
    hsa_id: str
    name: str


@dataclass(frozen=True, slots=True)
class DicomSystem:
    """A DICOM node of a provider. `listens` = it is a C-MOVE destination on the port chosen at start."""

    ae_title: str
    unit: str
    stores: bool = True
    queries: bool = False
    listens: bool = False


@dataclass(frozen=True, slots=True)
class Hl7System:
    """An HL7 v2 sender: MSH-3 and MSH-4, and the character set that it writes (MSH-18)."""

    application: str
    facility: str
    unit: str
    charset: str
    """"8859/1" or "UNICODE UTF-8"."""


@dataclass(frozen=True, slots=True)
class Professional:
    """A member of staff; nobody exists."""

    hsa_id: str
    family: str
    given: str
    title: str

    @property
    def name(self) -> str:
        """Name as read aloud."""
        return f"{self.given} {self.family}"


@dataclass(frozen=True, slots=True)
class Provider:
    """A care provider (vårdgivare) with the switches of its connection."""

    key: str
    hsa_id: str
    name: str
    phone: str
    local_issuer: str
    accession_issuer: str
    gives_images: bool
    gives_texts: bool
    reads: bool
    units: tuple[Unit, ...]
    dicom: tuple[DicomSystem, ...] = ()
    hl7: tuple[Hl7System, ...] = ()
    stow_client: str = ""
    """Name of its STOW-RS client, which has a bearer token; empty = it has none."""
    staff: tuple[Professional, ...] = ()
    charset: str = "ISO_IR 100"
    """Specific Character Set of its DICOM objects."""
    hyphened_ids: bool = False
    """Whether its Patient IDs carry the hyphen (YYYYMMDD-NNNN)."""
    source_system: str = ""
    """HSA-id of the source system under which national contracts ask for its reports; empty = they do not."""
    patient_days: int | None = None
    """Days from a signed report to its patient; None = no patient reads them through the national contract."""

    def unit(self, key: str) -> Unit:
        """The unit with this key."""
        return next(unit for unit in self.units if unit.key == key)


def _staff(org: str, *names: str) -> tuple[Professional, ...]:
    people = []
    for number, line in enumerate(names, start=1):
        title, given, family = line.split(";")
        people.append(Professional(f"SE{org}-9{number:03d}", family, given, title))
    return tuple(people)


NORDSJUKHUSET = Provider(
    key="nord",
    hsa_id="SE9990000001-0001",
    name="Nordsjukhuset",
    phone="08-123 100 10",
    local_issuer="2.999.752.1.1",
    accession_issuer="2.999.752.1.2",
    source_system="SE9990000001-E001",
    patient_days=14,
    gives_images=True,
    gives_texts=True,
    reads=True,
    units=(
        Unit("rontgen", "SE9990000001-1001", "Röntgen Nordsjukhuset"),
        Unit("akuten", "SE9990000001-1002", "Akuten Nordsjukhuset"),
        Unit("medicin", "SE9990000001-1003", "Medicin Nordsjukhuset"),
        Unit("kirurgi", "SE9990000001-1004", "Kirurgi Nordsjukhuset"),
        Unit("fysiologi", "SE9990000001-1005", "Klinisk fysiologi Nordsjukhuset"),
    ),
    dicom=(
        DicomSystem("NORDRTG", "rontgen"),
        DicomSystem("NORDFYS", "fysiologi"),
        DicomSystem("NORDPACS", "rontgen", queries=True, listens=True),
    ),
    hl7=(
        Hl7System("NORDRIS", "NORDSJUKHUSET", "rontgen", "8859/1"),
        Hl7System("NORDFYS", "NORDSJUKHUSET", "fysiologi", "8859/1"),
    ),
    staff=_staff(
        "9990000001",
        "Överläkare, röntgen;Ingrid;Sandelin",
        "Specialistläkare, röntgen;Mårten;Öhrn",
        "ST-läkare, röntgen;Sofia;Ljungqvist",
        "Överläkare, klinisk fysiologi;Henrik;Wåhlin",
        "Överläkare, medicin;Karin;Ståhlberg",
        "Specialistläkare, akutsjukvård;Jonas;Rehnström",
        "Överläkare, kirurgi;Elisabeth;Grönvall",
    ),
)

KLARA = Provider(
    key="klara",
    hsa_id="SE9990000002-0001",
    name="Klara Röntgen AB",
    phone="08-123 200 20",
    local_issuer="2.999.752.2.1",
    accession_issuer="2.999.752.2.2",
    source_system="SE9990000002-E001",
    patient_days=14,
    gives_images=True,
    gives_texts=True,
    reads=False,
    units=(Unit("city", "SE9990000002-1001", "Klara Röntgen City"),),
    dicom=(DicomSystem("KLARAPACS", "city"),),
    hl7=(Hl7System("KLARARIS", "KLARA", "city", "UNICODE UTF-8"),),
    staff=_staff(
        "9990000002",
        "Specialistläkare, röntgen;Pernilla;Åkerblom",
        "Överläkare, röntgen;Göran;Tegnér",
    ),
    charset="ISO_IR 192",
    hyphened_ids=True,
)

SOLSIDAN = Provider(
    key="solsidan",
    hsa_id="SE9990000003-0001",
    name="Bröstmottagningen Solsidan",
    phone="08-123 300 30",
    local_issuer="2.999.752.3.1",
    accession_issuer="2.999.752.3.2",
    gives_images=True,
    gives_texts=False,
    reads=False,
    units=(Unit("brost", "SE9990000003-1001", "Bröstmottagningen Solsidan"),),
    stow_client="solsidan-stow",
    staff=_staff("9990000003", "Överläkare, bröstradiologi;Annika;Söderqvist"),
)

LINDEN = Provider(
    key="linden",
    hsa_id="SE9990000004-0001",
    name="Vårdcentralen Linden",
    phone="08-123 400 40",
    local_issuer="2.999.752.4.1",
    accession_issuer="2.999.752.4.2",
    source_system="SE9990000004-E001",
    patient_days=30,
    gives_images=False,
    gives_texts=True,
    reads=True,
    units=(Unit("linden", "SE9990000004-1001", "Vårdcentralen Linden"),),
    hl7=(Hl7System("LINDENJOURNAL", "LINDEN", "linden", "UNICODE UTF-8"),),
    staff=_staff(
        "9990000004",
        "Specialistläkare, allmänmedicin;Eva;Lindgren",
        "ST-läkare, allmänmedicin;Oskar;Hällström",
    ),
)

REGION: tuple[Provider, ...] = (NORDSJUKHUSET, KLARA, SOLSIDAN, LINDEN)
"""The four providers."""

BY_KEY = {provider.key: provider for provider in REGION}
"""The same, by `key`."""


CONSUMERS = (("patientoversikt", "care"), ("patientjournal", "patients"))
"""National consumers that the demo can connect, and whom they serve."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where Samsyn listens and where the hospital's local PACS listens, all on loopback."""

    dicom: int = 11112
    http: int = 8080
    mllp: int = 2575
    local_pacs: int = 4242


def settings_toml(data_folder: str, ports: Ports, tokens: Mapping[str, str], guardian_file: str = "") -> str:
    """Samsyn's settings file for this region; `guardian_file`: where the population register's extract lies.

    `tokens` maps a provider's `stow_client` to its bearer token, and national consumers' names to theirs where they are
    to be connected; only the SHA-256 goes into the file. KeyError when a provider's is missing: a system without a
    token of its own must not get an invented one.
    """
    lines = [
        "# The demo region: four invented care providers.",
        f"[data]\nfolder = {_quoted(data_folder)}\n",
        f'[dicom]\nhost = "127.0.0.1"\nport = {ports.dicom}\nae_title = "SAMSYN"\n',
        f'[http]\nhost = "127.0.0.1"\nport = {ports.http}\n',
        f'[mllp]\nhost = "127.0.0.1"\nport = {ports.mllp}\n',
        '[login]\nprovider = "demo"'
        + (f"\nguardian_file = {_quoted(guardian_file)}\n" if guardian_file else "\n"),
    ]
    for provider in REGION:
        lines += _provider_toml(provider, ports, tokens)
    for name, serves in CONSUMERS:
        if name in tokens:
            lines += [
                "[[consumer]]",
                f"name = {_quoted(name)}",
                f"sha256 = {_quoted(hashlib.sha256(tokens[name].encode()).hexdigest())}",
                f"serves = {_quoted(serves)}",
                "",
            ]
    return "\n".join(lines)


def _provider_toml(provider: Provider, ports: Ports, tokens: Mapping[str, str]) -> list[str]:
    lines = [
        "[[provider]]",
        f"hsa_id = {_quoted(provider.hsa_id)}",
        f"name = {_quoted(provider.name)}",
        f"phone = {_quoted(provider.phone)}",
        f"local_issuer = {_quoted(provider.local_issuer)}",
        f"accession_issuer = {_quoted(provider.accession_issuer)}",
        f"images_in = {_truth(provider.gives_images)}",
        f"texts_in = {_truth(provider.gives_texts)}",
        f"reading = {_truth(provider.reads)}",
        "",
    ]
    for unit in provider.units:
        lines += ["[[provider.unit]]", f"hsa_id = {_quoted(unit.hsa_id)}", f"name = {_quoted(unit.name)}", ""]
    for system in provider.dicom:
        lines += [
            "[[provider.dicom_peer]]",
            f"ae_title = {_quoted(system.ae_title)}",
            f"unit = {_quoted(provider.unit(system.unit).hsa_id)}",
            f"may_store = {_truth(system.stores)}",
            f"may_query = {_truth(system.queries)}",
            f"may_retrieve = {_truth(system.queries)}",
        ]
        lines += [f'host = "127.0.0.1"\nport = {ports.local_pacs}'] if system.listens else []
        lines.append("")
    for source in provider.hl7:
        lines += [
            "[[provider.hl7_source]]",
            f"application = {_quoted(source.application)}",
            f"facility = {_quoted(source.facility)}",
            f"unit = {_quoted(provider.unit(source.unit).hsa_id)}",
            "",
        ]
    if provider.source_system:
        lines += ["[[provider.source_system]]", f"hsa_id = {_quoted(provider.source_system)}", ""]
    if provider.patient_days is not None:
        lines += ["[provider.release]", 'when = "signed"', f"days = {provider.patient_days}", ""]
    if provider.stow_client:
        digest = hashlib.sha256(tokens[provider.stow_client].encode()).hexdigest()
        lines += [
            "[[provider.token]]",
            f"name = {_quoted(provider.stow_client)}",
            f"sha256 = {_quoted(digest)}",
            f"unit = {_quoted(provider.units[0].hsa_id)}",
            "may_query = false",
            "",
        ]
    return lines


def _quoted(text: str) -> str:
    """A TOML basic string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _truth(value: bool) -> str:
    return "true" if value else "false"
