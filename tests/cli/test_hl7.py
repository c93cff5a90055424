"""`samsyn hl7 try`: what a file of messages would file by a profile, and what is not understood."""

from pathlib import Path

import pytest

from samsyn.cli.hl7 import try_profile
from samsyn.cli.hl7_profile import annotated
from samsyn.errors import ConfigurationError
from samsyn.hl7v2.profile import read_profile
from samsyn.reports.profiles import load_profile, shipped_profiles
from tests.cli.commands import samsyn
from tests.hl7v2.messages import message, msh, obr, obx, oru, pid, segment
from tests.hl7v2.test_documents import mdm

ORDER = message(
    msh("ORM^O01", "M2"),
    pid(),
    segment("ORC", {1: "NW", 2: "R1"}),
    obr({13: "hosta", 27: "^^^^^Q"}),
    segment("ZXX", {1: "eget", 3: "mer"}),
)
BATCH = (
    b"FHS|^~\\&\rBHS|^~\\&\r" + oru() + ORDER + oru(control="M3", f25="Q") + mdm("T06") + b"BTS|4\rFTS|1\r"
)


def written(folder: Path, raw: bytes) -> Path:
    file = folder / "messages.hl7"
    file.write_bytes(raw)
    return file


def test_every_message_of_a_batch_is_told_with_lines_and_fields(tmp_path: Path) -> None:
    ran = samsyn("hl7", "try", "standard", written(tmp_path, BATCH))
    assert ran.returncode == 1
    said = ran.stdout
    assert (
        "message 1, line 3: ORU^R01, control id M1: AA\n  files report, final: accession number ACC300"
        in said
    )
    assert (
        "message 2, line 7: ORM^O01, control id M2: AA\n  files referral, ordered: placer number R1" in said
    )
    assert "NOT UNDERSTOOD line 10: OBR-27: a priority that the profile does not know" in said
    assert "not read line 11: ZXX-1, ZXX-3" in said
    assert "message 3, line 12: ORU^R01, control id M3: AE" in said
    assert "REFUSED line 14: The data could not be understood. OBR-25: this status" in said
    assert "files report, addendum (only what is added)" in said
    assert said.endswith(
        "4 messages: 3 would be filed (1 of them not understood in every part), 1 would be refused\n"
    )


def test_a_file_that_is_understood_in_every_part_ends_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert try_profile("standard", written(tmp_path, oru()), "") == 0
    assert "1 messages: 1 would be filed (0 of them" in capsys.readouterr().out


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_lines_are_those_that_an_editor_shows(
    tmp_path: Path, end: str, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = (oru() + oru(control="M2", f25="Q")).replace(b"\r", end.encode())
    assert try_profile("standard", written(tmp_path, raw), "") == 1
    assert "REFUSED line 7: The data could not be understood. OBR-25" in capsys.readouterr().out


def test_an_mllp_dump_is_read_as_its_messages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = b"\x0b" + oru() + b"\x1c\r\x0b" + oru(control="M2") + b"\x1c\r"
    assert try_profile("standard", written(tmp_path, raw), "") == 0
    assert "2 messages: 2 would be filed" in capsys.readouterr().out


def test_an_identifier_that_would_be_held_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    local = message(msh("ORU^R01"), pid("4711"), obr(), obx("Text"))
    assert try_profile("standard", written(tmp_path, local), "") == 1
    assert "could not be resolved" in capsys.readouterr().out
    assert try_profile("standard", written(tmp_path, local), "2.25.1") == 0


def test_a_missing_file_and_an_unknown_profile_are_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nowhere"):
        try_profile("standard", tmp_path / "nowhere", "")
    with pytest.raises(ConfigurationError, match="neither shipped"):
        try_profile("nobody's", written(tmp_path, oru()), "")
    assert samsyn("hl7", "try", "standard", tmp_path / "nowhere").returncode == 2


def test_a_file_without_messages_is_no_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert try_profile("standard", written(tmp_path, b"hello\n"), "") == 1
    assert "0 messages" in capsys.readouterr().out


@pytest.mark.parametrize("name", shipped_profiles())
def test_a_printed_profile_reads_back_as_the_same_profile(name: str) -> None:
    printed = annotated(load_profile(name))
    assert read_profile(printed) == load_profile(name)


def test_units_and_number_spaces_are_printed_too() -> None:
    text = """name = "own"
    [units]
    RTG1 = { provider = "SE9990000001-0001", unit = "SE9990000001-1001" }
    [accession_issuers]
    RIS2 = "2.25.7"
    """
    profile = read_profile(text)
    assert read_profile(annotated(profile)) == profile


def test_every_rule_is_printed_with_its_meaning() -> None:
    ran = samsyn("hl7", "profile", "sparse")
    assert ran.returncode == 0
    assert (
        "# Whether a final without text annuls; otherwise it is refused.\nempty_final_annuls = true"
        in ran.stdout
    )
    assert 'accession = ["OBR-3.1", "ORC-3.1"]' in ran.stdout
