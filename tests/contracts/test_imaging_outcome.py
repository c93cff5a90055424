"""GetImagingOutcome 1.0: what is answered, by the contract's rules, over real HTTP."""

import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from lxml import etree

from samsyn import limits
from samsyn.clock import STOCKHOLM
from samsyn.endpoints.contracts.outcomes import dose_area_products
from samsyn.endpoints.viewer.extract_words import lines_in_words
from samsyn.model.subject import Subject, SubjectKind
from samsyn.model.texts import MeasuredValue
from samsyn.patients import links, registry
from samsyn.patients.identifiers import identify
from samsyn.settings import Settings
from tests.contracts.stage import (
    KLARA_RIS,
    KLARA_SYSTEM,
    NORD_SYSTEM,
    PERSONNUMMER,
    SPACES,
    TOLVAN,
    Stage,
    forms,
    staged,
)
from tests.doors.doors import imaging_outcome
from tests.hl7v2.messages import pid

AGDA = "199001012385"
RESERVE, SLL = "991981000010", "1.2.752.97.3.1.3"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path / "data") as made:
        yield made


def days_ago(days: float) -> str:
    moment = datetime.now(UTC) - timedelta(days=days)
    return moment.astimezone(STOCKHOLM).strftime("%Y%m%d%H%M%S")


def recent(days: float, number: str = "ACC300") -> dict[str, str]:
    """OBR fields of an examination and its result so many days ago."""
    return {"f7": days_ago(days), "f22": days_ago(days), "f18": number, "f3": f"RIS-{number}"}


def test_a_final_report_is_told_with_its_owner_its_time_and_its_referral(stage: Stage) -> None:
    stage.order()
    stage.report()
    answer = stage.ask()
    (outcome,) = answer.outcomes
    header = "imagingOutcomeHeader"
    assert answer.result("resultCode") == "OK"
    assert answer.text("imagingOutcomeBody/typeOfResult") == "DEF"
    assert answer.text("imagingOutcomeBody/resultTime") == "20240315101500"
    assert answer.text("imagingOutcomeBody/resultReport") == "Inga tecken till pneumoni."
    assert answer.text("imagingOutcomeBody/referral/referralId") == "R100"
    assert answer.text(f"{header}/sourceSystemHSAId") == NORD_SYSTEM
    assert answer.text(f"{header}/patientId/id") == TOLVAN
    accountable = f"{header}/accountableHealthcareProfessional"
    assert answer.text(f"{accountable}/healthcareProfessionalCareUnitHSAId") == "SE9990000001-1001"
    assert answer.text(f"{accountable}/healthcareProfessionalCareGiverHSAId") == "SE9990000001-0001"
    assert answer.text(f"{header}/legalAuthenticator/signatureTime") == "20240315101500"
    forms().assertValid(answer.body)
    assert outcome is not None


@pytest.mark.parametrize(("status", "told"), [("P", "PREL"), ("F", "DEF"), ("A", "TILL"), ("C", "TILL")])
def test_a_status_is_told_in_the_contracts_words(stage: Stage, status: str, told: str) -> None:
    stage.report(status)
    assert stage.ask().text("imagingOutcomeBody/typeOfResult") == told


def test_a_preliminary_answer_has_no_legal_authenticator(stage: Stage) -> None:
    stage.report("P")
    assert stage.ask().text("imagingOutcomeHeader/legalAuthenticator/signatureTime") is None


def test_only_the_latest_status_is_told_and_under_the_same_document_id(stage: Stage) -> None:
    stage.report("P", "Preliminärt.", f22="20240315100000")
    first = stage.ask().text("imagingOutcomeHeader/documentId")
    stage.report("F", "Definitivt.", f22="20240315110000")
    answer = stage.ask()
    assert len(answer.outcomes) == 1
    assert answer.text("imagingOutcomeBody/resultReport") == "Definitivt."
    assert answer.text("imagingOutcomeHeader/documentId") == first


def test_what_comes_late_does_not_become_the_latest(stage: Stage) -> None:
    stage.report("F", "Definitivt.", f22="20240315110000")
    stage.report("P", "Preliminärt.", f22="20240315100000")
    assert stage.ask().text("imagingOutcomeBody/typeOfResult") == "DEF"


