"""What messages mean: patients, merges, referrals and reports, by the standard's own places."""

from datetime import UTC, datetime

import pytest

from samsyn.errors import BadInput, NotSupported
from samsyn.hl7v2.faults import BadMessage
from samsyn.hl7v2.meaning import (
    PatientMerge,
    PatientUpdate,
    ReferralEvent,
    ReportEvent,
    SentIdentifier,
)
from samsyn.hl7v2.profile import PatientRules, Profile, ReferralRules, ReportRules, read_profile
from samsyn.model.organisation import Owner
from samsyn.model.texts import ReferralStatus, ReportStatus
from tests.hl7v2.messages import SENDER, meant, message, msh, obr, obx, only, oru, pid, segment

PNR_OID = "1.2.752.129.2.1.3.1"
PNR_RULES = PatientRules(issuers={"PNR": PNR_OID, "RES": "1.2.752.97.3.1.3"}, types={"NNSWE": PNR_OID})
PROFILE = Profile("test", patient=PNR_RULES)


def report(raw: bytes, profile: Profile = PROFILE) -> ReportEvent:
    event = only(raw, profile)
    assert isinstance(event, ReportEvent)
    return event


def referral(raw: bytes, profile: Profile = PROFILE) -> ReferralEvent:
    event = only(raw, profile)
    assert isinstance(event, ReferralEvent)
    return event


def update(raw: bytes, profile: Profile = PROFILE) -> PatientUpdate:
    event = only(raw, profile)
    assert isinstance(event, PatientUpdate)
    return event


def orm(orc: dict[int, str] | None = None, *more: str, kind: str = "ORM^O01", **detail: str) -> bytes:
    fields = {1: "NW", 2: "R100", 9: "20240314120000", 12: "D1^Lindgren^Eva"} | (orc or {})
    request = {4: "CTTHX^DT thorax^L", 13: "Hosta i tre veckor", 31: "^Pneumoni?"}
    request |= {int(key[1:]): value for key, value in detail.items()}
    return message(msh(kind), pid(), segment("ORC", fields), segment("OBR", request), *more)


@pytest.mark.parametrize("event", ["A01", "A04", "A05", "A08", "A28", "A31"])
def test_registration_and_update_tell_who_the_patient_is(event: str) -> None:
    told = update(message(msh(f"ADT^{event}"), segment("EVN", {1: event, 2: "20240101120000"}), pid()))
    assert told.patient.identifiers == (SentIdentifier("191212121212", PNR_OID),)
    assert told.patient.demographics.name == "Tolvansson^Tolvan"
    assert told.patient.demographics.birth_date == "19121212"
    assert told.patient.demographics.sex == "M"
    assert told.when == datetime(2024, 1, 1, 11, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "word", "deceased", "noted"),
    [
        ("", "", "", False),
        ("", "N", "N", False),
        ("", "Y", "Y", False),
        ("20260301", "Y", "20260301", False),
        ("20260301143000+0100", "", "20260301", False),
        ("2026", "Y", "Y", True),
        ("in March", "", "Y", True),
        ("20260301", "N", "", True),
        ("", "?", "", True),
        ("", '""', "N", False),
        ('""', "", "N", False),
    ],
)
def test_a_death_is_told_with_its_day_when_it_is_known_and_refuses_no_text(
    day: str, word: str, deceased: str, noted: bool
) -> None:
    who = segment("PID", {1: "1", 3: "191212121212^^^PNR", 5: "Tolvansson^Tolvan", 29: day, 30: word})
    found = meant(message(msh("ADT^A08"), segment("EVN", {1: "A08", 2: "20260302120000"}), who), PROFILE)
    assert isinstance(found.events[0], PatientUpdate)
    assert found.events[0].patient.demographics.deceased == deceased
    assert bool([note for note in found.notes if "PID-29" in note or "PID-30" in note]) == noted


