"""A Key Object Selection document that lists every instance of a study: the manifest of IHE XDS-I.b and MADO.

PS3.3 A.35.4 and C.17.6; template TID 2010. Pure.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from samsyn.dicom.encoding import encode
from samsyn.dicom.part10 import file_preamble_and_meta
from samsyn.dicom.transfer_syntaxes import EXPLICIT_LITTLE
from samsyn.model.attributes import Attributes
from samsyn.model.imaging import StoredInstance

KEY_OBJECT_SELECTION: Final = "1.2.840.10008.5.1.4.1.1.88.59"
_TITLE: Final = ("113030", "DCM", "Manifest")


@dataclass(frozen=True, slots=True)
class ManifestHeader:
    """What the manifest says of the patient and the study, as DICOM values."""

    patient_id: str
    issuer_oid: str
    patient_name: str
    birth_date: str
    sex: str
    study_date: str
    study_time: str
    accession: str
    institution: str
    retrieve_url: str
    """Base of the DICOMweb service that the instances are read from."""


def manifest_uid(study_uid: str, instances: Sequence[StoredInstance]) -> str:
    """SOP Instance UID of the manifest: another set of instances makes another one (2.25 form, PS3.5 B.2)."""
    return _uid("manifest", study_uid, *sorted(each.sop_instance_uid for each in instances))


def manifest_file(
    study_uid: str, instances: Sequence[StoredInstance], header: ManifestHeader, made: datetime
) -> bytes:
    """The Part 10 file."""
    uid = manifest_uid(study_uid, instances)
    evidence = _evidence(study_uid, instances, header.retrieve_url)
    data: Attributes = {
        0x00080016: ("UI", (KEY_OBJECT_SELECTION,)),
        0x00080018: ("UI", (uid,)),
        0x00080020: ("DA", (header.study_date,)),
        0x00080023: ("DA", (made.strftime("%Y%m%d"),)),
        0x00080030: ("TM", (header.study_time,)),
        0x00080033: ("TM", (made.strftime("%H%M%S"),)),
        0x00080050: ("SH", (header.accession,)),
        0x00080060: ("CS", ("KO",)),
        0x00080070: ("LO", ("Samsyn",)),
        0x00080080: ("LO", (header.institution,)),
        0x00080090: ("PN", ()),
        0x00080201: ("SH", (made.strftime("%z"),)),
        0x00081111: ("SQ", ()),
        0x00100010: ("PN", (header.patient_name,)),
        0x00100020: ("LO", (header.patient_id,)),
        0x00100024: ("SQ", (_universal_entity(header.issuer_oid),) if header.issuer_oid else ()),
        0x00100030: ("DA", (header.birth_date,)),
        0x00100040: ("CS", (header.sex,)),
        0x0020000D: ("UI", (study_uid,)),
        0x0020000E: ("UI", (_uid("manifest-series", study_uid),)),
        0x00200010: ("SH", ()),
        0x00200011: ("IS", (1,)),
        0x00200013: ("IS", (1,)),
        0x0040A040: ("CS", ("CONTAINER",)),
        0x0040A043: ("SQ", (_code(*_TITLE),)),
        0x0040A050: ("CS", ("SEPARATE",)),
        0x0040A370: ("SQ", ()),
        0x0040A375: ("SQ", (evidence,)),
        0x0040A504: ("SQ", ({0x00080105: ("CS", ("DCMR",)), 0x0040DB00: ("CS", ("2010",))},)),
        0x0040A730: ("SQ", tuple(_content(each) for each in instances)),
    }
    data = {tag: (vr, values if values != ("",) else ()) for tag, (vr, values) in data.items()}
    return file_preamble_and_meta(KEY_OBJECT_SELECTION, uid, EXPLICIT_LITTLE) + encode(data, EXPLICIT_LITTLE)


def _evidence(study_uid: str, instances: Sequence[StoredInstance], retrieve_url: str) -> Attributes:
    series: dict[str, list[StoredInstance]] = {}
    for instance in instances:
        series.setdefault(instance.series_uid, []).append(instance)
    return {
        0x00081115: (
            "SQ",
            tuple(
                {
                    0x00081190: ("UR", (f"{retrieve_url}/studies/{study_uid}/series/{uid}",)),
                    0x00081199: ("SQ", tuple(_referenced(each) for each in members)),
                    0x0020000E: ("UI", (uid,)),
                }
                for uid, members in series.items()
            ),
        ),
        0x0020000D: ("UI", (study_uid,)),
    }


def _content(instance: StoredInstance) -> Attributes:
    kind = "IMAGE" if instance.pixels is not None else "COMPOSITE"
    return {
        0x00081199: ("SQ", (_referenced(instance),)),
        0x0040A010: ("CS", ("CONTAINS",)),
        0x0040A040: ("CS", (kind,)),
    }


def _referenced(instance: StoredInstance) -> Attributes:
    return {
        0x00081150: ("UI", (instance.sop_class_uid,)),
        0x00081155: ("UI", (instance.sop_instance_uid,)),
    }


def _universal_entity(oid: str) -> Attributes:
    return {0x00400032: ("UT", (oid,)), 0x00400033: ("CS", ("ISO",))}


def _code(value: str, scheme: str, meaning: str) -> Attributes:
    return {0x00080100: ("SH", (value,)), 0x00080102: ("SH", (scheme,)), 0x00080104: ("LO", (meaning,))}


def _uid(*parts: str) -> str:
    return f"2.25.{int.from_bytes(hashlib.sha256(chr(0).join(parts).encode()).digest()[:16], 'big')}"
