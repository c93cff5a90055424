"""Swedish patient numbers: every kind by its own rule, every written form, nothing guessed."""

from datetime import date
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samsyn.errors import UnknownIssuer
from samsyn.model.patient import PatientIdentifier
from samsyn.patients import identifiers
from samsyn.patients.identifiers import ISSUERS, Kind, display, identify, recognise

TODAY = date(2026, 11, 22)

VECTORS = [
    ("191212121212", Kind.PERSONNUMMER),
    ("189001019802", Kind.PERSONNUMMER),
    ("190001019801", Kind.PERSONNUMMER),
    ("200002292399", Kind.PERSONNUMMER),
    ("202402292383", Kind.PERSONNUMMER),
    ("199001012385", Kind.PERSONNUMMER),
    ("191401682396", Kind.SAMORDNINGSNUMMER),
    ("202601612381", Kind.SAMORDNINGSNUMMER),
    ("202201612393", Kind.SAMORDNINGSNUMMER),
    ("991981000010", Kind.SLL),
    ("991945000023", Kind.SLL),
    ("991993000032", Kind.SLL),
    ("198108320014", Kind.INERA),
    ("19810829M071", Kind.VGR),
    ("19450829K088", Kind.VGR),
    ("19930829X802", Kind.VGR),
    ("19810829SU3A", Kind.VARMLAND),
    ("98240301AA06", Kind.NRID),
    ("00304519AB1C", None),
    ("00241045AB1C", None),
    ("00994559AB1C", Kind.NRID),
    ("22121212AB1C", Kind.NRID),
]


def pnr(value: str) -> PatientIdentifier:
    return PatientIdentifier(ISSUERS[Kind.PERSONNUMMER], value)


@pytest.mark.parametrize(("value", "kind"), VECTORS)
def test_every_kind_is_recognised_by_its_own_rule(value: str, kind: Kind | None) -> None:
    found = recognise(value, TODAY)
    if kind is None:
        assert found is None
    else:
        assert found is not None
        assert (found.kind, found.identifier) == (kind, PatientIdentifier(ISSUERS[kind], value))


@pytest.mark.parametrize(("value", "kind"), [(v, k) for v, k in VECTORS if k is not None])
def test_hyphen_and_spaces_and_lower_case_change_nothing(value: str, kind: Kind) -> None:
    forms = [
        f"{value[:8]}-{value[8:]}",
        f" {value} ",
        f"{value[:8]} {value[8:]}",
        f"{value[:4]} {value[4:6]} {value[6:8]}-{value[8:]}",
        f"{value[:8]}\u2013{value[8:]}",
        f"{value[:8]}\u00a0{value[8:]}",
        value.lower(),
    ]
    for form in forms:
        found = recognise(form, TODAY)
        assert found is not None, form
        assert found.identifier.value == value
        assert found.kind == kind


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("121212-1212", "201212121212"),
        ("1212121212", "201212121212"),
        ("121212+1212", "191212121212"),
        ("900101-2385", "199001012385"),
        ("900101+9802", "189001019802"),
        ("000229-2399", "200002292399"),
        ("240229-2383", "202402292383"),
        ("140168+2396", "191401682396"),
        ("260161-2381", "202601612381"),
    ],
)
def test_ten_digits_mean_the_latest_century_not_in_the_future_and_plus_a_hundred_years(
    text: str, canonical: str
) -> None:
    found = recognise(text, TODAY)
    assert found is not None
    assert found.identifier.value == canonical


def test_ten_digits_are_read_by_the_day_on_which_they_are_asked_for() -> None:
    # 161122 lies in the future on the day before and in the past on the day itself.
    before = recognise("121212-1212", date(2012, 12, 11))
    on_the_day = recognise("121212-1212", date(2012, 12, 12))
    assert before is not None
    assert before.identifier.value == "191212121212"
    assert on_the_day is not None
    assert on_the_day.identifier.value == "201212121212"


def test_the_plus_sign_belongs_to_the_whole_year_in_which_a_person_turns_a_hundred() -> None:
    assert recognise("121212+1212", date(2012, 1, 1)) is not None
    assert recognise("121212+1212", date(2011, 12, 31)) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "Tolvansson",
        "191212121213",
        "191213321212",
        "19121212+1212x",
        "19121212_1212",
        "1912-12121212",
        "8100001-0",
        "810000-0010",
        "810832-0014",
        "810829M071",
        "810829-M071",
        "19810829M072",
        "19810829A071",
        "19810829M901",
        "19811329SU3A",
        "19810829SU30",
        "991899000013",
        "992300000011",
        "203012121217",
        "17121212121 2",
        "１９１２１２１２１２１２",
        "191212121212\\191212121212",
        "1912121212121212121212121212121212121212121212121212121212121212121",
        "%91212121212",
        "1912*",
    ],
)
def test_what_follows_no_rule_is_not_recognised(text: str) -> None:
    assert recognise(text, TODAY) is None


