"""What an association agrees on besides its contexts: roles, identity (PS3.7 D.3.3). Windows: see test_window.py."""

import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from samsyn.wire import pdu
from samsyn.wire.negotiation import Implementation, own_user_information
from samsyn.wire.pdu import AssociateAccept, AssociateRequest, ProposedContext
from samsyn.wire.user_information import (
    CommonExtendedNegotiation,
    RoleSelection,
    UserIdentityRequest,
    UserInformation,
)
from tests.dimse.stage import CT, EXPLICIT, STUDY_GET, VERIFICATION, RawPeer, Stage

BASE = own_user_information(Implementation("2.25.2", "RAW"))
CONTEXTS = tuple(
    ProposedContext(2 * number + 1, uid, (EXPLICIT,))
    for number, uid in enumerate((CT, VERIFICATION, STUDY_GET))
)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with Stage(tmp_path) as made:
        yield made


async def answered(stage: Stage, user: UserInformation, calling: str = "BENCH") -> UserInformation:
    """The user information of the acceptance."""
    peer = await RawPeer.open(stage.door.port)
    peer.writer.write(pdu.encode_control(AssociateRequest("SAMSYN", calling, CONTEXTS, user)))
    data = await peer.pdu()
    answer = pdu.decode_control(data[0], data[6:])
    assert isinstance(answer, AssociateAccept)
    peer.close()
    return answer.user


@pytest.mark.parametrize(
    ("calling", "proposed", "granted"),
    [
        ("BENCH", (True, True), (True, True)),
        ("BENCH", (False, True), (False, True)),
        ("BENCH", (True, False), (True, False)),
        ("READER", (True, True), (False, True)),  # may not store
        ("WRITER", (True, True), (True, False)),  # may not retrieve
    ],
)
async def test_roles_are_granted_as_far_as_the_system_may(
    stage: Stage, calling: str, proposed: tuple[bool, bool], granted: tuple[bool, bool]
) -> None:
    user = replace(BASE, roles=(RoleSelection(CT, *proposed), RoleSelection(VERIFICATION, True, True)))
    assert (await answered(stage, user, calling)).roles == (RoleSelection(CT, *granted),)


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5, 77])
@pytest.mark.parametrize("wants_answer", [False, True])
async def test_a_user_identity_is_taken_without_answer_and_reaches_no_log(
    stage: Stage, caplog: pytest.LogCaptureFixture, kind: int, wants_answer: bool
) -> None:
    caplog.set_level(logging.DEBUG)
    identity = UserIdentityRequest(kind, wants_answer, b"somebody", b"a secret")
    # Systems are known by title, address and certificate; who sits in front of them, they keep track of.
    assert (await answered(stage, replace(BASE, identity_request=identity))).identity_response is None
    assert "secret" not in caplog.text
    assert "somebody" not in caplog.text


async def test_common_extended_negotiation_is_read_and_not_answered(stage: Stage) -> None:
    user = replace(BASE, common_extended=(CommonExtendedNegotiation(CT, "1.2.840.10008.4.2", ()),))
    assert (await answered(stage, user)).common_extended == ()