@pytest.mark.parametrize(
    ("sent", "issuer", "recognised"),
    [
        ("1^^^PNR", PNR_OID, True),
        ("1^^^pnr", PNR_OID, True),
        (f"1^^^&{PNR_OID}&ISO", PNR_OID, True),
        ("1^^^REGION&1.2.3.4&ISO", "1.2.3.4", True),
        ("1^^^urn:oid:1.2.3.4", "1.2.3.4", True),
        ("1^^^^NNSWE", PNR_OID, True),
        ("1", "", True),
        ("1^^^NOBODY", "", False),
        ("1^^^&not-an-oid&DNS", "", False),
    ],
)
def test_an_identifier_s_issuer_is_told_by_its_assigning_authority(
    sent: str, issuer: str, recognised: bool
) -> None:
    told = update(message(msh("ADT^A08"), pid(sent)))
    assert told.patient.identifiers == (SentIdentifier("1", issuer, recognised),)


def test_every_repetition_of_the_identifier_list_is_kept_with_its_own_issuer() -> None:
    told = update(message(msh("ADT^A08"), pid("991981000010^^^RES~~191212121212^^^PNR~77")))
    assert told.patient.identifiers == (
        SentIdentifier("991981000010", "1.2.752.97.3.1.3"),
        SentIdentifier("191212121212", PNR_OID),
        SentIdentifier("77", ""),
    )


@pytest.mark.parametrize(
    ("birth", "kept", "noted"),
    [
        ("19121212", "19121212", False),
        ("191212121405", "19121212", False),
        ("19140168", "", True),
        ("19500000", "", True),
        ("1950", "", True),
        ("195003", "", True),
        ("", "", False),
    ],
)
def test_a_birth_date_is_taken_only_when_it_was_told_to_the_day(birth: str, kept: str, noted: bool) -> None:
    interpretation = meant(message(msh("ADT^A08"), pid(birth=birth)), PROFILE)
    (event,) = interpretation.events
    assert isinstance(event, PatientUpdate)
    assert event.patient.demographics.birth_date == kept
    assert bool(interpretation.notes) is noted


@pytest.mark.parametrize("birth", ["20250229", "19121301", "igår"])
def test_an_impossible_birth_date_is_refused_by_place(birth: str) -> None:
    with pytest.raises(BadMessage, match=r"^PID-7: ") as caught:
        meant(message(msh("ADT^A08"), pid(birth=birth)))
    assert birth not in caught.value.detail


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("von Essen^Åsa^Märta", "von Essen^Åsa^Märta"),
        ("Tolvan^Tolvan^^^^^N~Tolvansson^Tolvan^^^^^L", "Tolvansson^Tolvan"),
        ("von Essen&von&Essen^Eva", "von Essen^Eva"),
        ("Öberg", "Öberg"),
        ("A\\S\\B^C=D", "A B^C D"),
        ("", ""),
    ],
)
def test_a_name_becomes_a_dicom_person_name(sent: str, name: str) -> None:
    assert update(message(msh("ADT^A08"), pid(name=sent))).patient.demographics.name == name


@pytest.mark.parametrize(
    "mark", [segment("PD1", {12: "Y"}), segment("ZPD", {1: "JA"}), segment("PV1", {16: "VIP~SEKR"})]
)
def test_a_protected_identity_is_told_where_the_profile_says(mark: str) -> None:
    from samsyn.hl7v2.profile import read_profile

    profile = read_profile('name = "t"\n[patient]\nprotected = ["PD1-12=Y", "ZPD-1=ja", "PV1-16=SEKR"]')
    assert update(message(msh("ADT^A08"), pid(), mark), profile).patient.demographics.protected
    assert not update(message(msh("ADT^A08"), pid()), profile).patient.demographics.protected


@pytest.mark.parametrize("event", ["A18", "A34", "A36", "A40", "A47"])
def test_a_merge_names_survivor_and_subsumed(event: str) -> None:
    raw = message(msh(f"ADT^{event}"), pid(), segment("MRG", {1: "991981000010^^^RES"}))
    told = only(raw, PROFILE)
    assert isinstance(told, PatientMerge)
    assert told.survivor.identifiers == (SentIdentifier("191212121212", PNR_OID),)
    assert told.subsumed == (SentIdentifier("991981000010", "1.2.752.97.3.1.3"),)


def test_one_merge_message_may_hold_several_pairs() -> None:
    raw = message(
        msh("ADT^A40"),
        pid(), segment("MRG", {1: "991981000010^^^RES"}),
        pid("189001019802^^^PNR"), segment("PD1", {}), segment("MRG", {1: "991945000023^^^RES"}),
    )  # fmt: skip
    events = meant(raw, PROFILE).events
    assert [event.subsumed[0].value for event in events if isinstance(event, PatientMerge)] == [
        "991981000010",
        "991945000023",
    ]


