"""Encrypted assertions: opened for us by AES-GCM and RSA-OAEP, and believed only as far as they are signed."""

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from lxml import etree

from samsyn import limits
from samsyn.access.authentication.saml.party import SamlParty
from samsyn.errors import NotAuthenticated, NotSupported
from samsyn.model.subject import Subject
from tests.access.house import HeldClock
from tests.access.saml_encryption import XENC, XENC11, Seal
from tests.access.saml_provider import GP, NS, OWN, SIGNATURE, Lie, SamlProvider, made_key
from tests.access.test_saml import log_in

FORGED = {**GP, "employeeHsaId": ["SE9990000004-6666"]}
BOTH = pytest.mark.parametrize("signed", [("assertion",), ("response",), ("assertion", "response")])


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


@pytest.fixture
def seal(provider: SamlProvider) -> Seal:
    key = provider.own.certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    return Seal(key)


@BOTH
async def test_an_encrypted_assertion_is_opened_and_believed_as_it_is_signed(
    party: SamlParty, provider: SamlProvider, seal: Seal, signed: tuple[str, ...]
) -> None:
    who = (await log_in(party, provider, Lie(signed=signed, sealed=seal))).who
    assert isinstance(who, Subject)
    assert who.hsa_id == "SE9990000004-9001"


@pytest.mark.parametrize(
    "changes",
    [
        {"content": f"{XENC11}aes128-gcm"},
        {"beside": True},
        {"recipient": OWN},
        {"digest": "sha1"},
        {"digest": "sha256"},
        {"transport": f"{XENC11}rsa-oaep", "digest": "sha256", "mask": "sha256"},
        {"transport": f"{XENC11}rsa-oaep", "digest": "sha512", "mask": "sha512"},
        {"transport": f"{XENC11}rsa-oaep"},
    ],
)
async def test_every_form_that_our_metadata_offer_is_opened(
    party: SamlParty, provider: SamlProvider, seal: Seal, changes: dict[str, Any]
) -> None:
    await log_in(party, provider, Lie(sealed=seal.with_(**changes)))


@pytest.mark.parametrize(
    "changes",
    [
        {"content": f"{XENC}aes256-cbc"},
        {"content": f"{XENC}aes128-cbc"},
        {"content": f"{XENC}tripledes-cbc"},
        {"transport": f"{XENC}rsa-1_5"},
        {"transport": f"{XENC}kw-aes256"},
        {"extra": f'<x:OAEPparams xmlns:x="{XENC}">AAAA</x:OAEPparams>'},
    ],
    ids=["AES-256-CBC", "AES-128-CBC", "3DES", "PKCS #1 v1.5", "key wrap", "OAEP label"],
)
@BOTH
async def test_what_lets_an_attacker_ask_is_not_opened_at_all(
    party: SamlParty, provider: SamlProvider, seal: Seal, changes: dict[str, Any], signed: tuple[str, ...]
) -> None:
    with pytest.raises(NotSupported):
        await log_in(party, provider, Lie(signed=signed, sealed=seal.with_(**changes)))


def _flipped(cipher: bytes) -> bytes:
    return cipher[:40] + bytes([cipher[40] ^ 1]) + cipher[41:]


@pytest.mark.parametrize(
    "changes",
    [
        {"key": made_key().public_key()},
        {"changed": _flipped},
        {"changed": lambda cipher: cipher[:-1]},
        {"changed": lambda cipher: cipher[:20]},
        {"changed": lambda cipher: b""},
        {"content_key": bytes(16)},
        {"content_key": bytes(24)},
        {"content_key": b"no key"},
    ],
    ids=["another's key", "a bit", "a byte short", "no content", "nothing", "too short a key", "AES-192", "no key"],
)  # fmt: skip
async def test_whatever_can_not_be_opened_is_refused_in_one_and_the_same_sentence(
    party: SamlParty, provider: SamlProvider, seal: Seal, changes: dict[str, Any]
) -> None:
    wrong = seal.with_(**changes)
    if changes.get("content_key") in (bytes(24), b"no key", bytes(16)):
        wrong = wrong.with_(plain=lambda text: text)
        wrong._encrypted = lambda text, key: b"x" * 400  # type: ignore[method-assign]
    with pytest.raises(NotAuthenticated) as refusal:
        await log_in(party, provider, Lie(sealed=wrong))
    assert refusal.value.detail == "the encrypted assertion can not be opened"


@pytest.mark.parametrize(
    "changes",
    [
        {"recipient": "https://other.region.example"},
        {"recipient": ""},
        {"keys": 2},
        {"keys": 0},
        {"kind": f"{XENC}Content"},
        {"plain": lambda text: b"<a/>"},
        {"plain": lambda text: b"no xml"},
        {"plain": lambda text: b"<!DOCTYPE a [<!ENTITY b 'c'>]>" + text},
        {"plain": lambda text: text.replace(b"SE9990000004-9001", b"SE9990000004-9001<!--x-->")},
        {"plain": lambda text: text + b" " * (limits.MAX_SAML_BYTES - len(text) + 1)},
    ],
    ids=["another recipient", "nobody", "two keys", "no key", "content", "another element", "no XML",
         "document type", "comment", "too large"],
)  # fmt: skip
async def test_what_is_sealed_otherwise_than_it_should_is_refused(
    party: SamlParty, provider: SamlProvider, seal: Seal, changes: dict[str, Any]
) -> None:
    with pytest.raises(NotAuthenticated):
        await log_in(party, provider, Lie(sealed=seal.with_(**changes)))


