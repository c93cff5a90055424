"""SAML log-in: the truth is believed, and nothing but the truth that is signed, for us, now, once."""

import base64
import re
from collections.abc import Callable
from typing import Any

import pytest
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod

from samsyn import limits
from samsyn.access.authentication.oidc import LoggedIn
from samsyn.access.authentication.saml import xml
from samsyn.access.authentication.saml.party import SamlParty, ends_session
from samsyn.access.authentication.saml.settled import identity_provider
from samsyn.errors import ConfigurationError, NotAuthenticated
from samsyn.model.subject import Purpose, Scope, Subject
from tests.access import saml_provider
from tests.access.house import HeldClock
from tests.access.saml_provider import GP, NS, Lie, SamlProvider, made_key


@pytest.fixture(scope="module")
def made() -> SamlProvider:
    return SamlProvider(HeldClock())


@pytest.fixture
def provider(made: SamlProvider) -> SamlProvider:
    made.clock = HeldClock()
    return made


@pytest.fixture
def party(provider: SamlProvider) -> SamlParty:
    return SamlParty(provider.own, provider.known, provider.clock)


async def log_in(party: SamlParty, provider: SamlProvider, lie: Lie | None = None) -> LoggedIn:
    begun = await party.begin()
    request_id, state = provider.asked(begun.address)
    return party.fetch(party.receive(provider.response(request_id, lie or Lie()), state), begun.binding)


@pytest.mark.parametrize("signed", [("assertion",), ("response",), ("assertion", "response")])
async def test_a_true_response_gives_the_employee_with_the_chosen_assignment(
    party: SamlParty, provider: SamlProvider, signed: tuple[str, ...]
) -> None:
    who = (await log_in(party, provider, Lie(signed=signed))).who
    assert isinstance(who, Subject)
    assert (who.hsa_id, who.name, who.roles) == ("SE9990000004-9001", "Eva Lindgren", {"steward"})
    assert who.assignment is not None
    assert who.assignment.purpose is Purpose.CARE
    assert who.assignment.unit_hsa_id == "SE9990000004-1001"
    assert who.assignment.reading_scope() is Scope.CROSS_PROVIDER


def _attribute(name: str, value: str) -> dict[str, list[str]]:
    return {**GP, name: [value]}


def _comment(path: str) -> Callable[[Any], None]:
    def split(root: Any) -> None:
        element = root.find(path, NS)
        text = element.text
        element.text = text[:4]
        comment = etree.Comment("x")
        comment.tail = text[4:]
        element.append(comment)

    return split


def _child(root: Any) -> None:
    name = root.find(".//saml:NameID", NS)
    etree.SubElement(name, "{urn:other}part").tail = "more"


def _twice(root: Any) -> None:
    statement = root.find(".//saml:AttributeStatement", NS)
    statement.append(etree.fromstring(etree.tostring(statement[0])))


def _changed(root: Any) -> None:
    root.find(".//saml:AttributeValue", NS).text = "SE9990000004-6666"


def _condition(root: Any) -> None:
    etree.SubElement(root.find(".//saml:Conditions", NS), f"{{{NS['saml']}}}Condition")


def _without_confirmation(root: Any) -> None:
    subject = root.find(".//saml:Subject", NS)
    subject.remove(subject.find("saml:SubjectConfirmation", NS))


def _signature_elsewhere(root: Any) -> None:
    signature = root.find(f".//{saml_provider.SIGNATURE}")
    root.find("samlp:Status", NS).append(signature)