@pytest.mark.parametrize(
    "segments",
    [[pid()], [pid(), segment("MRG", {1: ""})], [pid(), segment("MRG", {1: "191212121212^^^PNR"})]],
)
def test_a_merge_without_two_identities_is_refused(segments: list[str]) -> None:
    with pytest.raises(BadMessage):
        meant(message(msh("ADT^A40"), *segments), PROFILE)


@pytest.mark.parametrize("kind", ["ORM^O01", "OMI^O23^OMI_O23", "OMG^O19^OMG_O19"])
def test_a_new_order_is_a_referral(kind: str) -> None:
    told = referral(orm({3: "ACC300"}, "IPC|ACC300||1.2.840.5^x", kind=kind, f18="ACC300"))
    assert told.referral.placer_id == "R100"
    assert told.referral.accession == "ACC300"
    assert told.referral.status is ReferralStatus.ORDERED
    assert told.referral.question == "Pneumoni?"
    assert told.referral.history == "Hosta i tre veckor"
    assert told.referral.procedure_code == "CTTHX"
    assert told.referral.procedure_text == "DT thorax"
    assert told.referral.referrer == "Eva Lindgren"
    assert told.referral.ordered == datetime(2024, 3, 14, 11, 0, tzinfo=UTC)
    assert told.study_uids == ("1.2.840.5",)
    assert told.performer == Owner("", "")
    assert not told.owner_told


@pytest.mark.parametrize(
    ("control", "word", "status"),
    [
        ("NW", "", ReferralStatus.ORDERED),
        ("SC", "SC", ReferralStatus.SCHEDULED),
        ("SC", "IP", ReferralStatus.STARTED),
        ("SC", "CM", ReferralStatus.PERFORMED),
        ("XO", "", ReferralStatus.ORDERED),
        ("XO", "IP", ReferralStatus.STARTED),
        ("CA", "", ReferralStatus.CANCELLED),
        ("OC", "IP", ReferralStatus.CANCELLED),
        ("DC", "", ReferralStatus.CANCELLED),
    ],
)
def test_order_control_and_status_word_tell_where_the_referral_stands(
    control: str, word: str, status: ReferralStatus
) -> None:
    assert referral(orm({1: control, 5: word})).referral.status is status


@pytest.mark.parametrize("orc", [{1: ""}, {1: "QQ"}, {1: "SC", 5: ""}, {1: "SC", 5: "QQ"}, {1: "NW", 2: ""}])
def test_an_order_that_does_not_say_what_it_is_is_refused(orc: dict[int, str]) -> None:
    with pytest.raises(BadMessage, match=r"^ORC-"):
        meant(orm(orc))


def test_one_message_may_hold_several_orders() -> None:
    raw = message(
        msh("ORM^O01"), pid(),
        segment("ORC", {1: "NW", 2: "R1", 3: "A1"}), segment("OBR", {4: "X^Lungor^L"}), segment("NTE", {3: "n"}),
        segment("ORC", {1: "NW", 2: "R2", 3: "A2"}), segment("OBR", {4: "Y^Buk^L"}),
    )  # fmt: skip
    events = [event for event in meant(raw).events if isinstance(event, ReferralEvent)]
    assert [(event.referral.accession, event.referral.procedure_text) for event in events] == [
        ("A1", "Lungor"),
        ("A2", "Buk"),
    ]


@pytest.mark.parametrize(
    ("word", "priority"), [("S", "akut"), ("A", "förtur"), ("R", "planerad"), ("Q", ""), ("", "")]
)
def test_priority_is_one_of_three_words_or_not_said(word: str, priority: str) -> None:
    assert referral(orm({}, f5=word)).referral.priority == priority


@pytest.mark.parametrize(
    ("unknown", "owner"), [("nobody", Owner("", "")), ("sender", Owner(SENDER.provider, SENDER.unit))]
)
def test_an_unknown_unit_code_hides_the_referral_unless_the_profile_says_otherwise(
    unknown: str, owner: Owner
) -> None:
    profile = Profile("t", referral=ReferralRules(unknown_unit=unknown), units={"KK1": Owner("P", "U")})
    told = referral(orm({17: "kk9"}), profile)
    assert (told.referral.provider, told.referral.unit) == (owner.provider, owner.unit)
    known = referral(orm({17: "kk1"}), profile)
    assert (known.referral.provider, known.referral.unit) == ("P", "U")