@given(st.text(alphabet=st.sampled_from("0123456789KMXSUABZ-+ "), max_size=14))
def test_any_text_is_recognised_as_itself_or_not_at_all(text: str) -> None:
    found = recognise(text, TODAY)
    if found is None:
        return
    again = recognise(found.identifier.value, TODAY)
    assert again == found
    assert recognise(display(found.identifier), TODAY) == found
    bare = "".join(sign for sign in text if sign.isalnum())
    assert found.identifier.value.endswith(bare)


@given(st.from_regex(r"[0-9]{8}[0-9A-Z]{2}[0-9][0-9A-Z]", fullmatch=True))
def test_no_text_belongs_to_two_kinds(text: str) -> None:
    rules = identifiers._RULES
    for one, other in combinations(Kind, 2):
        assert not (rules[one](text, TODAY) and rules[other](text, TODAY))


@given(
    st.sampled_from([v for v, k in VECTORS if k in (Kind.PERSONNUMMER, Kind.SAMORDNINGSNUMMER)]), st.data()
)
def test_one_wrong_digit_in_the_serial_is_always_noticed(value: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(8, 11))
    digit = data.draw(st.sampled_from([d for d in "0123456789" if d != value[place]]))
    assert recognise(value[:place] + digit + value[place + 1 :], TODAY) is None


def test_numbers_are_shown_with_the_century_and_a_hyphen() -> None:
    assert display(pnr("191212121212")) == "19121212-1212"
    assert display(PatientIdentifier(ISSUERS[Kind.SLL], "991981000010")) == "99198100-0010"
    assert display(PatientIdentifier("KLARA", "K-77")) == "K-77"


def test_a_value_that_follows_a_swedish_rule_gets_that_kinds_issuer() -> None:
    for issuer in ("", ISSUERS[Kind.PERSONNUMMER], "urn:oid:1.2.752.129.2.1.3.1", "KLARA"):
        assert identify("19121212-1212", issuer, "KLARA", TODAY) == pnr("191212121212")
    assert identify("191212121212", "http://electronichealth.se/identifier/personnummer", "", TODAY) == pnr(
        "191212121212"
    )


def test_a_coordination_number_sent_as_personnummer_is_still_one() -> None:
    sent = identify("191401682396", ISSUERS[Kind.PERSONNUMMER], "", TODAY)
    assert sent == PatientIdentifier(ISSUERS[Kind.SAMORDNINGSNUMMER], "191401682396")


def test_a_local_number_stays_as_it_was_sent_under_the_senders_own_issuer() -> None:
    assert identify(" k-0077 ", "", "KLARA", TODAY) == PatientIdentifier("KLARA", "k-0077")
    assert identify("191212121213", "", "KLARA", TODAY) == PatientIdentifier("KLARA", "191212121213")
    assert identify("A%", "KLARA", "KLARA", TODAY) == PatientIdentifier("KLARA", "A%")


def test_a_foreign_oid_is_a_name_space_of_its_own_even_for_a_familiar_looking_value() -> None:
    assert identify("991981000010", "1.2.246.10.1", "KLARA", TODAY) == PatientIdentifier(
        "1.2.246.10.1", "991981000010"
    )


@pytest.mark.parametrize(
    ("value", "issuer", "default"),
    [
        ("K-77", "", ""),
        ("K-77", "ANNAN", "KLARA"),
        ("191212121212", "ANNAN", "KLARA"),
        ("191212121213", ISSUERS[Kind.PERSONNUMMER], "KLARA"),
        ("991981000010", ISSUERS[Kind.PERSONNUMMER], "KLARA"),
        ("191212121212", ISSUERS[Kind.SLL], "KLARA"),
        ("", "", "KLARA"),
        ("  ", "", "KLARA"),
        ("A\\B", "", "KLARA"),
        ("A\x00", "", "KLARA"),
        ("x" * 65, "", "KLARA"),
        ("K-77", "1.2.", "KLARA"),
    ],
)
def test_doubt_about_the_issuer_is_held_and_never_guessed(value: str, issuer: str, default: str) -> None:
    with pytest.raises(UnknownIssuer) as refused:
        identify(value, issuer, default, TODAY)
    assert not value.strip() or value not in str(refused.value)
