"""Assertions that were encrypted for us (SAML core 2.3.4 and 6.2; XML Encryption 1.1): opened, and then believed no
more than plain ones.

Encryption keeps an assertion from being read on its way; it proves nothing about who made it, since anybody can encrypt
with our public key. What comes out is therefore judged like any other assertion. Only AES-GCM and RSA-OAEP are opened.
Of what else there is, CBC has no authentication of its own, and RSA with PKCS #1 v1.5 padding answers a patient
attacker's questions (Bleichenbacher; Jager and Somorovsky 2011): for both, how the refusal differs tells the content.
There is no setting for them. Whatever fails here fails with one and the same sentence.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from samsyn.access.authentication.saml import xml
from samsyn.access.authentication.saml.settled import OurSide
from samsyn.access.authentication.saml.xml import DSIG, NAMESPACES, SAML, Element
from samsyn.errors import NotAuthenticated, NotSupported

XENC: Final = "http://www.w3.org/2001/04/xmlenc#"
XENC11: Final = "http://www.w3.org/2009/xmlenc11#"
_SPACES: Final = MappingProxyType({**NAMESPACES, "xenc": XENC, "xenc11": XENC11})
_ELEMENT: Final = f"{XENC}Element"
_KEY_BYTES: Final = MappingProxyType({f"{XENC11}aes128-gcm": 16, f"{XENC11}aes256-gcm": 32})
"""Content encryption, with the length of its key."""
_MGF1P: Final = f"{XENC}rsa-oaep-mgf1p"
_OAEP: Final = f"{XENC11}rsa-oaep"
_DIGESTS: Final[Mapping[str, Callable[[], hashes.HashAlgorithm]]] = MappingProxyType(
    {
        # SHA-1 inside OAEP is no signature: nothing rests on its collisions, and it is the standard's default.
        f"{DSIG}sha1": hashes.SHA1,
        f"{XENC}sha256": hashes.SHA256,
        f"{XENC}sha512": hashes.SHA512,
    }
)
_MASKS: Final[Mapping[str, Callable[[], hashes.HashAlgorithm]]] = MappingProxyType(
    {
        f"{XENC11}mgf1sha1": hashes.SHA1,
        f"{XENC11}mgf1sha256": hashes.SHA256,
        f"{XENC11}mgf1sha512": hashes.SHA512,
    }
)
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_SHUT: Final = "the encrypted assertion can not be opened"


def opened(encrypted: Element, own: OurSide) -> Element:
    """The assertion in an EncryptedAssertion, as a document of its own.

    NotSupported: an algorithm that is not opened. NotAuthenticated: anything else that is not as it should.
    """
    data = xml.one_of(encrypted, "xenc:EncryptedData", _SPACES)
    if data.get("Type", _ELEMENT) != _ELEMENT:
        raise NotAuthenticated("the encrypted assertion is no element")
    size = _KEY_BYTES.get(_algorithm(data))
    if size is None:
        raise NotSupported("encrypted assertions are opened by AES-GCM only")
    key = _content_key(_our_key(encrypted, own), own)
    cipher = _cipher_value(data)
    if key is None or len(key) != size or len(cipher) <= _NONCE_BYTES + _TAG_BYTES:
        raise NotAuthenticated(_SHUT)
    try:
        plain = AESGCM(key).decrypt(cipher[:_NONCE_BYTES], cipher[_NONCE_BYTES:], None)
    except InvalidTag:
        raise NotAuthenticated(_SHUT) from None
    assertion = xml.read(plain)
    if assertion.tag != f"{{{SAML}}}Assertion":
        raise NotAuthenticated("what was encrypted is no assertion")
    return assertion


def _our_key(encrypted: Element, own: OurSide) -> Element:
    """The one EncryptedKey for us, in the data's KeyInfo or beside the data (SAML core 2.3.4)."""
    found = [
        *encrypted.findall("xenc:EncryptedData/ds:KeyInfo/xenc:EncryptedKey", _SPACES),
        *encrypted.findall("xenc:EncryptedKey", _SPACES),
    ]
    ours = [each for each in found if each.get("Recipient", own.entity_id) == own.entity_id]
    if len(ours) != 1 or len(found) != len(encrypted.findall(".//xenc:EncryptedKey", _SPACES)):
        raise NotAuthenticated("the assertion was not encrypted for us")
    return ours[0]


def _content_key(encrypted_key: Element, own: OurSide) -> bytes | None:
    """None: it was made with another key than ours, or is no key at all; the two are told alike."""
    method = xml.one_of(encrypted_key, "xenc:EncryptionMethod", _SPACES)
    algorithm = method.get("Algorithm", "")
    if algorithm not in (_MGF1P, _OAEP) or method.find("xenc:OAEPparams", _SPACES) is not None:
        raise NotSupported("keys of encrypted assertions are opened by RSA-OAEP only")
    digest = _DIGESTS.get(_named(method, "ds:DigestMethod", f"{DSIG}sha1"))
    mask = _MASKS.get(
        _named(method, "xenc11:MGF", f"{XENC11}mgf1sha1") if algorithm == _OAEP else f"{XENC11}mgf1sha1"
    )
    if digest is None or mask is None:
        raise NotSupported("RSA-OAEP with another digest")
    oaep = padding.OAEP(mgf=padding.MGF1(mask()), algorithm=digest(), label=None)
    try:
        return own.key.decrypt(_cipher_value(encrypted_key), oaep)
    except ValueError:
        return None


def _algorithm(data: Element) -> str:
    return str(xml.one_of(data, "xenc:EncryptionMethod", _SPACES).get("Algorithm", ""))


def _named(method: Element, path: str, default: str) -> str:
    found = method.find(path, _SPACES)
    return default if found is None else str(found.get("Algorithm", ""))


def _cipher_value(of: Element) -> bytes:
    """The bytes themselves; a reference to somewhere else is never followed."""
    value = xml.one_of(of, "xenc:CipherData/xenc:CipherValue", _SPACES)
    try:
        return base64.b64decode("".join(xml.text_of(value).split()), validate=True)
    except (binascii.Error, ValueError):
        raise NotAuthenticated(_SHUT) from None
