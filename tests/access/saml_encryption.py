"""Encrypts assertions as a SAML identity provider does, and as one that attacks."""

import base64
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from lxml import etree

from tests.access.saml_provider import NS

XENC, XENC11 = "http://www.w3.org/2001/04/xmlenc#", "http://www.w3.org/2009/xmlenc11#"
DSIG = "http://www.w3.org/2000/09/xmldsig#"
HASHES = {"sha1": hashes.SHA1, "sha256": hashes.SHA256, "sha512": hashes.SHA512}


@dataclass
class Seal:
    """How it is encrypted, and for whom."""

    key: rsa.RSAPublicKey
    content: str = f"{XENC11}aes256-gcm"
    transport: str = f"{XENC}rsa-oaep-mgf1p"
    digest: str = ""
    mask: str = ""
    recipient: str | None = None
    beside: bool = False
    """The key stands beside the data, not in it."""
    kind: str = f"{XENC}Element"
    content_key: bytes = b""
    plain: Callable[[bytes], bytes] = lambda text: text
    changed: Callable[[bytes], bytes] = lambda cipher: cipher
    keys: int = 1
    extra: str = ""
    """In the key's EncryptionMethod."""

    def __call__(self, root: Any) -> None:
        assertion = root.find("saml:Assertion", NS)
        root.replace(assertion, self.sealed(etree.tostring(assertion)))

    def sealed(self, text: bytes) -> Any:
        """An EncryptedAssertion of the text."""
        size = 16 if "128" in self.content else 32
        key = self.content_key or os.urandom(size)
        cipher = self.changed(self._encrypted(self.plain(text), key))
        keys = "".join(self._key(key) for _ in range(self.keys))
        inside, beside = (
            ("", keys) if self.beside else (f'<ds:KeyInfo xmlns:ds="{DSIG}">{keys}</ds:KeyInfo>', "")
        )
        return etree.fromstring(
            f'<saml:EncryptedAssertion xmlns:saml="{NS["saml"]}"><xenc:EncryptedData xmlns:xenc="{XENC}"'
            f' Type="{self.kind}"><xenc:EncryptionMethod Algorithm="{self.content}"/>{inside}'
            f"<xenc:CipherData><xenc:CipherValue>{base64.b64encode(cipher).decode()}</xenc:CipherValue>"
            f"</xenc:CipherData></xenc:EncryptedData>{beside}</saml:EncryptedAssertion>"
        )

    def _encrypted(self, text: bytes, key: bytes) -> bytes:
        if "cbc" in self.content:
            nonce = os.urandom(16)
            pad = 16 - len(text) % 16
            encryptor = Cipher(algorithms.AES(key), modes.CBC(nonce)).encryptor()
            return nonce + encryptor.update(text + os.urandom(pad - 1) + bytes([pad])) + encryptor.finalize()
        nonce = os.urandom(12)
        return nonce + AESGCM(key).encrypt(nonce, text, None)

    def _key(self, key: bytes) -> str:
        digest, mask = HASHES[self.digest or "sha1"], HASHES[self.mask or "sha1"]
        oaep: Any = padding.OAEP(padding.MGF1(mask()), digest(), None)
        cipher = self.key.encrypt(key, padding.PKCS1v15() if "1_5" in self.transport else oaep)
        space = DSIG if self.digest == "sha1" else XENC
        told = f'<ds:DigestMethod xmlns:ds="{DSIG}" Algorithm="{space}{self.digest}"/>' if self.digest else ""
        told += f'<x:MGF xmlns:x="{XENC11}" Algorithm="{XENC11}mgf1{self.mask}"/>' if self.mask else ""
        recipient = f' Recipient="{self.recipient}"' if self.recipient is not None else ""
        return (
            f'<xenc:EncryptedKey xmlns:xenc="{XENC}"{recipient}><xenc:EncryptionMethod'
            f' Algorithm="{self.transport}">{told}{self.extra}</xenc:EncryptionMethod><xenc:CipherData>'
            f"<xenc:CipherValue>{base64.b64encode(cipher).decode()}</xenc:CipherValue></xenc:CipherData>"
            "</xenc:EncryptedKey>"
        )

    def with_(self, **changes: Any) -> "Seal":
        return replace(self, **changes)