def test_a_report_is_read_with_all_that_belongs_to_it() -> None:
    told = report(
        message(
            msh("ORU^R01"), pid(),
            segment("ORC", {1: "RE", 2: "R100"}),
            obr({32: "S1&Sandelin&Ingrid^20240315", 33: "S2&Öhrn&Mårten"}),
            segment("NTE", {3: "intern"}),
            obx("Lungor: inga förtätningar.\\.br\\Hjärta: normal storlek.", number=1),
            obx("Bedömning: normalt.", number=2),
            segment("ZDS", {1: "1.2.840.1.2^^Application^DICOM"}),
        )
    )  # fmt: skip
    assert told.text == "Lungor: inga förtätningar.\nHjärta: normal storlek.\nBedömning: normalt."
    assert told.status is ReportStatus.FINAL
    assert told.accession == "ACC300"
    assert told.placer_id == "R100"
    assert told.filler_id == "RIS200"
    assert told.study_uids == ("1.2.840.1.2",)
    assert told.result_time == datetime(2024, 3, 15, 9, 15, tzinfo=UTC)
    assert told.examined == "20240315"
    assert told.author == "Mårten Öhrn"
    assert told.signer == "Ingrid Sandelin"
    assert told.procedure_text == "DT thorax"
    assert told.owner == Owner(SENDER.provider, SENDER.unit)


@pytest.mark.parametrize(
    ("order", "line", "status"),
    [
        ("P", "P", ReportStatus.PRELIMINARY),
        ("F", "F", ReportStatus.FINAL),
        ("C", "C", ReportStatus.CORRECTION),
        ("A", "A", ReportStatus.ADDENDUM),
        ("D", "D", ReportStatus.ANNULLED),
        ("W", "", ReportStatus.ANNULLED),
        ("X", "X", ReportStatus.ANNULLED),
        ("", "F", ReportStatus.FINAL),
        ("F", "", ReportStatus.FINAL),
        ("F", "C", ReportStatus.CORRECTION),
        ("C", "F", ReportStatus.CORRECTION),
        ("F", "P", ReportStatus.PRELIMINARY),
        ("P", "F", ReportStatus.PRELIMINARY),
        ("F", "X", ReportStatus.ANNULLED),
    ],
)
def test_status_of_order_and_lines_together_and_never_more_final_than_either(
    order: str, line: str, status: ReportStatus
) -> None:
    raw = message(msh("ORU^R01"), pid(), obr({25: order}), obx("text", line))
    assert report(raw).status is status


@pytest.mark.parametrize("order_line", [("", ""), ("Q", "F"), ("F", "Q")])
def test_a_report_without_a_known_status_is_refused(order_line: tuple[str, str]) -> None:
    with pytest.raises(BadMessage):
        meant(message(msh("ORU^R01"), pid(), obr({25: order_line[0]}), obx("text", order_line[1])))


def test_a_deleted_line_is_not_in_the_text() -> None:
    raw = message(
        msh("ORU^R01"), pid(), obr({25: "C"}), obx("fel sida", "D"), obx("rätt sida", "C", number=2)
    )
    assert report(raw).text == "rätt sida"


def test_repetitions_of_a_text_field_are_lines() -> None:
    raw = message(msh("ORU^R01"), pid(), obr(), obx("rad 1~rad 2~~rad 4"))
    assert report(raw).text == "rad 1\nrad 2\n\nrad 4"


def test_carets_and_ampersands_in_a_text_stay() -> None:
    raw = message(msh("ORU^R01"), pid(), obr(), obx("Höger & vänster ^ 5 mm"))
    assert report(raw).text == "Höger & vänster ^ 5 mm"


def test_markup_in_a_text_stays_letters() -> None:
    assert report(oru(text="<script>alert(1)</script> =1+1")).text == "<script>alert(1)</script> =1+1"