def test_an_annulled_report_is_nullified_with_its_reason_and_without_its_text(stage: Stage) -> None:
    stage.report("F", "Fel patients text.", f22="20240315110000")
    stage.report("X", "Fel patient", f22="20240315120000")
    answer = stage.ask()
    (outcome,) = answer.outcomes
    assert answer.text("imagingOutcomeHeader/nullified", outcome) == "true"
    assert answer.text("imagingOutcomeHeader/approvedForPatient", outcome) == "false"
    assert b"Fel patients text" not in answer.raw
    assert answer.text("imagingOutcomeBody/typeOfResult") == "DEF"
    forms().assertValid(answer.body)


def test_images_without_a_report_make_no_outcome(stage: Stage) -> None:
    stage.order()
    answer = stage.ask()
    assert answer.outcomes == []
    assert answer.result("resultCode") == "OK"


def test_a_person_nobody_knows_is_answered_like_one_about_whom_nothing_is_shown(stage: Stage) -> None:
    answer = stage.ask(AGDA)
    assert (answer.status, answer.outcomes, answer.result("resultCode")) == (200, [], "OK")


def test_a_recording_has_its_own_id_and_a_text_without_a_code_and_no_care_unit_of_its_own(
    stage: Stage,
) -> None:
    stage.order()
    stage.image()
    stage.report()
    answer = stage.ask()
    recording = answer.outcomes[0].find(".//c:imageRecording", SPACES)
    assert answer.text("recordingId/root", recording) == NORD_SYSTEM
    assert answer.text("recordingId/extension", recording) == "2.25.10"
    (activity,) = recording.findall("c:examinationActivity", SPACES)
    assert [etree.QName(each).localname for each in activity] == ["originalText"]
    names = {etree.QName(each).localname for each in recording.iter()}
    assert not names & {"healthcareProfessionalCareUnitHSAId", "healthcareProfessionalCareGiverHSAId"}
    assert answer.text("imagingOutcomeHeader/documentTime") == "20240315000000"
    forms().assertValid(answer.body)


def test_what_belongs_to_another_provider_is_not_told_as_a_recording_of_this_one(stage: Stage) -> None:
    stage.image()
    stage.report(sender=KLARA_RIS)
    answer = stage.ask(source=KLARA_SYSTEM)
    assert len(answer.outcomes) == 1
    assert answer.outcomes[0].find(".//c:imageRecording", SPACES) is None


# -- the question


def test_a_source_system_that_differs_from_the_logical_address_is_an_invalid_request(stage: Stage) -> None:
    stage.report()
    answer = stage.ask(system=f"<t:sourceSystemHSAId>{KLARA_SYSTEM}</t:sourceSystemHSAId>")
    assert answer.status == 200
    assert answer.outcomes == []
    assert (answer.result("resultCode"), answer.result("errorCode")) == ("ERROR", "INVALID_REQUEST")
    assert answer.result("logId")
    forms().assertValid(answer.body)


def test_without_a_source_system_the_logical_address_says_who_is_asked(stage: Stage) -> None:
    stage.report()
    assert len(stage.ask(system="").outcomes) == 1


def test_a_care_contact_without_source_system_is_an_invalid_request(stage: Stage) -> None:
    answer = stage.ask(system="", contacts="<t:careContactId>V1</t:careContactId>")
    assert answer.result("errorCode") == "INVALID_REQUEST"


def test_a_reserve_number_without_source_system_is_an_invalid_request(stage: Stage) -> None:
    assert stage.ask(RESERVE, SLL, system="").result("errorCode") == "INVALID_REQUEST"
    assert stage.ask(RESERVE, SLL).result("resultCode") == "OK"


def test_a_logical_address_that_is_no_source_here_is_an_invalid_request(stage: Stage) -> None:
    assert stage.ask(source="SE9990000009-E001").result("errorCode") == "INVALID_REQUEST"


def test_a_period_that_ends_before_it_starts_is_an_invalid_request(stage: Stage) -> None:
    period = "<t:datePeriod><c:start>20240401</c:start><c:end>20240301</c:end></t:datePeriod>"
    assert stage.ask(period=period).result("errorCode") == "INVALID_REQUEST"


def test_only_what_the_addressed_source_system_made_is_told(stage: Stage) -> None:
    stage.report(text="Nords svar.")
    stage.report(text="Klaras svar.", sender=KLARA_RIS)
    assert stage.ask().text("imagingOutcomeBody/resultReport") == "Nords svar."
    assert stage.ask(source=KLARA_SYSTEM).text("imagingOutcomeBody/resultReport") == "Klaras svar."
    assert len(stage.ask(source="SE9990000000-E001").outcomes) == 2


