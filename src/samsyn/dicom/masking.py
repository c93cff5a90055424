"""DICOM JSON without what could lead to a person with protected identity (skyddade personuppgifter). Pure."""

from typing import Any, Final

import orjson

from samsyn.dicom.json_array import each_in, joined

PROTECTED_NAME: Final = "Skyddad^Identitet"

_NAME: Final = "00100010"
_LEFT_OUT: Final = frozenset(
    {
        "00100030",  # birth date
        "00100032",  # birth time
        "00101001",  # other names
        "00101005",  # birth name
        "00101040",  # address
        "00101060",  # mother's birth name
        "00102150",  # country of residence
        "00102152",  # region of residence
        "00102154",  # telephone numbers
        "00102155",  # telecom information
        "00102180",  # occupation
        "001021F0",  # religious preference
        "00102297",  # responsible person
        "00104000",  # patient comments
        "00380300",  # where the patient is now
        "00380400",  # where the patient lives while being treated
    }
)


def masked(document: bytes) -> bytes:
    """The same array of data sets, at every depth without address, telephone, whereabouts, kin and birth, and with
    the words for a protected identity in place of the name."""
    return b"[" + joined(orjson.dumps(_masked(each)) for each in each_in(document)) + b"]"


def _masked(data_set: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for tag, element in data_set.items():
        if tag in _LEFT_OUT:
            continue
        if tag == _NAME:
            element = {"vr": "PN", "Value": [{"Alphabetic": PROTECTED_NAME}]}
        elif element.get("vr") == "SQ":
            items = [_masked(item) for item in element.get("Value", ())]
            element = {**element, "Value": items} if items else element
        kept[tag] = element
    return kept
