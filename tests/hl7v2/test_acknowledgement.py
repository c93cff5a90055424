"""Answers: what a sender's technician reads, in the sender's own version and mode."""

from datetime import UTC, datetime

import hl7
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samsyn import errors
from samsyn.hl7v2.acknowledgement import ACCEPTED, Code, Verdict, answers, verdict_on
from samsyn.hl7v2.faults import BadMessage
from samsyn.hl7v2.header import Header, peek
from samsyn.hl7v2.parsing import parse
from tests.hl7v2.messages import meant, message, msh, oru, pid

WHEN = datetime(2024, 3, 15, 9, 15, 30, tzinfo=UTC)
REFUSED = Verdict(Code.ERROR, "OBR-25: the status is missing", 101, "OBR", 2, 25)


def one(header: Header, verdict: Verdict) -> list[str]:
    (answer,) = answers(header, verdict, WHEN)
    return answer.decode().rstrip("\r").split("\r")


def test_an_acceptance_names_the_message_and_turns_the_addresses_round() -> None:
    msh_line, msa = one(peek(oru(control="M77")), ACCEPTED)
    assert msh_line == "MSH|^~\\&|SAMSYN||NORDRIS|NORDSJUKHUSET|20240315101530+0100||ACK^R01^ACK|AAM77|P|2.5"
    assert msa == "MSA|AA|M77"


def test_a_refusal_tells_place_condition_and_sentence_by_version() -> None:
    new = one(peek(message(msh("ORU^R01", f12="2.5.1"))), REFUSED)
    assert new[1] == "MSA|AE|M1|OBR-25: the status is missing"
    assert new[2] == "ERR||OBR^2^25|101^Required field missing^HL70357|E||||OBR-25: the status is missing"
    old = one(peek(message(msh("ORU^R01", f12="2.3"))), REFUSED)
    assert old[2] == "ERR|OBR^2^25^101&Required field missing&HL70357"
    assert "ACK^R01|" in old[0]


@pytest.mark.parametrize(
    ("accept", "application", "verdict", "codes"),
    [
        ("AL", "NE", ACCEPTED, ["CA"]),
        ("AL", "NE", REFUSED, ["CE"]),
        ("NE", "AL", ACCEPTED, ["AA"]),
        ("AL", "AL", ACCEPTED, ["CA", "AA"]),
        ("ER", "NE", ACCEPTED, []),
        ("ER", "NE", REFUSED, ["CE"]),
        ("SU", "ER", ACCEPTED, ["CA"]),
        ("SU", "ER", REFUSED, ["AE"]),
        ("NE", "NE", REFUSED, []),
        ("", "AL", ACCEPTED, ["AA"]),
        ("", "", ACCEPTED, ["AA"]),
        ("??", "NE", ACCEPTED, ["CA"]),
    ],
)
def test_enhanced_mode_sends_what_was_asked_for(
    accept: str, application: str, verdict: Verdict, codes: list[str]
) -> None:
    header = peek(message(msh("ORU^R01", f15=accept, f16=application)))
    sent = [parse(answer).segments[1].text(1) for answer in answers(header, verdict, WHEN)]
    assert sent == codes


@pytest.mark.parametrize("kind", [kind for kind in vars(errors).values() if isinstance(kind, type)])
def test_every_error_has_a_verdict_with_a_sentence(kind: type[Exception]) -> None:
    if not issubclass(kind, errors.SamsynError):
        return
    verdict = verdict_on(kind(""))
    assert verdict.code is not Code.ACCEPT
    assert kind.sentence in verdict.sentence
    assert one(Header(), verdict)[2].startswith("ERR|")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.BadInput("x"), "AE"),
        (errors.NotSupported("x"), "AR"),
        (errors.NotAuthenticated("x"), "AR"),
        (errors.UnknownIssuer("x"), "AE"),
        (errors.Conflict("x"), "AE"),
        (errors.OutOfResources("x"), "AE"),
        (BadMessage("PID", 1, 3, "x"), "AE"),
    ],
)
def test_reject_means_that_the_content_was_not_judged(error: errors.SamsynError, code: str) -> None:
    assert verdict_on(error).code == code


def test_no_refusal_of_a_broken_field_repeats_what_stood_in_it() -> None:
    canary = "HEMLIG"
    for raw in (
        message(msh("ADT^A08"), pid(birth=canary)),
        message(msh("ORU^R01"), pid(canary), f"OBR|{canary}", f"OBX|1|TX|||{canary}||||||{canary}"),
        message(msh("ORM^O01"), pid(name=canary), f"ORC|{canary}|{canary}"),
        message(msh("ADT^A08"), pid(name=canary + "\\X07\\")),
    ):
        with pytest.raises(errors.SamsynError) as caught:
            meant(raw)
        verdict = verdict_on(caught.value)
        assert canary not in b"".join(answers(peek(raw), verdict, WHEN)).decode("latin-1")


@pytest.mark.parametrize("raw", [b"", b"GET / HTTP/1.1", b"\x00\xff" * 50, b"MSH", b"MSH|^~\\&", b"PID|1"])
def test_bytes_without_header_are_answered_with_an_empty_control_id(raw: bytes) -> None:
    header = peek(raw)
    assert header.control_id == ""
    assert one(header, verdict_on(errors.BadInput("x")))[1].startswith("MSA|AE||")


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda tail: b"MSH|^~\\&|" + tail))
def test_any_header_can_be_answered_and_the_answer_parsed(raw: bytes) -> None:
    for answer in answers(peek(raw), REFUSED, WHEN):
        assert [line[:3] for line in answer.split(b"\r")] == [b"MSH", b"MSA", b"ERR", b""]
        assert not any(byte < 0x20 and byte != 0x0D for byte in answer)


def test_a_foreign_library_reads_the_answer() -> None:
    header = peek(message(msh("ORU^R01", control="A^B|C")))
    foreign = hl7.parse(answers(header, REFUSED, WHEN)[0].decode())
    assert str(foreign.segment("MSA")[1]) == "AE"


def test_custom_delimiters_in_a_header_are_understood() -> None:
    header = peek(b"MSH#*;!%#APP#FAC#X#Y#2024##ADT*A08#C!F!1#P#2.3\r")
    assert (header.sending_application, header.kind, header.control_id) == ("APP", "ADT^A08", "C#1")
