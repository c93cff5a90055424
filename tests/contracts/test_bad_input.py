"""What nobody means well with gets a fault that tells nothing, or the contract's own word for it."""

from collections.abc import Iterator
from random import Random

import pytest

from samsyn import limits
from samsyn.endpoints.contracts import names
from samsyn.endpoints.contracts.asked import Form
from samsyn.endpoints.contracts.envelope import call_in
from samsyn.errors import BadInput, LimitExceeded
from tests.contracts.stage import PERSONNUMMER, TOLVAN, Stage, staged
from tests.doors.doors import imaging_outcome

CALL = imaging_outcome(TOLVAN, PERSONNUMMER)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("contracts")) as made:
        made.report()
        yield made


BROKEN = {
    "nothing": b"",
    "no XML": b"hej",
    "truncated": CALL[:-20],
    "not UTF-8": CALL.replace(b"191212121212", b"\xff\xfe"),
    "another encoding": CALL.decode().encode("utf-16"),
    "a document type": b'<!DOCTYPE x SYSTEM "file:///etc/passwd">' + CALL,
    "entities": b'<!DOCTYPE x [<!ENTITY a "bb"><!ENTITY b "&a;&a;">]>'
    + CALL.replace(b"191212121212", b"&b;"),
    "an undeclared entity": CALL.replace(b"191212121212", b"&mitt;"),
    "another envelope": CALL.replace(b"http://schemas.xmlsoap.org/soap/envelope/", b"urn:annat"),
    "no body": CALL.replace(b"<s:Body>", b"<!--").replace(b"</s:Body>", b"-->"),
    "two bodies": CALL.replace(b"</s:Body>", b"</s:Body><s:Body/>"),
    "no logical address": CALL.replace(b"LogicalAddress", b"Annat"),
    "an empty logical address": CALL.replace(b"SE9990000000-E001\n", b"").replace(
        b">SE9990000000-E001</r:", b"></r:"
    ),
    "another operation": CALL.replace(b"t:GetImagingOutcome>", b"t:GetReferralOutcome>"),
    "no patient": CALL.replace(b"t:patientId", b"t:careUnitHSAId"),
    "elements in another order": CALL.replace(
        b"<t:patientId>", b"<t:sourceSystemHSAId>SE9990000000-E001</t:sourceSystemHSAId><t:patientId>"
    ),
    "an issuer that is none": CALL.replace(PERSONNUMMER.encode(), b"personnummer"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_call_that_does_not_follow_the_form_is_the_clients_fault(stage: Stage, what: str) -> None:
    answer = stage.post(BROKEN[what])
    code, sentence = answer.fault
    assert (answer.status, code) == (500, "soapenv:Client")
    assert len(sentence.rpartition("(")[2]) == 37  # a log id, a UUID
    assert b"1912" not in answer.raw
    assert b"root:" not in answer.raw


def test_unknown_trailing_elements_are_passed_over(stage: Stage) -> None:
    extra = b'<n:nyare xmlns:n="urn:nyare">1</n:nyare></t:GetImagingOutcome>'
    answer = stage.post(CALL.replace(b"</t:GetImagingOutcome>", extra))
    assert answer.result("resultCode") == "OK"


def test_a_header_that_must_be_understood_is_refused_by_that_name(stage: Stage) -> None:
    header = '<n:x xmlns:n="urn:n" s:mustUnderstand="1"/>'
    assert stage.ask(header=header).fault[0] == "soapenv:MustUnderstand"
    assert stage.ask(header=header.replace('"1"', '"0"')).result("resultCode") == "OK"


def test_another_soap_action_is_refused(stage: Stage) -> None:
    assert stage.post(CALL, action="urn:annat").fault[0] == "soapenv:Client"
    assert stage.post(CALL, action="").result("resultCode") == "OK"


@pytest.mark.parametrize("token", ["", "fel"])
def test_a_caller_nobody_knows_gets_401_and_no_answer(stage: Stage, token: str) -> None:
    answer = stage.post(CALL, token)
    assert answer.status == 401
    assert answer.fault[0] == "soapenv:Client"


def test_a_call_that_is_too_long_is_refused_by_the_limits_name() -> None:
    with pytest.raises(LimitExceeded, match="MAX_SOAP_REQUEST_BYTES"):
        call_in(CALL + b" " * limits.MAX_SOAP_REQUEST_BYTES)


def test_a_call_that_is_too_deep_or_too_wide_is_refused_by_the_limits_name() -> None:
    depth = limits.MAX_SOAP_DEPTH
    with pytest.raises(LimitExceeded, match="MAX_SOAP_DEPTH"):
        call_in(CALL.replace(b"<s:Body>", b"<s:Body>" + b"<a>" * depth + b"</a>" * depth))
    with pytest.raises(LimitExceeded, match="MAX_SOAP_ELEMENTS"):
        call_in(CALL.replace(b"<s:Body>", b"<s:Body>" + b"<a/>" * limits.MAX_SOAP_ELEMENTS))
    with pytest.raises(BadInput):
        call_in(b"<a>" * 20_000)


def test_a_long_body_is_refused_while_it_comes(stage: Stage) -> None:
    assert stage.post(CALL + b" " * 4 * limits.MAX_SOAP_REQUEST_BYTES).fault[0] == "soapenv:Client"


def test_markup_in_a_report_is_told_as_text(stage: Stage) -> None:
    stage.report("C", "<script>alert(1)</script> ]]> å", f22="20240316101500")
    answer = stage.ask()
    told = answer.text("imagingOutcomeBody/resultReport")
    assert told is not None
    assert told == "<script>alert(1)</script> ]]> å"


def test_only_the_wsdl_and_its_forms_are_fetched(stage: Stage) -> None:
    import http.client

    connection = http.client.HTTPConnection(stage.made.server._base.removeprefix("http://"), timeout=10)
    for path, status in (
        ("?wsdl", 200),
        ("?WSDL", 200),
        ("", 405),
        (f"/{names.RESPONDER_FORM}", 200),
        ("/door.py", 404),
        ("/..%2fdoor.py", 404),
    ):
        connection.request("GET", names.PATH + path)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status, path
    connection.close()


PIECES = (
    b"<",
    b">",
    b"&",
    b"\x00",
    b"\xff",
    b"]]>",
    b"<!--",
    b"<?x?>",
    b"<![CDATA[",
    b"&#x41;",
    b"&#0;",
    b'"',
    b"<a/>",
)


def _mutant(random: Random) -> bytes:
    data = bytearray(CALL)
    for _ in range(random.randint(1, 6)):
        place, size = random.randrange(len(data)), random.randint(0, 40)
        match random.randrange(4):
            case 0:
                data[place : place + size] = random.choice(PIECES)
            case 1:
                del data[place : place + size]
            case 2:
                data[place:place] = data[random.randrange(len(data)) :][: size * 4]
            case _:
                data[place] = random.randrange(256)
    return bytes(data)


def test_three_thousand_broken_calls_are_refused_in_the_doors_own_words_or_understood() -> None:
    random, form, understood = Random(20261126), Form(), 0
    for _ in range(3_000):
        try:
            form.question(call_in(_mutant(random)))
            understood += 1
        except (BadInput, LimitExceeded):
            continue
    assert understood < 1_500
