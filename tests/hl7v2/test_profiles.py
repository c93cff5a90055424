"""The shipped dialects, and how a profile is read."""

from importlib import resources

import pytest

from samsyn.errors import ConfigurationError
from samsyn.hl7v2.charsets import Charset
from samsyn.hl7v2.meaning import PatientUpdate, ReferralEvent, ReportEvent
from samsyn.hl7v2.profile import Profile, read_profile
from samsyn.model.organisation import Owner
from samsyn.model.texts import ReferralStatus, ReportStatus
from tests.hl7v2.messages import meant, message, msh, obx, only, pid, segment


def shipped(name: str) -> Profile:
    folder = resources.files("samsyn.hl7v2.profiles")
    return read_profile((folder / f"{name}.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["standard", "nordic", "sparse"])
def test_every_shipped_profile_is_readable_and_named_as_its_file(name: str) -> None:
    assert shipped(name).name == name


def test_the_nordic_dialect_s_referral() -> None:
    raw = message(
        msh("OMI^O23^OMI_O23"),
        pid("19121212-1212^^^PNR", sex="K"),
        segment("PD1", {12: "Y"}),
        segment("ORC", {1: "SC", 2: "R100", 17: "11001^Akuten"}),
        segment("TQ1", {9: "AKUT"}),
        segment("OBR", {2: "R100", 4: "CTTHX^DT thorax^L", 16: "D1^Lindgren^Eva", 24: "RTG"}),
        segment("ZOR", {1: "Ankommen"}),
        obx("Lungemboli?", code="FRAGA^Frågeställning", status=""),
        obx("Akut andnöd sedan i natt.", code="ANAMNES^Anamnes", status=""),
        segment("IPC", {1: "ACC300", 2: "RP1", 3: "1.2.3"}),
    )
    units = {"11001": Owner("P1", "U1"), "RTG": Owner("P2", "U2")}
    told = only(raw, shipped("nordic").knowing_units(units))
    assert isinstance(told, ReferralEvent)
    assert told.referral.status is ReferralStatus.ARRIVED
    assert told.referral.question == "Lungemboli?"
    assert told.referral.history == "Akut andnöd sedan i natt."
    assert told.referral.priority == "akut"
    assert (told.referral.provider, told.referral.unit) == ("P1", "U1")
    assert told.performer == Owner("P2", "U2")
    assert told.study_uids == ("1.2.3",)
    assert told.patient.demographics.sex == "F"
    assert told.patient.demographics.protected


def test_the_nordic_dialect_s_report_has_sections_and_merged_addenda() -> None:
    raw = message(
        msh("ORU^R01"),
        pid(),
        segment("OBR", {3: "RIS200", 18: "ACC300", 22: "20240315101500", 25: "A", 32: "S1&Sandelin&Ingrid"}),
        obx("Inga förtätningar.", "A", code="FYND"),
        obx("Normalt.", "A", code="BED", number=2),
        obx("Ej text", "A", code="DOS", number=3),
    )
    told = only(raw, shipped("nordic"))
    assert isinstance(told, ReportEvent)
    assert told.status is ReportStatus.ADDENDUM
    assert not told.fragment
    assert told.text == "Fynd\nInga förtätningar.\n\nBedömning\nNormalt."


def test_the_sparse_dialect_s_messages() -> None:
    profile = shipped("sparse")
    head = msh("ORU^R01", charset="", f12="2.3")
    report = only(
        message(
            head,
            pid("191212121212"),
            segment("OBR", {3: "A7", 25: "T"}),
            obx("Tillägg – ok", "T"),
            charset="cp1252",
        ),
        profile,
    )
    assert isinstance(report, ReportEvent)
    assert (report.status, report.fragment) == (ReportStatus.ADDENDUM, True)
    assert report.accession == "A7"
    assert report.text == "Tillägg – ok"
    taken_back = only(
        message(head, pid("191212121212"), segment("OBR", {3: "A7", 25: "S"}), obx("", "")), profile
    )
    assert isinstance(taken_back, ReportEvent)
    assert taken_back.status is ReportStatus.ANNULLED
    raw = message(
        msh("ORM^O01", charset="", f12="2.3"), segment("PID", {2: "191212121212", 5: "T^T"}),
        segment("ORC", {1: "NW", 2: "R7", 3: "A7"}), segment("OBR", {5: "S"}),
        segment("NTE", {3: "Fraktur?", 4: "F"}), segment("NTE", {3: "Fallit i trappa", 4: "A"}),
    )  # fmt: skip
    referral = only(raw, profile)
    assert isinstance(referral, ReferralEvent)
    assert (referral.referral.question, referral.referral.history) == ("Fraktur?", "Fallit i trappa")
    assert referral.referral.priority == "akut"
    assert referral.patient.identifiers[0].value == "191212121212"


def test_the_standard_profile_knows_the_national_numbers_by_name() -> None:
    told = only(message(msh("ADT^A08"), pid("191401682396^^^SAMNR")), shipped("standard"))
    assert isinstance(told, PatientUpdate)
    assert told.patient.identifiers[0].issuer == "1.2.752.129.2.1.3.3"


def test_a_profile_s_charsets_are_used() -> None:
    profile = read_profile('name = "x"\ncharset = "UNICODE UTF-8"')
    assert profile.charset is Charset.UTF_8
    raw = message(msh("ADT^A08", charset=""), pid(name="Öberg^Åsa"), charset="utf-8")
    told = meant(raw, profile).events[0]
    assert isinstance(told, PatientUpdate)
    assert told.patient.demographics.name == "Öberg^Åsa"


def test_a_profile_s_tables_are_laid_over_the_standard_s_words() -> None:
    profile = read_profile('name = "x"\n[report.statuses]\nslut = "final"')
    assert profile.report.statuses["SLUT"] == "final"
    assert profile.report.statuses["P"] == "preliminary"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "name"),
        ("name = 3", "name"),
        ('name = "x"\nrport = 1', "rport"),
        ('name = "x"\n[report]\nacession = ["OBR-3"]', "report.acession"),
        ('name = "x"\n[report]\naccession = ["OBR3"]', "OBR3"),
        ('name = "x"\n[report]\naccession = "OBR-3"', "report.accession"),
        ('name = "x"\n[report]\naddendum = "maybe"', "report.addendum"),
        ('name = "x"\n[report]\nempty_final_annuls = "yes"', "report.empty_final_annuls"),
        ('name = "x"\n[report.statuses]\nF = "klart"', "report.statuses"),
        ('name = "x"\n[referral.control]\nNW = "nytt"', "referral.control"),
        ('name = "x"\n[patient]\nprotected = ["PD1-12"]', "patient.protected"),
        ('name = "x"\n[units.K1]\nunit = "U"', "units.K1"),
        ('name = "x"\ncharset = "EBCDIC"', "charset"),
        ("name = ", "TOML"),
    ],
)
def test_a_wrong_profile_is_refused_and_the_key_is_named(text: str, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        read_profile(text)