async def test_anybody_can_encrypt_for_us_so_an_unsigned_assertion_is_nobodys(
    party: SamlParty, provider: SamlProvider, seal: Seal
) -> None:
    with pytest.raises(NotAuthenticated):
        await log_in(party, provider, Lie(signed=(), sealed=seal))
    with pytest.raises(NotAuthenticated):
        await log_in(party, provider, Lie(key=made_key(), sealed=seal))


@pytest.mark.parametrize("signed", [("response",), ("assertion", "response")])
async def test_an_envelope_that_was_swapped_in_a_signed_response_is_refused(
    party: SamlParty, provider: SamlProvider, seal: Seal, signed: tuple[str, ...]
) -> None:
    def swapped(root: Any) -> None:
        forged = provider.tree("_x", Lie(signed=(), attributes=FORGED))
        mine = seal.sealed(etree.tostring(forged.find("saml:Assertion", NS)))
        root.replace(root.find("saml:EncryptedAssertion", NS), mine)

    with pytest.raises(NotAuthenticated):
        await log_in(party, provider, Lie(signed=signed, sealed=seal, after_signing=swapped))


@pytest.mark.parametrize("place", ["before", "after", "in the status", "plain before", "plain after"])
@BOTH
async def test_a_second_assertion_sealed_or_plain_is_refused(
    party: SamlParty, provider: SamlProvider, seal: Seal, place: str, signed: tuple[str, ...]
) -> None:
    def added(root: Any) -> None:
        forged = provider.tree("_x", Lie(signed=(), attributes=FORGED)).find("saml:Assertion", NS)
        mine = forged if "plain" in place else seal.sealed(etree.tostring(forged))
        if place == "in the status":
            root.find("samlp:Status", NS).append(mine)
        elif "before" in place:
            root.insert(1, mine)
        else:
            root.append(mine)

    with pytest.raises(NotAuthenticated):
        await log_in(party, provider, Lie(signed=signed, sealed=seal, after_signing=added))


@pytest.mark.parametrize(
    "where", ["the assertion in its signature", "a forged one around it", "the signature moved"]
)
async def test_a_signature_that_is_wrapped_inside_the_envelope_covers_nothing_else(
    party: SamlParty, provider: SamlProvider, seal: Seal, where: str
) -> None:
    def wrapped(text: bytes) -> bytes:
        true = etree.fromstring(text)
        forged = provider.tree("_x", Lie(signed=(), attributes=FORGED)).find("saml:Assertion", NS)
        if where == "the signature moved":
            forged.append(true.find(SIGNATURE))
        elif where == "a forged one around it":
            forged.append(true)
        else:
            signature = true.find(SIGNATURE)
            true.remove(signature)
            etree.SubElement(signature, "{http://www.w3.org/2000/09/xmldsig#}Object").append(true)
            forged.append(signature)
        return bytes(etree.tostring(forged))

    with pytest.raises(NotAuthenticated):
        await log_in(party, provider, Lie(sealed=seal.with_(plain=wrapped)))


async def test_an_envelope_for_another_log_in_can_not_be_used_again(
    party: SamlParty, provider: SamlProvider, seal: Seal
) -> None:
    kept: list[Any] = []

    def keep(root: Any) -> None:
        seal(root)
        kept.append(root.find("saml:EncryptedAssertion", NS))

    await log_in(party, provider, Lie(sealed=keep))

    def again(root: Any) -> None:
        root.replace(root.find("saml:Assertion", NS), kept[0])

    with pytest.raises(NotAuthenticated):
        await log_in(party, provider, Lie(sealed=again))


async def test_a_reference_to_somewhere_else_is_never_followed(
    party: SamlParty, provider: SamlProvider, seal: Seal
) -> None:
    def referring(root: Any) -> None:
        seal(root)
        data = root.find(f".//{{{XENC}}}EncryptedData/{{{XENC}}}CipherData")
        data.remove(data[0])
        etree.SubElement(data, f"{{{XENC}}}CipherReference", URI="file:///etc/hostname")

    with pytest.raises(NotAuthenticated):
        await log_in(party, provider, Lie(sealed=referring))


async def test_our_metadata_offer_a_key_and_what_is_opened_with_it(party: SamlParty) -> None:
    root = etree.fromstring(party.metadata)
    md = "{urn:oasis:names:tc:SAML:2.0:metadata}"
    uses = {each.get("use"): each for each in root.iter(f"{md}KeyDescriptor")}
    assert set(uses) == {"signing", "encryption"}
    offered = [each.get("Algorithm") for each in uses["encryption"].iter(f"{md}EncryptionMethod")]
    assert offered
    assert not any("cbc" in each or "1_5" in each for each in offered)
    text = next(uses["encryption"].iter("{http://www.w3.org/2000/09/xmldsig#}X509Certificate")).text
    assert base64.b64decode(text)
