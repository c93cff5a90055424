"""What a picture depends on is read from few attributes, and these are all that is looked at."""

import contextlib
from typing import Any

from samsyn.dicom.json import ALWAYS_WANTED
from samsyn.errors import DamagedData
from samsyn.model.amendment import AMENDABLE
from samsyn.render.header import PICTURE_TAGS, bulk_paths, picture_header

PALETTE = {"00280004": {"vr": "CS", "Value": ["PALETTE COLOR"]}}


class Noting(dict[str, Any]):
    """A document that notes which attributes are looked at."""

    def __init__(self, content: dict[str, Any]) -> None:
        super().__init__(content)
        self.asked: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.asked.add(key)
        return super().get(key, default)

    def __getitem__(self, key: str) -> Any:
        self.asked.add(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self.asked.add(str(key))
        return super().__contains__(key)


def _lut(first: str) -> dict[str, Any]:
    return {
        f"0028110{first}": {"vr": "US", "Value": [2, 0, 16]},
        f"0028120{first}": {"vr": "OW", "InlineBinary": "AAAAAA=="},
    }


def _asked(content: dict[str, Any]) -> set[str]:
    document = Noting(content)
    bulk_paths(document)
    with contextlib.suppress(DamagedData):  # a palette that is not there
        picture_header(document, lambda _: b"")
    return document.asked


def test_every_attribute_that_is_looked_at_is_among_those_that_are_read() -> None:
    table = {
        "00283002": {"vr": "US", "Value": [2, 0, 16]},
        "00283006": {"vr": "OW", "InlineBinary": "AAAAAA=="},
    }
    asked = (
        _asked({})
        | _asked(PALETTE)
        | _asked({**PALETTE, **_lut("1"), **_lut("2"), **_lut("3")})
        | _asked({"00283000": {"vr": "SQ", "Value": [table]}, "00283010": {"vr": "SQ", "Value": [table]}})
        | _asked({"52009229": {"vr": "SQ", "Value": [{}]}, "52009230": {"vr": "SQ", "Value": [{}, {}]}})
        | _asked({"00281050": {"vr": "DS", "Value": [40]}, "00281051": {"vr": "DS", "Value": [400]}})
        | _asked(
            {
                f"{tag:08X}": {"vr": "OW", "InlineBinary": "AAA="}
                for tag in range(0x60003000, 0x60203000, 0x20000)
            }
        )
        | _asked({"7FE00008": {"vr": "OF"}})
        | _asked({"7FE00009": {"vr": "OD"}})
        | _asked(
            {
                f"{tag:08X}": {"vr": "OW", "InlineBinary": "AAA="}
                for tag in range(0x50003000, 0x50203000, 0x20000)
            }
        )
        | _asked({"00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.12.1"]}})
    )
    # Tags of what stands in items of sequences are asked of the data set as well.
    inside = {"00281201", "00281202", "00281203", "00283006", "54001010", "54000100"}
    assert {f"{tag:08X}" for tag in PICTURE_TAGS - ALWAYS_WANTED} <= asked
    assert asked - inside <= {f"{tag:08X}" for tag in PICTURE_TAGS}


def test_nothing_of_it_can_be_corrected_or_names_the_person() -> None:
    assert not PICTURE_TAGS & AMENDABLE.keys()
    assert not {tag for tag in PICTURE_TAGS if tag >> 16 == 0x0010}