@pytest.mark.parametrize(
    ("first", "last", "count"),
    [
        ("20240301", "20240331", 1),
        ("20240315", "20240315", 1),
        ("20240316", "20240401", 0),
        ("20230101", "20240314", 0),
    ],
)
def test_a_period_narrows_the_answer(stage: Stage, first: str, last: str, count: int) -> None:
    stage.report()
    period = f"<t:datePeriod><c:start>{first}</c:start><c:end>{last}</c:end></t:datePeriod>"
    assert len(stage.ask(period=period).outcomes) == count


def test_care_units_narrow_the_answer(stage: Stage) -> None:
    stage.report()
    own, other = (f"<t:careUnitHSAId>SE9990000001-{unit}</t:careUnitHSAId>" for unit in (1001, 1002))
    assert len(stage.ask(units=other + own).outcomes) == 1
    assert stage.ask(units=other).outcomes == []


# -- identity


def test_everything_is_told_that_came_under_linked_older_numbers_and_under_the_main_identity(
    stage: Stage,
) -> None:
    stage.report(
        text="Under reservnumret.", person=pid(f"{RESERVE}^^^&{SLL}&ISO", "Okänd^Person", "", ""), f18="ACC1"
    )
    stage.report(text="Under personnumret.", f18="ACC2", f3="RIS2")

    def merge(transaction: object) -> None:
        today = datetime.now(UTC).date()
        keys = [
            registry.find(transaction, identify(number, "", "", today))  # type: ignore[arg-type]
            for number in (TOLVAN, RESERVE)
        ]
        links.merge(transaction, keys[0], keys[1], links.Word())  # type: ignore[arg-type]

    stage.made.commit(merge)
    for number, issuer in ((TOLVAN, PERSONNUMMER), (RESERVE, SLL)):
        answer = stage.ask(number, issuer)
        told = {answer.text("imagingOutcomeBody/resultReport", each) for each in answer.outcomes}
        assert told == {"Under reservnumret.", "Under personnumret."}
        named = {answer.text("imagingOutcomeHeader/patientId/id", each) for each in answer.outcomes}
        assert named == {TOLVAN}


# -- what patients may read


@pytest.mark.parametrize(("days", "approved"), [(13.5, "false"), (16, "true")])
def test_the_flag_turns_when_the_providers_days_have_passed(stage: Stage, days: float, approved: str) -> None:
    stage.report(**recent(days))
    answer = stage.ask()
    assert answer.text("imagingOutcomeHeader/approvedForPatient") == approved
    assert len(stage.ask(token="JOURNALEN").outcomes) == (approved == "true")


def test_an_unsigned_report_is_never_approved_for_the_patient(stage: Stage) -> None:
    stage.report("P", **recent(100))
    assert stage.ask().text("imagingOutcomeHeader/approvedForPatient") == "false"
    assert stage.ask(token="JOURNALEN").outcomes == []


def test_an_addendum_sets_the_patients_time_anew(stage: Stage) -> None:
    stage.report(**recent(100))
    assert len(stage.ask(token="JOURNALEN").outcomes) == 1
    stage.report("A", "Tillägg.", **{**recent(100), "f22": days_ago(1)})
    assert stage.ask(token="JOURNALEN").outcomes == []
    assert stage.ask().text("imagingOutcomeHeader/approvedForPatient") == "false"


def test_a_block_against_staff_hides_from_care_and_not_from_the_patient(stage: Stage) -> None:
    stage.report()

    def block(transaction: object) -> None:
        transaction.insert(  # type: ignore[attr-defined]
            "block", block_id="b1", patient_key=1, kind="inner", provider="SE9990000001-0001",
            unit="SE9990000001-1001", first_day=None, last_day=None, ended=None,
        )  # fmt: skip

    stage.made.commit(block)
    stage.made.server._gatekeeper.forget_views()
    assert stage.ask().outcomes == []
    assert len(stage.ask(token="JOURNALEN").outcomes) == 1


def test_what_is_told_is_written_down_with_who_asked(stage: Stage) -> None:
    stage.report()
    stage.ask()
    stage.ask(token="JOURNALEN")
    rows = stage.made.server._store.peek(
        lambda connection: {
            tuple(row) for row in connection.execute("SELECT event, actor, patient_key FROM audit")
        }
    )
    assert {("OPEN_REPORT", "OVERSIKT", 1), ("OPEN_REPORT", "JOURNALEN", 1)} <= rows
    assert {("SEARCH_PATIENT", "OVERSIKT", 1), ("OWN_RECORD", "JOURNALEN", 1)} <= rows


