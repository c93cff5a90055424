"""Where several nodes share what waits, an app's browser, its code and its token may each come to another node."""

import base64
import hashlib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from samsyn.access.authentication.sessions import Sessions, session_mark
from samsyn.access.authentication.shared_sessions import SharedSessions
from samsyn.access.authentication.smart.authority import SmartAuthority
from samsyn.access.authentication.smart.signing import IdTokens, signing_key
from samsyn.access.authentication.smart.words import App, Issued, Launch, OAuthRefusal
from samsyn.access.waiting import WaitingRooms
from samsyn.clock import Clock, SystemClock
from samsyn.endpoints.demo_idp.personas import PERSONAS
from samsyn.errors import ConfigurationError
from samsyn.model.subject import Subject, SubjectKind
from samsyn.store.shared.memory import MemoryState
from tests.access.house import HeldClock

BACK = "http://127.0.0.1:9/back"
VERIFIER = "v" * 50
APP = App("app", "Appen", (BACK,), ("patient/*.rs", "user/*.rs"))


def nodes() -> tuple[SmartAuthority, SmartAuthority]:
    clock = SystemClock()
    shared = MemoryState(clock)

    def node() -> SmartAuthority:
        rooms = WaitingRooms(clock, shared)
        return SmartAuthority(clock, rooms, {"app": APP}, {}, "http://127.0.0.1/fhir", "http://127.0.0.1")

    return node(), node()


def asked_with(launch: str = "") -> dict[str, str]:
    proof = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
    return {
        "response_type": "code",
        "redirect_uri": BACK,
        "aud": "http://127.0.0.1/fhir",
        "state": "s",
        "scope": "launch patient/Observation.rs?category=imaging user/*.s",
        "launch": launch,
        "code_challenge": proof,
        "code_challenge_method": "S256",
    }


def test_each_step_may_come_to_another_node_and_each_secret_counts_once() -> None:
    one, other = nodes()
    subject = PERSONAS[0].subject()
    launch = one.announce(Launch("191212121212", "SE9990000004-0001", subject.hsa_id, "besök-17"))
    ticket = other.request(other.asked(APP, asked_with(launch)))
    with pytest.raises(OAuthRefusal, match="unknown, used or too old"):
        one.asked(APP, asked_with(launch))
    asked = one.take(ticket)
    assert asked is not None
    assert other.take(ticket) is None
    address, grant = one.approved(asked, subject, 7, "a" * 32)
    form = {
        "code": address.partition("code=")[2].partition("&")[0],
        "redirect_uri": BACK,
        "client_id": "app",
        "code_verifier": VERIFIER,
    }
    issued = other.redeem(form, None)
    token, told = issued.access, issued.grant
    assert told == grant == one.find(token)
    assert told.encounter == "besök-17"
    with pytest.raises(OAuthRefusal):
        one.redeem(form, None)
    assert other.find(token) is None  # the code came again, so its token has ended


def test_a_session_that_ends_at_one_node_ends_its_apps_at_all() -> None:
    one, other = nodes()
    subject = PERSONAS[0].subject()
    launch = one.announce(Launch("191212121212", "SE9990000004-0001", subject.hsa_id))
    address, _ = one.approved(one.asked(APP, asked_with(launch)), subject, 7, "a" * 32)
    code = address.partition("code=")[2].partition("&")[0]
    form = {"code": code, "redirect_uri": BACK, "client_id": "app", "code_verifier": VERIFIER}
    token = one.redeem(form, None).access
    assert other.find(token) is not None
    other.forget_session(subject.session_id)
    assert one.find(token) is None


LASTING = App(
    "app", "Appen", (BACK,), ("patient/*.rs", "online_access", "offline_access"), "", timedelta(days=7)
)
PERSON = Subject(SubjectKind.PATIENT, "patient-7", "Ett Namn", None, "session-of-his", frozenset(), 7)


class Node:
    """One of several, with the sessions that all of them know."""

    def __init__(self, clock: Clock, shared: MemoryState) -> None:
        self.sessions: Sessions = SharedSessions(shared, clock)
        rooms = WaitingRooms(clock, shared)
        base = "http://127.0.0.1/fhir"
        self.smart = SmartAuthority(
            clock, rooms, {"app": LASTING}, {}, base, "http://127.0.0.1", lives=self.sessions.goes_on
        )


def two_nodes() -> tuple[HeldClock, Node, Node]:
    clock = HeldClock()
    shared = MemoryState(clock)
    return clock, Node(clock, shared), Node(clock, shared)