@pytest.mark.parametrize("control", ["CA", "OC", "DC"])
def test_a_cancelling_order_control_annuls_the_report(control: str) -> None:
    raw = message(
        msh("ORU^R01", sent="20240316080000"), pid(),
        segment("ORC", {1: control, 16: "F1^Fel patient"}), obr(), obx("text"),
    )  # fmt: skip
    told = report(raw)
    assert told.status is ReportStatus.ANNULLED
    assert told.reason == "Fel patient"
    assert told.result_time == datetime(2024, 3, 16, 7, 0, tzinfo=UTC)


def test_a_report_without_text_is_refused_or_annuls_by_the_profile() -> None:
    raw = message(msh("ORU^R01"), pid(), obr(), obx("  "))
    with pytest.raises(BadMessage, match="OBX-5"):
        meant(raw)
    told = report(raw, Profile("t", report=ReportRules(empty_final_annuls=True)))
    assert told.status is ReportStatus.ANNULLED


def test_nobody_has_signed_a_preliminary_report_whatever_the_message_says() -> None:
    raw = message(msh("ORU^R01"), pid(), obr({25: "P", 32: "S1&Sandelin&Ingrid"}), obx("prel", "P"))
    assert report(raw).signer == ""
    assert report(raw).author == "Ingrid Sandelin"


@pytest.mark.parametrize("form", ["S1&Sandelin&Ingrid^x", "S1^Sandelin^Ingrid"])
def test_two_signers_are_both_named_in_either_form(form: str) -> None:
    raw = message(msh("ORU^R01"), pid(), obr({32: f"{form}~S2&Wåhlin&Henrik"}), obx("x"))
    assert report(raw).signer == "Ingrid Sandelin, Henrik Wåhlin"


@pytest.mark.parametrize(("rule", "fragment"), [("fragment", True), ("whole", False)])
def test_whether_an_addendum_is_a_fragment_is_the_source_s_rule(rule: str, fragment: bool) -> None:
    profile = Profile("t", report=ReportRules(addendum=rule))
    assert report(oru("A"), profile).fragment is fragment
    assert report(oru("F"), profile).fragment is False


def test_a_missing_result_time_is_the_time_of_sending_and_never_now() -> None:
    assert report(oru(f22="")).result_time == datetime(2024, 3, 15, 9, 15, 30, tzinfo=UTC)


def test_a_result_time_that_does_not_exist_is_refused_by_place() -> None:
    with pytest.raises(BadMessage, match=r"^OBR-22: "):
        meant(oru(f22="20250229120000"))


def test_a_report_without_accession_number_is_refused() -> None:
    with pytest.raises(BadMessage, match="accession"):
        meant(oru(f18="", f3=""))


def test_what_is_no_study_uid_is_left_out_and_noted() -> None:
    raw = message(msh("ORU^R01"), pid(), obr(), obx("x"), segment("ZDS", {1: "1.2..3/../x"}))
    assert report(raw).study_uids == ()
    assert any("ZDS-1" in note for note in meant(raw).notes)


def test_a_value_of_another_type_is_noted_and_not_read_as_text() -> None:
    raw = message(msh("ORU^R01"), pid(), obr(), obx("text"), obx("^application^pdf^Base64^JVBE", kind="ED"))
    assert report(raw).text == "text"
    assert any("ED" in note for note in meant(raw).notes)


def test_one_report_for_several_examinations_by_the_profile() -> None:
    raw = message(
        msh("ORU^R01"), pid(), obr(), obx("gemensamt svar"), obr({1: "2", 18: "ACC301", 3: "RIS201"}), obx("")
    )
    profile = Profile("t", report=ReportRules(text_in="first"))
    events = [event for event in meant(raw, profile).events if isinstance(event, ReportEvent)]
    assert [(event.accession, event.text) for event in events] == [
        ("ACC300", "gemensamt svar"),
        ("ACC301", "gemensamt svar"),
    ]


def test_two_patients_in_one_result_message_keep_their_own_reports() -> None:
    raw = message(
        msh("ORU^R01"), pid(), obr(), obx("svar 1"),
        pid("189001019802^^^PNR", "Ek^Nils"), obr({18: "ACC301"}), obx("svar 2"),
    )  # fmt: skip
    events = [event for event in meant(raw, PROFILE).events if isinstance(event, ReportEvent)]
    assert [(event.patient.identifiers[0].value, event.text) for event in events] == [
        ("191212121212", "svar 1"),
        ("189001019802", "svar 2"),
    ]