LIES: dict[str, Lie] = {
    "unsigned": Lie(signed=()),
    "signed by another key": Lie(key=made_key()),
    "response signed by another key": Lie(signed=("response",), key=made_key()),
    "SHA-1 signature": Lie(method=SignatureMethod.RSA_SHA1),
    "SHA-1 digest": Lie(digest=DigestAlgorithm.SHA1),
    "changed after signing": Lie(after_signing=_changed),
    "changed in a signed response": Lie(signed=("response",), after_signing=_changed),
    "wrapped in extensions": Lie(after_signing=saml_provider.wrapped_in_extensions),
    "wrapped in the signature": Lie(after_signing=saml_provider.wrapped_in_signature),
    "forged before": Lie(after_signing=saml_provider.forged_before),
    "forged after": Lie(after_signing=saml_provider.forged_after),
    "forged around": Lie(after_signing=saml_provider.forged_around),
    "forged under the same id": Lie(after_signing=saml_provider.same_id_forged),
    "signature in another place": Lie(after_signing=_signature_elsewhere),
    "comment in the NameID": Lie(after_signing=_comment(".//saml:NameID")),
    "comment in the employee": Lie(after_signing=_comment(".//saml:AttributeValue")),
    "comment in a signed response": Lie(
        signed=("response",), before_signing=_comment(".//saml:AttributeValue")
    ),
    "parts in the NameID": Lie(before_signing=_child),
    "an attribute twice": Lie(before_signing=_twice),
    "other audience": Lie(audience="https://other.region.example"),
    "no audience": Lie(audience=None),
    "audience that only begins like ours": Lie(audience=f"{saml_provider.OWN}.evil.example"),
    "other issuer": Lie(issuer="https://evil.example/idp"),
    "other issuer of the assertion": Lie(assertion_issuer="https://evil.example/idp"),
    "other destination": Lie(destination="https://other.region.example/acs"),
    "other recipient": Lie(recipient="https://other.region.example/acs"),
    "no confirmation": Lie(before_signing=_without_confirmation),
    "answer to another request": Lie(in_response_to="_other"),
    "confirmed for another request": Lie(confirmed_for="_other"),
    "expired": Lie(ends_s=-(limits.CLOCK_LEEWAY_S + 1)),
    "not valid yet": Lie(begins_s=limits.CLOCK_LEEWAY_S + 5),
    "usable for too long": Lie(ends_s=limits.SAML_MESSAGE_S + 60),
    "made long ago": Lie(instant_s=-(limits.SAML_MESSAGE_S + 60)),
    "made in the future": Lie(instant_s=limits.CLOCK_LEEWAY_S + 5),
    "refused": Lie(status="urn:oasis:names:tc:SAML:2.0:status:Responder"),
    "LoA2": Lie(level="http://id.sambi.se/loa/loa2"),
    "unspecified strength": Lie(level="urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified"),
    "condition that nobody knows": Lie(before_signing=_condition),
    "no assignment": Lie(attributes={**GP, "commissionHsaId": []}),
    "unknown purpose": Lie(attributes=_attribute("commissionPurpose", "Nyfikenhet")),
    "no HSA-id": Lie(attributes=_attribute("employeeHsaId", "eva.lindgren")),
    "two employees": Lie(attributes={**GP, "employeeHsaId": ["SE9990000004-9001", "SE9990000004-9002"]}),
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_response_that_lies_is_refused(party: SamlParty, provider: SamlProvider, lie: str) -> None:
    with pytest.raises(NotAuthenticated):
        await log_in(party, provider, LIES[lie])


async def test_what_changes_in_each_lie_is_all_that_makes_it_refused(
    party: SamlParty, provider: SamlProvider
) -> None:
    for _ in range(2):
        await log_in(party, provider)


@pytest.mark.parametrize(
    "lie",
    [
        Lie(ends_s=-(limits.CLOCK_LEEWAY_S - 1)),
        Lie(begins_s=limits.CLOCK_LEEWAY_S - 1),
        Lie(instant_s=limits.CLOCK_LEEWAY_S - 1),
    ],
)
async def test_clocks_may_differ_by_the_leeway(party: SamlParty, provider: SamlProvider, lie: Lie) -> None:
    await log_in(party, provider, lie)


DOCTYPES = [
    '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]>',
    '<!DOCTYPE r SYSTEM "http://127.0.0.1:9/evil.dtd">',
    '<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;">]>',
    "<!DOCTYPE r>",
]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("doctype", DOCTYPES)
async def test_a_document_type_is_refused_before_anything_is_fetched_or_grown(
    party: SamlParty, provider: SamlProvider, doctype: str, encoding: str
) -> None:
    begun = await party.begin()
    request_id, state = provider.asked(begun.address)
    text = etree.tostring(provider.tree(request_id, Lie()), encoding="unicode")
    body = re.sub(r"transient-1", "&x;" if "ENTITY x" in doctype else "transient-1", text)
    sent = base64.b64encode((doctype + body).encode(encoding)).decode()
    with pytest.raises(NotAuthenticated):
        party.receive(sent, state)


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "not base64 at all!",
        base64.b64encode(b"<a>").decode(),
        base64.b64encode(b"<a/>").decode(),
        base64.b64encode(b"\xff\xfe\x00").decode(),
        base64.b64encode(b"<a>" + b"<b/>" * (limits.MAX_SAML_ELEMENTS + 1) + b"</a>").decode(),
        "A" * (limits.MAX_SAML_BYTES * 3),
        base64.b64encode(b"<a>" + b"<b>" * 400 + b"</b>" * 400 + b"</a>").decode(),
    ],
)
async def test_what_is_no_message_is_refused(party: SamlParty, provider: SamlProvider, sent: str) -> None:
    begun = await party.begin()
    _, state = provider.asked(begun.address)
    with pytest.raises(NotAuthenticated):
        party.receive(sent, state)


async def test_a_response_works_once(party: SamlParty, provider: SamlProvider) -> None:
    begun = await party.begin()
    request_id, state = provider.asked(begun.address)
    sent = provider.response(request_id, Lie())
    party.receive(sent, state)
    with pytest.raises(NotAuthenticated):
        party.receive(sent, state)
    again = await party.begin()
    _, other_state = provider.asked(again.address)
    with pytest.raises(NotAuthenticated):
        party.receive(sent, other_state)


async def test_an_assertion_works_once_even_for_a_new_log_in(
    party: SamlParty, provider: SamlProvider
) -> None:
    await log_in(party, provider, Lie(assertion_id="_same"))
    with pytest.raises(NotAuthenticated, match="used before"):
        await log_in(party, provider, Lie(assertion_id="_same"))