def let_in(node: Node, subject: Subject, scope: str, secret: str = "") -> Issued:
    asked = node.smart.asked(LASTING, {**asked_with(), "scope": scope})
    mark = session_mark(secret) if secret else ""
    address, _ = node.smart.approved(asked, subject, 7, "a" * 32, "Patient/a", mark)
    code = address.partition("code=")[2].partition("&")[0]
    form = {"code": code, "redirect_uri": BACK, "client_id": "app", "code_verifier": VERIFIER}
    return node.smart.redeem(form, None)


def refreshed(node: Node, issued: Issued) -> Issued:
    return node.smart.refresh({"refresh_token": issued.refresh, "client_id": "app"}, None)


def test_a_refresh_token_counts_once_among_all_nodes() -> None:
    _, one, other = two_nodes()
    first = let_in(one, PERSON, "patient/*.rs offline_access")
    second = refreshed(other, first)
    assert one.smart.find(second.access) == second.grant
    with pytest.raises(OAuthRefusal, match="used before"):
        refreshed(one, first)
    assert one.smart.find(second.access) is None
    assert other.smart.find(second.access) is None
    with pytest.raises(OAuthRefusal):
        refreshed(other, second)


def test_offline_access_ends_after_the_days_of_the_setting_however_often_it_is_used() -> None:
    clock, one, _ = two_nodes()
    issued = let_in(one, PERSON, "patient/*.rs offline_access")
    for _ in range(6):
        clock.move(86_400)
        assert one.smart.find(issued.access) is None
        issued = refreshed(one, issued)
        assert one.smart.find(issued.access) is not None
    clock.move(86_399)
    issued = refreshed(one, issued)
    clock.move(1)
    assert one.smart.find(issued.access) is None
    with pytest.raises(OAuthRefusal, match="too old"):
        refreshed(one, issued)


def test_an_idle_session_ends_its_apps_though_nobody_came_to_tell() -> None:
    clock, one, other = two_nodes()
    secret, session = one.sessions.open(PERSONAS[0].subject())
    issued = let_in(one, session.subject, "patient/*.rs online_access", secret)
    clock.move(19 * 60)
    issued = refreshed(other, issued)  # an app that goes on by itself is no use of the session
    clock.move(60)
    assert other.smart.find(issued.access) is None
    with pytest.raises(OAuthRefusal, match="session or the assignment has ended"):
        refreshed(other, issued)


def test_a_private_person_s_app_goes_on_without_his_session_only_with_offline_access() -> None:
    _, one, other = two_nodes()
    secret, session = one.sessions.open(PERSON)
    staying = let_in(one, session.subject, "patient/*.rs offline_access", secret)
    passing = let_in(one, session.subject, "patient/*.rs online_access", secret)
    one.sessions.close(secret)
    assert other.smart.find(staying.access) is not None
    assert staying.grant.subject.session_id not in ("", session.subject.session_id)
    assert other.smart.find(passing.access) is None
    assert refreshed(other, staying).grant.subject.patient_key == 7


def test_an_assignment_that_ends_ends_its_apps() -> None:
    clock, one, _ = two_nodes()
    staff = PERSONAS[0].subject()
    assert staff.assignment is not None
    ending = replace(staff, assignment=replace(staff.assignment, ends=clock.now() + timedelta(minutes=5)))
    secret, session = one.sessions.open(ending)
    issued = let_in(one, session.subject, "patient/*.rs online_access", secret)
    clock.move(299)
    issued = refreshed(one, issued)
    clock.move(1)
    assert one.smart.find(issued.access) is None
    with pytest.raises(OAuthRefusal, match="the assignment has ended"):
        refreshed(one, issued)


def test_a_code_is_worth_nothing_when_the_session_has_ended_meanwhile() -> None:
    _, one, _ = two_nodes()
    secret, session = one.sessions.open(PERSONAS[0].subject())
    one.sessions.close(secret)
    with pytest.raises(OAuthRefusal, match="session has ended"):
        let_in(one, session.subject, "patient/*.rs online_access", secret)


def test_all_nodes_sign_with_the_key_of_the_settings(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(RSAKey.generate_key(2048).as_pem(private=True))
    one, other = (IdTokens(SystemClock(), "http://127.0.0.1/smart", "", signing_key(file)) for _ in range(2))
    assert one.keys() == other.keys()
    _, node, _ = two_nodes()
    token = one.token(let_in(node, PERSON, "patient/*.rs").grant, "n")
    assert jwt.decode(token, KeySet.import_key_set(other.keys()), algorithms=["RS256"]).claims["sub"] == "a"


def test_a_key_that_can_not_sign_does_not_start(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    small = RSAKey.generate_key(1024).as_pem(private=True)
    public = RSAKey.generate_key(2048).as_pem(private=False)
    curve = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    for content in (b"", b"no key", small, public, curve):
        file.write_bytes(content)
        with pytest.raises(ConfigurationError):
            signing_key(file)
    with pytest.raises(ConfigurationError):
        signing_key(tmp_path / "absent.pem")