@pytest.mark.parametrize("kind", ["SIU^S17", "QRY^A19", "ADT^A99", "ORU^R99", "XXX"])
def test_other_message_types_are_refused_as_not_supported(kind: str) -> None:
    with pytest.raises(NotSupported, match="MSH-9"):
        meant(message(msh(kind), pid()))


def test_old_messages_without_trigger_tell_it_in_the_event_segment() -> None:
    assert isinstance(only(message(msh("ADT"), segment("EVN", {1: "A08"}), pid())), PatientUpdate)
    assert isinstance(only(oru().replace(b"ORU^R01", b"ORU")), ReportEvent)


@pytest.mark.parametrize("processing", ["T", "D"])
def test_training_and_debugging_messages_are_not_filed(processing: str) -> None:
    with pytest.raises(NotSupported, match="MSH-11"):
        meant(message(msh("ADT^A08", f11=processing), pid()))


@pytest.mark.parametrize("version", ["2.3", "2.3.1", "2.4", "2.5", "2.5.1", ""])
def test_versions_two_three_to_two_five_are_taken(version: str) -> None:
    assert only(message(msh("ADT^A08", f12=version), pid()))


def test_version_three_is_not_taken() -> None:
    with pytest.raises(NotSupported, match="MSH-12"):
        meant(message(msh("ADT^A08", f12="3.0"), pid()))


@pytest.mark.parametrize(
    "raw",
    [
        message(msh("ADT^A08", control=""), pid()),
        message(msh(""), pid()),
        message(msh("ADT^A08")),
        message(msh("ADT^A08"), segment("PID", {3: "", 5: "X^Y"})),
        message(msh("ORU^R01"), pid()),
        message(msh("ORM^O01"), pid()),
    ],
)
def test_what_is_needed_and_missing_is_named(raw: bytes) -> None:
    with pytest.raises(BadInput, match=r"^[A-Z0-9]{3}(-\d+)?: "):
        meant(raw)


@pytest.mark.parametrize(
    ("sent", "issuer"),
    [
        ("ACC300", ""),
        ("ACC300^NORDRIS", ""),
        ("ACC300^klararis", "2.25.77"),
        ("ACC300^X^2.25.88^ISO", "2.25.88"),
        ("ACC300^X^not-an-oid^DNS", ""),
    ],
)
def test_the_name_space_of_an_accession_number_may_be_told_beside_it(sent: str, issuer: str) -> None:
    profile = Profile("t", accession_issuers={"KLARARIS": "2.25.77"})
    told = report(oru(f18=sent), profile)
    assert (told.accession, told.accession_issuer) == ("ACC300", issuer)
    ordered = referral(orm({3: sent}), profile)
    assert (ordered.referral.accession, ordered.accession_issuer) == ("ACC300", issuer)


def test_a_ris_that_names_the_referring_unit_is_itself_the_examining_unit() -> None:
    told = referral(orm({17: "KK1"}), Profile("t", units={"KK1": Owner("P", "U")}))
    assert told.owner_told
    assert told.performer == Owner(SENDER.provider, SENDER.unit)


def test_a_final_that_is_sent_with_its_addendum_is_the_whole_and_not_a_fragment() -> None:
    """As a fragment it would stand above a later correction, with the text that was corrected in it."""
    both = message(
        msh("ORU^R01"), pid(), obr(), obx("Ingen fraktur."), obx("Tillägg: CT väntar.", "A", number=2)
    )
    event = report(both)
    assert (event.status, event.fragment) == (ReportStatus.ADDENDUM, False)
    assert not report(
        message(msh("ORU^R01"), pid(), obr({25: ""}), obx("Ja.", "F"), obx("Till.", "A"))
    ).fragment
    assert report(message(msh("ORU^R01"), pid(), obr(), obx("Tillägg.", "A"))).fragment
    assert report(message(msh("ORU^R01"), pid(), obr({25: "A"}), obx("Tillägg.", "F"))).fragment


