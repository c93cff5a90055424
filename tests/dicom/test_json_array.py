"""Arrays of data sets are read one by one as they would be read at once, whatever their texts hold."""

import orjson

from samsyn.dicom.json import to_dicom_json
from samsyn.dicom.json_array import each_in, joined
from samsyn.dicom.transfer_syntaxes import EXPLICIT_LITTLE
from tests.dicom.corpus import element


def test_texts_that_look_like_the_ends_of_data_sets_are_not_cut() -> None:
    texts = [b'},\r\n{"00080005":', b"],\n[ ", b'\\",\n{\\']
    made = [
        to_dicom_json(element(0x00104000, b"LT", text + b" " * (len(text) % 2)), EXPLICIT_LITTLE, "")
        for text in texts
    ]
    array = b"[" + joined(made) + b"]"
    assert list(each_in(array)) == orjson.loads(array)
    assert len(list(each_in(array))) == len(texts)


def test_an_array_that_was_made_otherwise_is_read_too() -> None:
    array = b'[{"a":1},{"b":2},\n{"c":3}]'
    assert list(each_in(array)) == orjson.loads(array)
    assert list(each_in(b"[]")) == []
