"""What is wrong with a message, said so that a RIS technician knows which field to mend."""

from typing import ClassVar

from samsyn.errors import BadInput

SEGMENT_SEQUENCE = 100
REQUIRED_FIELD_MISSING = 101
DATA_TYPE_ERROR = 102
TABLE_VALUE_NOT_FOUND = 103


class BadMessage(BadInput):
    """A fault at a known place of a message.

    `detail` starts with the place ("OBR[2]-25: ...") and never repeats the value that stood there, because
    that may be patient data. `condition` is a code of HL7 table 0357.
    """

    code: ClassVar[str] = "bad-input"

    def __init__(
        self, segment: str, sequence: int, field: int, sentence: str, condition: int = DATA_TYPE_ERROR
    ) -> None:
        place = f"{segment}[{sequence}]" if sequence > 1 else segment
        super().__init__(f"{place}-{field}: {sentence}" if field else f"{place}: {sentence}")
        self.segment = segment
        self.sequence = sequence
        self.field = field
        self.condition = condition
