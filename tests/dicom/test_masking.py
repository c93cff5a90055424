"""What could lead to a person with protected identity leaves metadata, at any depth; the rest stays as it is."""

import orjson

from samsyn.dicom.masking import PROTECTED_NAME, masked


def test_name_birth_and_address_go_and_everything_else_stays() -> None:
    inner = {"00101040": {"vr": "LO", "Value": ["Gatan 1"]}, "00080060": {"vr": "CS", "Value": ["CT"]}}
    data_set = {
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Provsson^Provan"}]},
        "00100020": {"vr": "LO", "Value": ["ZQ1"]},
        "00100030": {"vr": "DA", "Value": ["19500101"]},
        "00102154": {"vr": "SH", "Value": ["08-123 456 78"]},
        "00400275": {"vr": "SQ", "Value": [inner]},
        "00081140": {"vr": "SQ"},
        "7FE00010": {"vr": "OW", "BulkDataURI": "x"},
    }
    (told,) = orjson.loads(masked(orjson.dumps([data_set])))
    assert told["00100010"]["Value"] == [{"Alphabetic": PROTECTED_NAME}]
    assert told["00400275"]["Value"] == [{"00080060": {"vr": "CS", "Value": ["CT"]}}]
    assert set(told) == set(data_set) - {"00100030", "00102154"}
