"""Index rows as DICOM attributes (PS3.4 C.6, PS3.18 10.6.3.3). Pure but for look-ups of identifiers."""

from samsyn.dicom.masking import PROTECTED_NAME
from samsyn.dicom.requested import ACCESSION, PROCEDURE_ID, REQUEST_ATTRIBUTES, STEP_ID
from samsyn.dicom.uids import is_uid
from samsyn.model.attributes import Attributes
from samsyn.search.query import Level
from samsyn.store.index import find_rows, patient_rows, request_rows
from samsyn.store.index.port import IndexConnection, Row


def from_rows(
    connection: IndexConnection,
    rows: list[Row],
    level: Level,
    untold: frozenset[str],
    protected: frozenset[int] = frozenset(),
) -> list[Attributes]:
    """Each row with every attribute that its level defines; merged persons are shown as the survivor.

    `untold`: issuers whose numbers are given only for whom has no other. `protected`: survivors whose name and
    birth date are withheld.
    """
    persons = _persons(connection, rows, untold)
    for row in rows:
        if (row["merged_into"] or row["patient_key"]) in protected:
            persons[row["patient_key"]] |= {0x00100010: ("PN", (PROTECTED_NAME,)), 0x00100030: ("DA", ())}
    found = [_attributes(row, persons[row["patient_key"]], level) for row in rows]
    if level in (Level.SERIES, Level.IMAGE):
        requests = request_rows.requests_of(connection, list({row["series_key"]: None for row in rows}))
        for row, attributes in zip(rows, found, strict=True):
            items = tuple(_request(*each) for each in requests.get(row["series_key"], ()))
            attributes[REQUEST_ATTRIBUTES] = ("SQ", items)
    return found


def _persons(connection: IndexConnection, rows: list[Row], untold: frozenset[str]) -> dict[int, Attributes]:
    keys = list({row["patient_key"]: None for row in rows})
    identifiers = find_rows.identifiers_of(connection, keys, untold)
    persons: dict[int, Attributes] = {}
    for row in rows:
        key = row["patient_key"]
        if key in persons:
            continue
        if row["merged_into"] is None:
            issuer, value = identifiers.get(key, ("", ""))
            persons[key] = _person(issuer, value, row["patient_name"], row["birth_date"], row["sex"])
        else:
            survivor = patient_rows.patient(connection, patient_rows.root(connection, key))
            numbers = survivor.identifiers
            first = next((each for each in numbers if each.issuer not in untold), numbers[0])
            known = survivor.demographics
            persons[key] = _person(first.issuer, first.value, known.name, known.birth_date, known.sex)
    return persons


def _person(issuer: str, value: str, name: str, birth_date: str, sex: str) -> Attributes:
    return {
        0x00100010: ("PN", (name,) if name else ()),
        0x00100020: ("LO", (value,)),
        0x00100021: ("LO", _some(issuer)),
        0x00100024: ("SQ", _issuer(issuer)),
        0x00100030: ("DA", _some(birth_date)),
        0x00100040: ("CS", _some(sex)),
    }


def _attributes(row: Row, person: Attributes, level: Level) -> Attributes:
    found = dict(person)
    if level is Level.PATIENT:
        found[0x00201200] = ("IS", (row["study_count"],))
        found[0x00201202] = ("IS", (row["series_total"],))
        found[0x00201204] = ("IS", (row["instance_total"],))
        return found
    found |= _study(row)
    if level in (Level.SERIES, Level.IMAGE):
        found |= _series(row)
    if level is Level.IMAGE:
        found |= _instance(row)
    return found


def _study(row: Row) -> Attributes:
    return {
        0x00080020: ("DA", _some(row["study_date"])),
        0x00080030: ("TM", _some(row["study_time"])),
        0x00080050: ("SH", _some(row["accession"])),
        0x00080051: ("SQ", _issuer(row["accession_issuer"]) if row["accession"] else ()),
        0x00080056: ("CS", ("ONLINE",)),
        0x00080061: ("CS", tuple(part for part in row["modalities"].split("\\") if part)),
        0x00080090: ("PN", _some(row["referring"])),
        0x00081030: ("LO", _some(row["description"])),
        0x0020000D: ("UI", (row["study_uid"],)),
        0x00200010: ("SH", _some(row["study_id"])),
        0x00201206: ("IS", (row["series_count"],)),
        0x00201208: ("IS", (row["instance_count"],)),
    }


def _series(row: Row) -> Attributes:
    number = row["number"]
    return {
        0x00080021: ("DA", _some(row["series_date"])),
        0x00080031: ("TM", _some(row["series_time"])),
        0x00080060: ("CS", _some(row["modality"])),
        0x00080070: ("LO", _some(row["manufacturer"])),
        0x00080080: ("LO", _some(row["institution"])),
        0x00081010: ("SH", _some(row["station"])),
        0x0008103E: ("LO", _some(row["series_description"])),
        0x00180015: ("CS", _some(row["body_part"])),
        0x00181030: ("LO", _some(row["protocol"])),
        0x0020000E: ("UI", (row["series_uid"],)),
        0x00200011: ("IS", (number,) if number is not None else ()),
        0x00200060: ("CS", _some(row["laterality"])),
        0x00201209: ("IS", (row["series_instance_count"],)),
        0x00400244: ("DA", _some(row["started_date"])),
        0x00400245: ("TM", _some(row["started_time"])),
    }


def _request(step_id: str, procedure_id: str, accession: str) -> Attributes:
    return {
        ACCESSION: ("SH", _some(accession)),
        STEP_ID: ("SH", _some(step_id)),
        PROCEDURE_ID: ("SH", _some(procedure_id)),
    }


def _instance(row: Row) -> Attributes:
    number = row["instance_number"]
    found: Attributes = {
        0x00080016: ("UI", (row["sop_class"],)),
        0x00080018: ("UI", (row["sop_uid"],)),
        0x00080023: ("DA", _some(row["content_date"])),
        0x00080033: ("TM", _some(row["content_time"])),
        0x00083002: ("UI", (row["transfer_syntax"],)),
        0x00200013: ("IS", (number,) if number is not None else ()),
    }
    if row["pixel_rows"]:
        found |= {
            0x00280008: ("IS", (row["frames"],)),
            0x00280010: ("US", (row["pixel_rows"],)),
            0x00280011: ("US", (row["pixel_columns"],)),
            0x00280100: ("US", (row["bits_allocated"],)),
        }
    return found


def _issuer(name: str) -> tuple[object, ...]:
    """One item of the HL7v2 Hierarchic Designator macro (PS3.3 Table 10-17); none for an empty name."""
    if not name:
        return ()
    if is_uid(name):
        return ({0x00400032: ("UT", (name,)), 0x00400033: ("CS", ("ISO",))},)
    return ({0x00400031: ("UT", (name,))},)


def _some(value: str) -> tuple[str, ...]:
    return (value,) if value else ()