def test_the_patients_log_extract_names_the_consumer_and_takes_it_for_nobodys_guardian(stage: Stage) -> None:
    stage.report()
    stage.ask()
    stage.ask(token="JOURNALEN")
    himself = Subject(SubjectKind.PATIENT, "patient-1", "Tolvan", None, "s", patient_key=1)
    extract = stage.do(stage.made.server._extracts.own(himself))
    lines = {each.consumer: each for each in extract.lines if "report" in each.done}
    assert set(lines) == {"OVERSIKT", "JOURNALEN"}
    assert all(each.is_system and not each.is_guardian and not each.is_patient for each in lines.values())
    shown = lines_in_words(extract, str, stage.made.server._connections)
    assert {"OVERSIKT", "JOURNALEN"} <= {each.unit for each in shown}


def test_a_consumer_is_known_at_no_other_door(stage: Stage) -> None:
    import http.client

    connection = http.client.HTTPConnection(stage.made.server._base.removeprefix("http://"), timeout=10)
    bearer = {"Authorization": f"Bearer {stage.made.tokens['OVERSIKT']}"}
    for path in ("/dicomweb/studies", "/fhir/Patient?identifier=191212121212"):
        connection.request("GET", path, headers=bearer)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 401
    connection.close()


def test_dates_that_do_not_exist_are_refused_by_the_form_or_the_rule(stage: Stage) -> None:
    period = "<t:datePeriod><c:start>20230229</c:start><c:end>20230301</c:end></t:datePeriod>"
    assert stage.ask(period=period).result("errorCode") == "INVALID_REQUEST"
    period = "<t:datePeriod><c:start>2023</c:start><c:end>20230301</c:end></t:datePeriod>"
    assert stage.ask(period=period).fault[0] == "soapenv:Client"
    assert SPACES["s"]


# -- doses


def _measured(name: str, value: str, unit: str, study: str = "1.2") -> MeasuredValue:
    return MeasuredValue(study, name, value, unit, "")


def test_a_dose_area_product_is_told_in_the_contracts_unit_and_once_for_each_study() -> None:
    total = "Dose Area Product Total"
    assert dose_area_products([_measured(total, "2.5", "Gy.cm2")]) == ["0.00025"]
    assert dose_area_products(
        [_measured(total, "120", "mGy.cm2"), _measured(total, "1", "Gy.m2", "1.3")]
    ) == [
        "0.000012",
        "1",
    ]
    assert dose_area_products([_measured(total, "1", "Gy.m2"), _measured(total, "1", "Gy.m2")]) == ["1"]


@pytest.mark.parametrize(
    ("value", "unit"), [("1", "mm"), ("mycket", "Gy.m2"), ("NaN", "Gy.m2"), ("-1", "Gy.m2")]
)
def test_what_is_no_dose_is_not_told(value: str, unit: str) -> None:
    assert dose_area_products([_measured("Dose Area Product Total", value, unit)]) == []
    assert dose_area_products([_measured("Dose Area Product", "1", "Gy.m2")]) == []


# -- service platforms


def test_a_platform_asks_for_the_consumer_that_it_names_and_for_no_other(tmp_path: Path) -> None:
    secret = "plattformens-hemlighet"
    digest = hashlib.sha256(secret.encode()).hexdigest()
    rows = [
        {"name": "Översikt", "sha256": digest, "original": "SE5565594230-NPO", "serves": "care"},
        {"name": "Journalen", "sha256": digest, "original": "SE5565594230-1177", "serves": "patients"},
    ]
    with staged(tmp_path / "data", {"consumer": rows}) as stage:
        stage.report(**recent(1))
        call = imaging_outcome(TOLVAN, PERSONNUMMER, NORD_SYSTEM)
        assert len(stage.post(call, secret, original="se5565594230-npo").outcomes) == 1
        assert stage.post(call, secret, original="SE5565594230-1177").outcomes == []
        for original in ("SE5565594230-X", ""):
            answer = stage.post(call, secret, original=original)
            assert (answer.status, answer.fault[0]) == (403, "soapenv:Client")


