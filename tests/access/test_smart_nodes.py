"""Where several nodes share what waits, an app's browser, its code and its token may each come to another node."""

import base64
import hashlib

import pytest

from samsyn.access.authentication.smart.authority import SmartAuthority
from samsyn.access.authentication.smart.words import App, Launch, OAuthRefusal
from samsyn.access.waiting import WaitingRooms
from samsyn.clock import SystemClock
from samsyn.endpoints.demo_idp.personas import PERSONAS
from samsyn.store.shared.memory import MemoryState

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
