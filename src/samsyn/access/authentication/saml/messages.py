"""Messages in an address: what we ask, what we are told, and their signatures (SAML bindings 3.4)."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote_plus, urlencode, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from lxml import etree

from samsyn import limits
from samsyn.access.authentication.saml import xml
from samsyn.access.authentication.saml.settled import POST, IdentityProvider, OurSide
from samsyn.access.authentication.saml.xml import SAML, SAMLP, Element
from samsyn.errors import NotAuthenticated

SUCCESS: Final = "urn:oasis:names:tc:SAML:2.0:status:Success"
_RSA_SHA256: Final = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
_HASHES: Final[Mapping[str, hashes.HashAlgorithm]] = {
    _RSA_SHA256: hashes.SHA256(),
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384": hashes.SHA384(),
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512": hashes.SHA512(),
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256": hashes.SHA256(),
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384": hashes.SHA384(),
}
"""Signatures that an address may bear; never SHA-1."""


@dataclass(frozen=True, slots=True)
class LogoutAsked:
    """A verified request of the identity provider to end sessions."""

    request_id: str
    name_id: str
    session_indexes: frozenset[str]


def authn_request(
    own: OurSide, provider: IdentityProvider, request_id: str, now: datetime, choose_again: bool
) -> bytes:
    """Asks for a log-in of the demanded strength (SAML core 3.4.1)."""
    root = _request("AuthnRequest", own, provider.sign_on, request_id, now)
    root.set("AssertionConsumerServiceURL", own.acs)
    root.set("ProtocolBinding", POST)
    if choose_again:
        root.set("ForceAuthn", "true")
    policy = etree.SubElement(root, f"{{{SAMLP}}}NameIDPolicy", AllowCreate="true")
    policy.set("Format", "urn:oasis:names:tc:SAML:2.0:nameid-format:transient")
    context = etree.SubElement(root, f"{{{SAMLP}}}RequestedAuthnContext", Comparison="exact")
    for level in sorted(own.assurance):
        etree.SubElement(context, f"{{{SAML}}}AuthnContextClassRef").text = level
    data: bytes = etree.tostring(root)
    return data


def logout_request(
    own: OurSide,
    provider: IdentityProvider,
    request_id: str,
    now: datetime,
    name_id: str,
    session_index: str,
) -> bytes:
    """Asks the identity provider to end its session (SAML core 3.7.1)."""
    root = _request("LogoutRequest", own, provider.log_out, request_id, now)
    etree.SubElement(root, f"{{{SAML}}}NameID").text = name_id
    if session_index:
        etree.SubElement(root, f"{{{SAMLP}}}SessionIndex").text = session_index
    data: bytes = etree.tostring(root)
    return data


def logout_response(
    own: OurSide, provider: IdentityProvider, response_id: str, now: datetime, in_response_to: str
) -> bytes:
    """Tells that the sessions have ended (SAML core 3.7.2)."""
    root = _request("LogoutResponse", own, provider.log_out, response_id, now)
    root.set("InResponseTo", in_response_to)
    status = etree.SubElement(root, f"{{{SAMLP}}}Status")
    etree.SubElement(status, f"{{{SAMLP}}}StatusCode", Value=SUCCESS)
    data: bytes = etree.tostring(root)
    return data


def signed_address(own: OurSide, address: str, field: str, message: bytes, relay_state: str) -> str:
    """The address with the message and our signature over it (SAML bindings 3.4.4.1)."""
    asked = {field: xml.deflated(message)}
    if relay_state:
        asked["RelayState"] = relay_state
    asked["SigAlg"] = _RSA_SHA256
    query = urlencode(asked)
    signature = own.key.sign(query.encode("ascii"), padding.PKCS1v15(), hashes.SHA256())
    query = f"{query}&{urlencode({'Signature': base64.b64encode(signature).decode('ascii')})}"
    return f"{address}{'&' if urlsplit(address).query else '?'}{query}"


def read_logout(
    own: OurSide, provider: IdentityProvider, asked: Mapping[str, str], now: datetime
) -> LogoutAsked:
    """A LogoutRequest in an address that is signed, meant for us and fresh. NotAuthenticated: anything else."""
    _check_signature(provider, asked, "SAMLRequest")
    root = xml.read(xml.inflated(asked["SAMLRequest"]))
    if root.tag != f"{{{SAMLP}}}LogoutRequest":
        raise NotAuthenticated("no request to log out")
    check_envelope(root, provider, own.log_out, now)
    ends = root.get("NotOnOrAfter")
    if ends is not None and moment(ends) + _leeway() <= now:
        raise NotAuthenticated("the request to log out is too old")
    indexes = frozenset(xml.text_of(each) for each in root.findall("samlp:SessionIndex", xml.NAMESPACES))
    return LogoutAsked(root.get("ID", ""), xml.text_of(xml.one(root, "saml:NameID")), indexes)


def check_envelope(root: Element, provider: IdentityProvider, destination: str, now: datetime) -> None:
    """Version, sender, receiver and age of a message."""
    if root.get("Version") != "2.0" or not root.get("ID"):
        raise NotAuthenticated("another version of SAML")
    if xml.text_of(xml.one(root, "saml:Issuer")) != provider.entity_id:
        raise NotAuthenticated("the SAML message comes from another issuer")
    if root.get("Destination") != destination:
        raise NotAuthenticated("the SAML message is meant for somebody else")
    made = moment(root.get("IssueInstant", ""))
    if not now - timedelta(seconds=limits.SAML_MESSAGE_S) <= made <= now + _leeway():
        raise NotAuthenticated("the SAML message is too old or comes from the future")


def moment(text: str) -> datetime:
    """A time of SAML, always in UTC with a Z (SAML core 1.3.3). NotAuthenticated: anything else."""
    if not text.endswith("Z") or len(text) > 40:
        raise NotAuthenticated("a time in the SAML message can not be read")
    try:
        return datetime.fromisoformat(text[:-1][:26]).replace(tzinfo=UTC)
    except ValueError:
        raise NotAuthenticated("a time in the SAML message can not be read") from None


def _leeway() -> timedelta:
    return timedelta(seconds=limits.CLOCK_LEEWAY_S)


def _request(name: str, own: OurSide, destination: str, request_id: str, now: datetime) -> Element:
    root = etree.Element(f"{{{SAMLP}}}{name}", nsmap={"samlp": SAMLP, "saml": SAML})
    root.set("ID", request_id)
    root.set("Version", "2.0")
    root.set("IssueInstant", now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    root.set("Destination", destination)
    etree.SubElement(root, f"{{{SAML}}}Issuer").text = own.entity_id
    return root


def _check_signature(provider: IdentityProvider, asked: Mapping[str, str], field: str) -> None:
    """The signature over the fields as they are encoded by everybody who encodes them plainly."""
    algorithm = _HASHES.get(asked.get("SigAlg", ""))
    if algorithm is None or field not in asked:
        raise NotAuthenticated("the SAML message is not signed as it should")
    parts = [field, "RelayState", "SigAlg"] if asked.get("RelayState") else [field, "SigAlg"]
    query = "&".join(f"{name}={quote_plus(asked[name])}" for name in parts).encode("ascii")
    try:
        signature = base64.b64decode(asked.get("Signature", ""), validate=True)
    except binascii.Error:
        raise NotAuthenticated("the SAML message is not signed as it should") from None
    for certificate in provider.certificates:
        key = certificate.public_key()
        try:
            if isinstance(key, rsa.RSAPublicKey) and "rsa" in asked["SigAlg"]:
                key.verify(signature, query, padding.PKCS1v15(), algorithm)
            elif isinstance(key, ec.EllipticCurvePublicKey) and "ecdsa" in asked["SigAlg"]:
                key.verify(signature, query, ec.ECDSA(algorithm))
            else:
                continue
        except InvalidSignature:
            continue
        return
    raise NotAuthenticated("the signature of the SAML message")