def test_a_header_makes_nobody_a_platform(stage: Stage) -> None:
    stage.report(**recent(1))
    call = imaging_outcome(TOLVAN, PERSONNUMMER, NORD_SYSTEM)
    assert stage.post(call, "JOURNALEN", original="OVERSIKT").outcomes == []
    assert stage.post(call, "", original="OVERSIKT").status == 401


def test_a_consumer_is_in_the_settings_once_for_each_who_is_behind_it() -> None:
    row = {"name": "A", "sha256": "0" * 64, "serves": "care"}
    Settings.model_validate({"consumer": [row, {**row, "original": "X"}]})
    with pytest.raises(ValueError, match="twice"):
        Settings.model_validate({"consumer": [row, {**row, "name": "B"}]})
    with pytest.raises(ValueError, match="hsa_id or a sha256"):
        Settings.model_validate({"consumer": [{"name": "A", "serves": "care"}]})


# -- many at once


@pytest.mark.slow
def test_a_thousand_reports_are_told_within_the_contracts_time_to_ten_at_once(
    stage: Stage,
) -> None:
    for number in range(1_010):
        stage.report(f18=f"ACC{number}", f3=f"RIS{number}", f22="20240315101500")
    began = time.monotonic()
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: stage.ask(), range(10)))
    took = time.monotonic() - began
    assert {len(each.outcomes) for each in answers} == {limits.MAX_IMAGING_OUTCOMES}
    assert {each.result("resultCode") for each in answers} == {"INFO"}
    print(f"ten answers of {limits.MAX_IMAGING_OUTCOMES} reports each, asked for at once: {took:.1f} s")
    assert took < 27


# -- each provider's own rule


@pytest.mark.parametrize(
    ("release", "told"),
    [
        ({"when": "signed", "days": 14}, 1),
        ({"when": "signed", "days": 0}, 1),
        ({"when": "signed", "days": 30}, 0),
        ({"when": "never"}, 0),
        ({"when": "signed", "excluded_units": ["SE9990000001-1001"]}, 0),
        ({"when": "signed", "after_vidimering": True}, 0),
    ],
)
def test_a_consumer_for_patients_gets_what_the_provider_has_approved_and_care_gets_the_flag(
    tmp_path: Path, release: dict[str, object], told: int
) -> None:
    with staged(tmp_path / "data", {"providers": {"SE9990000001-0001": {"release": release}}}) as stage:
        stage.report(**recent(20))
        assert len(stage.ask(token="JOURNALEN").outcomes) == told
        flag = stage.ask().text("imagingOutcomeHeader/approvedForPatient")
        assert flag == ("true" if told else "false")
        himself = Subject(SubjectKind.PATIENT, "patient-1", "Tolvan", None, patient_key=1)
        own = stage.made.server._tokens.issue(himself)
        assert len(stage.ask(token=own).outcomes) == told
        # The same at FHIR, where apps of the patient read.
        answer = httpx.get(
            f"{stage.made.server._base}/fhir/DiagnosticReport?patient.identifier={TOLVAN}",
            headers={"Authorization": f"Bearer {own}"},
            trust_env=False,
        )
        assert answer.json()["total"] == told


def test_another_patients_record_is_not_opened_by_asking_for_it_as_a_person(stage: Stage) -> None:
    """A patient who is logged in here reads himself alone, at this door too."""
    stage.report(**recent(20))
    stage.report(person=pid(f"{AGDA}^^^PNR", "Testperson^Agda", "19900101", "F"), **recent(20, "ACC9"))
    token = stage.made.server._tokens.issue(
        Subject(SubjectKind.PATIENT, "patient-1", "Tolvan", None, patient_key=1)
    )
    assert len(stage.ask(token=token).outcomes) == 1
    assert stage.ask(AGDA, token=token).outcomes == []


def test_while_nobody_can_tell_what_is_blocked_care_gets_nothing_and_is_told_why(tmp_path: Path) -> None:
    out_of_reach = {"national": {"blocking_address": "https://127.0.0.1:9/GetBlocks"}}
    with staged(tmp_path / "data", out_of_reach) as stage:
        stage.report()
        answer = stage.ask()
        assert (answer.outcomes, answer.result("resultCode")) == ([], "INFO")
        assert "spärrar" in str(answer.result("message"))
        himself = stage.ask(token="JOURNALEN")
        assert (len(himself.outcomes), himself.result("resultCode")) == (1, "OK")
        assert stage.ask(AGDA).outcomes == []