async def test_a_log_in_that_was_not_begun_or_took_too_long_is_refused(
    party: SamlParty, provider: SamlProvider
) -> None:
    with pytest.raises(NotAuthenticated):
        party.receive(provider.response("_unsolicited", Lie()), "")
    begun = await party.begin()
    request_id, state = provider.asked(begun.address)
    provider.clock.move(limits.LOGIN_SECONDS + 1)  # type: ignore[attr-defined]
    with pytest.raises(NotAuthenticated):
        party.receive(provider.response(request_id, Lie()), state)


async def test_a_response_becomes_a_session_only_in_the_browser_that_began(
    party: SamlParty, provider: SamlProvider
) -> None:
    for ticket_of, binding_of in (("mine", ""), ("mine", "stolen"), ("made-up", "mine")):
        begun = await party.begin()
        request_id, state = provider.asked(begun.address)
        ticket = party.receive(provider.response(request_id, Lie()), state)
        binding = begun.binding if binding_of == "mine" else binding_of
        with pytest.raises(NotAuthenticated):
            party.fetch(ticket if ticket_of == "mine" else ticket_of, binding)
        with pytest.raises(NotAuthenticated):
            party.fetch(ticket if ticket_of == "mine" else ticket_of, begun.binding)


async def test_what_waits_for_its_browser_is_gone_after_a_minute(
    party: SamlParty, provider: SamlProvider
) -> None:
    begun = await party.begin()
    request_id, state = provider.asked(begun.address)
    ticket = party.receive(provider.response(request_id, Lie()), state)
    provider.clock.move(limits.CODE_SECONDS + 1)  # type: ignore[attr-defined]
    with pytest.raises(NotAuthenticated):
        party.fetch(ticket, begun.binding)


async def test_log_out_asks_the_provider_in_a_signed_address(
    party: SamlParty, provider: SamlProvider
) -> None:
    logged_in = await log_in(party, provider)
    address = await party.logout_address(logged_in.id_token)
    assert address.startswith(f"{saml_provider.IDP}/slo?SAMLRequest=")
    assert "&Signature=" in address
    assert await party.logout_address("") == ""


async def test_the_providers_request_to_log_out_names_the_sessions_that_end(
    party: SamlParty, provider: SamlProvider
) -> None:
    logged_in = await log_in(party, provider)
    other = await log_in(party, provider, Lie(index="session-2"))
    wanted, address = party.asked_to_end(provider.logout())
    assert ends_session(logged_in.id_token, wanted)
    assert not ends_session(other.id_token, wanted)
    assert not ends_session("", wanted)
    assert not ends_session("a token of another kind", wanted)
    assert address.startswith(f"{saml_provider.IDP}/slo?SAMLResponse=")
    assert "RelayState=back" in address


@pytest.mark.parametrize(
    "change",
    ["SAMLRequest", "RelayState", "SigAlg", "Signature", "no signature", "issuer", "destination", "old"],
)
async def test_a_request_to_log_out_that_is_not_the_providers_ends_nothing(
    party: SamlParty, provider: SamlProvider, change: str
) -> None:
    asked = provider.logout()
    match change:
        case "SAMLRequest":
            asked["SAMLRequest"] = provider.logout(index="session-9")["SAMLRequest"]
        case "RelayState":
            asked["RelayState"] = "elsewhere"
        case "SigAlg":
            asked["SigAlg"] = "http://www.w3.org/2000/09/xmldsig#rsa-sha1"
        case "Signature":
            asked["Signature"] = "AAAA"
        case "no signature":
            del asked["Signature"]
        case "issuer":
            asked = provider.logout(issuer="https://evil.example")
        case "destination":
            asked = provider.logout(destination="https://other.example")
        case "old":
            provider.clock.move(limits.SAML_MESSAGE_S + 1)  # type: ignore[attr-defined]
    with pytest.raises(NotAuthenticated):
        party.asked_to_end(asked)


def test_a_bomb_in_an_address_is_refused() -> None:
    with pytest.raises(NotAuthenticated):
        xml.inflated(xml.deflated(b"<a>" + b" " * (limits.MAX_SAML_BYTES + 1) + b"</a>"))


async def test_our_metadata_tell_where_and_with_which_key(party: SamlParty, provider: SamlProvider) -> None:
    root = etree.fromstring(party.metadata)
    assert root.get("entityID") == provider.own.entity_id
    text = party.metadata.decode()
    assert provider.own.acs in text
    assert provider.own.log_out in text
    assert 'AuthnRequestsSigned="true"' in text
    assert "PRIVATE" not in text


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"<a/>",
        b'<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="x"/>',
        b"<!DOCTYPE a><a/>",
    ],
)
def test_metadata_that_describe_no_identity_provider_stop_the_start(broken: bytes) -> None:
    with pytest.raises(ConfigurationError):
        identity_provider(broken)


def test_metadata_without_key_or_address_stop_the_start(provider: SamlProvider) -> None:
    for old, new in (
        (b'use="signing"', b'use="encryption"'),
        (b"SingleSignOnService", b"Other"),
        (b"MII", b"!!!"),
    ):
        with pytest.raises(ConfigurationError):
            identity_provider(provider.metadata().replace(old, new))