def test_a_comment_to_a_line_of_the_answer_is_part_of_the_answer() -> None:
    def note(text: str, source: str = "L") -> str:
        return segment("NTE", {1: "1", 2: source, 3: text})

    lines = [
        obx("Infiltrat."),
        note(r"OBS!~Ring\.br\mottagningen."),
        note("Tack.", "P"),
        obx("Slut.", number=2),
    ]
    meaning = meant(message(msh("ORU^R01"), pid(), obr(), *lines))
    assert meaning.events[0].text == "Infiltrat.\nOBS!\nRing\nmottagningen.\nSlut."  # type: ignore[union-attr]  # a report
    assert meaning.notes == ()
    deleted = report(message(msh("ORU^R01"), pid(), obr(), obx("Fel.", "D"), note("Om felet."), obx("Rätt.")))
    assert deleted.text == "Rätt."
    elsewhere = meant(message(msh("ORU^R01"), pid(), obr(), note("Till beställningen."), obx("Infiltrat.")))
    assert elsewhere.notes == ("NTE: a comment that stands behind no line of report text is not read",)


def test_a_line_whose_order_has_no_report_segment_is_refused_and_not_lost() -> None:
    stray = segment("ORC", {1: "RE", 3: "RIS201"}), obx("Pneumothorax.")
    raw = message(msh("ORU^R01"), pid(), segment("ORC", {1: "RE"}), obr(), obx("Knä utan fraktur."), *stray)
    with pytest.raises(BadMessage, match=r"OBX\[2\]"):
        meant(raw)
    told = message(msh("ORU^R01"), pid(), segment("ORC", {1: "RE"}), obr(), obx("Knä."), stray[0])
    assert [event.text for event in meant(told).events] == ["Knä."]


@pytest.mark.parametrize(
    "text", [r"{\E\rtf1\E\ansi \E\strike Tumör.\E\strike0  Ingen tumör.}", r"{\rtf1\ansi Fraktur.}"]
)
def test_rtf_is_refused_since_what_is_struck_out_would_read_as_if_it_stood(text: str) -> None:
    headed = read_profile('name = "t"\n[report.headings]\nUTL = "Utlåtande"')
    for profile in (None, headed):
        with pytest.raises(BadMessage, match="OBX-5: a text in RTF"):
            meant(oru(text=text), profile)


@pytest.mark.parametrize(
    ("control", "status"), [("XO", "ordered"), ("RO", "ordered"), ("RP", "cancelled"), ("RU", "cancelled")]
)
def test_replaced_orders_need_no_status_beside_their_control(control: str, status: str) -> None:
    raw = message(
        msh("ORM^O01"), pid(), segment("ORC", {1: control, 2: "R100"}), segment("OBR", {4: "CT^DT^L"})
    )
    assert only(raw).referral.status.value == status


def test_null_takes_a_text_of_a_referral_away_and_an_empty_field_does_not() -> None:
    def deleted(**fields: str) -> tuple[str, ...]:
        detail = {int(key[1:]): value for key, value in fields.items()}
        orc = segment("ORC", {1: "XO", 2: "R100"})
        return tuple(only(message(msh("ORM^O01"), pid(), orc, segment("OBR", detail))).deleted)

    assert deleted(f13='""', f31='""') == ("question", "history")
    assert deleted(f13="Hosta", f31='""') == ("question",)
    assert deleted(f13="", f31="^Pneumoni?") == ()


def test_every_question_is_read_and_text_beside_the_order_is_not_passed_over_in_silence() -> None:
    asked = segment("OBR", {2: "R100", 4: "CT^DT^L", 31: "K1^Pneumoni?~K2^Emboli?"})
    beside = segment("NTE", {1: "1", 3: "Gravid."}), obx("Hosta.", code="ANAM"), obx("", code="TOM", number=2)
    told = meant(message(msh("ORM^O01"), pid(), segment("ORC", {1: "NW", 2: "R100"}), asked, *beside))
    assert told.events[0].referral.question == "Pneumoni?\nEmboli?"
    assert [note.partition(":")[0] for note in told.notes] == ["NTE-3", "OBX-5"]
    named = read_profile('name = "t"\n[referral]\nhistory = ["OBX(ANAM)-5", "NTE-3"]')
    assert (
        meant(message(msh("ORM^O01"), pid(), segment("ORC", {1: "NW", 2: "R1"}), asked, *beside), named).notes
        == ()
    )
