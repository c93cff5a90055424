"""`samsyn hl7 send`: a file of messages to a running service."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samsyn.cli.hl7_send import messages, run
from samsyn.errors import BadInput, ConfigurationError
from samsyn.hl7v2.parsing import split_batch
from samsyn.limits import MAX_HL7_MESSAGE_BYTES
from tests.cli.commands import samsyn
from tests.hl7v2.messages import message, msh, obr, obx, oru, pid
from tests.scratch import Running

THREE = [oru(), oru(control="M2", status="Q"), oru(control="M3", f18="ACC3")]
BATCH = b"FHS|^~\\&\rBHS|^~\\&\r" + b"".join(THREE) + b"BTS|3\rFTS|1\r"


@given(
    st.lists(st.integers(1, 400), max_size=12),
    st.sampled_from([BATCH, b"".join(THREE), b"".join(b"\x0b" + each + b"\x1c\r" for each in THREE)]),
)
def test_messages_are_the_same_however_the_file_is_cut(cuts: list[int], raw: bytes) -> None:
    chunks, left = [], raw
    for cut in cuts:
        chunks.append(left[:cut])
        left = left[cut:]
    chunks.append(left)
    found = list(messages(iter(chunks)))
    assert [each.rstrip(b"\r") for each in found] == [each.rstrip(b"\r") for each in THREE]


def test_a_whole_file_is_cut_as_a_batch_is() -> None:
    found = list(messages(iter([BATCH])))
    assert [each.rstrip(b"\r") for each in found] == [each.rstrip(b"\r") for each in split_batch(BATCH)]


def test_a_file_of_something_else_ends_early() -> None:
    chunks = iter([b"x" * MAX_HL7_MESSAGE_BYTES, b"y" * 200_000])
    with pytest.raises(BadInput, match="file of messages"):
        list(messages(chunks))


def test_nobody_who_listens_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "a.hl7"
    file.write_bytes(oru())
    with pytest.raises(ConfigurationError):
        run(file, "127.0.0.1", 1)


@pytest.mark.slow
def test_what_was_not_accepted_is_told_and_sending_again_changes_nothing(
    scratch: Running, tmp_path: Path
) -> None:
    def one(control: str, status: str = "F") -> bytes:
        return message(
            msh("ORU^R01", control, f3="NORDRIS", f4=""),
            pid(),
            obr({18: control, 25: status}),
            obx("Text", status),
        )

    file = tmp_path / "export.hl7"
    file.write_bytes(b"BHS|^~\\&\r" + one("S1") + one("S2", "Q") + one("S3") + b"BTS|3\r")
    for _ in range(2):
        ran = samsyn("hl7", "send", file, "--port", str(scratch.mllp_port))
        assert ran.returncode == 1
        assert ran.stdout.splitlines()[0].startswith(
            "message 2, control id S2: AE The data could not be understood."
        )
        assert ran.stdout.splitlines()[-1] == "3 messages: 2 AA, 1 AE"
