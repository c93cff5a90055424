"""Sessions, tokens and who a request comes from."""

from dataclasses import replace
from typing import Any

import pytest

from samsyn import limits
from samsyn.access.authentication.identification import SESSION_COOKIE, Identification, session_secret
from samsyn.access.authentication.sessions import Sessions
from samsyn.access.authentication.tokens import Tokens, digest
from samsyn.errors import NotAllowed, NotAuthenticated
from tests.access.house import HeldClock
from tests.access.people import SYSTEM, staff

GP = staff()


def scope(method: str = "GET", **headers: str) -> dict[str, Any]:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": method, "headers": pairs}


def test_a_session_is_found_by_its_secret_and_only_its_hash_is_kept() -> None:
    sessions = Sessions(HeldClock())
    secret, session = sessions.open(GP)
    assert sessions.find(secret) == session
    assert sessions.find(secret + "x") is None
    assert len(secret) >= 43
    kept = repr(vars(sessions))
    assert secret not in kept
    assert session.subject.session_id not in secret
    assert session.csrf not in kept


def test_a_session_ends_when_idle_and_after_its_longest_time() -> None:
    clock, ended = HeldClock(), []
    sessions = Sessions(clock, ended.append)
    secret, session = sessions.open(GP)
    clock.move(limits.SESSION_IDLE_S - 1)
    assert sessions.find(secret)
    clock.move(limits.SESSION_IDLE_S)
    assert sessions.find(secret) is None
    assert ended == [session.subject.session_id]
    secret, _ = sessions.open(GP)
    for _ in range(int(limits.SESSION_LIFETIME_S // (limits.SESSION_IDLE_S - 1))):
        clock.move(limits.SESSION_IDLE_S - 1)
        sessions.find(secret)
    clock.move(limits.SESSION_IDLE_S - 1)
    assert sessions.find(secret) is None


def test_a_change_of_assignment_gives_a_new_secret_a_new_name_and_ends_the_old_session() -> None:
    ended: list[str] = []
    sessions = Sessions(HeldClock(), ended.append)
    secret, before = sessions.open(GP)
    other = replace(GP, hsa_id="SE9990000001-9001")
    turned = sessions.rotate(secret, other)
    assert turned is not None
    new_secret, after = turned
    assert sessions.find(secret) is None
    assert sessions.find(new_secret) == after
    assert after.subject.hsa_id == other.hsa_id
    assert after.subject.session_id != before.subject.session_id
    assert after.csrf != before.csrf
    assert ended == [before.subject.session_id]
    assert sessions.rotate(secret, other) is None


def test_log_out_ends_a_session_at_once_and_all_of_a_person_on_demand() -> None:
    sessions = Sessions(HeldClock())
    secret, session = sessions.open(GP)
    assert sessions.close(secret) == session
    assert sessions.close(secret) is None
    secrets = [sessions.open(GP)[0] for _ in range(3)]
    other, _ = sessions.open(SYSTEM)
    assert len(sessions.close_those(lambda each: each.subject.hsa_id == GP.hsa_id)) == 3
    assert all(sessions.find(secret) is None for secret in secrets)
    assert sessions.find(other)


def test_the_table_is_bounded_and_the_longest_idle_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_SESSIONS", 3)
    sessions = Sessions(HeldClock())
    secrets = [sessions.open(GP)[0] for _ in range(3)]
    sessions.find(secrets[0])
    sessions.open(GP)
    assert [sessions.find(secret) is not None for secret in secrets] == [True, False, True]


def test_a_form_without_the_sessions_token_is_refused() -> None:
    _, session = Sessions(HeldClock()).open(GP)
    session.check_form(session.csrf)
    for wrong in ("", "x", session.csrf + "x", "å\udc80"):
        with pytest.raises(NotAllowed):
            session.check_form(wrong)


def test_a_bearer_token_stands_for_its_subject_until_revoked() -> None:
    tokens = Tokens()
    token = tokens.issue(GP)
    assert tokens.find(token) == GP
    assert tokens.find(digest(token).hex()) is None
    assert token not in repr(vars(tokens))
    named = tokens.find(tokens.issue(replace(GP, session_id="")))
    assert named is not None
    assert named.session_id.startswith("token-")
    tokens.revoke(token)
    assert tokens.find(token) is None


def test_a_request_is_told_by_token_or_cookie_and_otherwise_by_nothing() -> None:
    sessions, tokens = Sessions(HeldClock()), Tokens()
    identification = Identification(sessions, tokens, {"system-token": SYSTEM}.get)
    secret, session = sessions.open(GP)
    assert identification.identify(scope(authorization=f"Bearer {tokens.issue(GP)}")) == GP
    assert identification.identify(scope(authorization="bearer system-token")) == SYSTEM
    assert identification.identify(scope(cookie=f"a=b; {SESSION_COOKIE}={secret}")) == session.subject
    for nobody in (
        scope(),
        scope(authorization="Bearer"),
        scope(authorization="Bearer x"),
        scope(authorization="Basic eDp5"),
        scope(authorization=f"Bearer {'x' * 10_000}"),
        scope(cookie=f"{SESSION_COOKIE}=x"),
        scope(cookie=";;;=å"),
        scope(authorization="Bearer x", cookie=f"{SESSION_COOKIE}={secret}"),
    ):
        with pytest.raises(NotAuthenticated):
            identification.identify(nobody)
    assert session_secret(scope(cookie=f"{SESSION_COOKIE}={secret}")) == secret


def test_a_cookie_does_not_let_another_site_change_anything() -> None:
    sessions = Sessions(HeldClock())
    secret, session = sessions.open(GP)
    identification = Identification(sessions, Tokens())
    cookie = f"{SESSION_COOKIE}={secret}"
    own = {"host": "127.0.0.1:8080", "cookie": cookie}
    for fine in (
        {"origin": "http://127.0.0.1:8080"},
        {"origin": "http://127.0.0.1:8080", "sec_fetch_site": "same-origin"},
        {"sec_fetch_site": "same-origin"},
    ):
        assert identification.identify(scope("POST", **own, **fine)) == session.subject
    for foreign in (
        {},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"sec_fetch_site": "cross-site"},
        {"origin": "http://127.0.0.1:8080", "sec_fetch_site": "same-site"},
    ):
        with pytest.raises(NotAllowed):
            identification.identify(scope("POST", **own, **foreign))
    assert identification.identify(scope("GET", **own)) == session.subject
