"""A SAML identity provider that signs what a test wants: the truth, and lies."""

import base64
import copy
import uuid
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod
from signxml.signer import XMLSigner

from samsyn.access.authentication.saml.settled import (
    IdentityProvider,
    OurSide,
    identity_provider,
)
from samsyn.clock import Clock

IDP = "https://idp.region.example/saml"
OWN = "https://samsyn.region.example"
LOA3 = "http://id.sambi.se/loa/loa3"
PREFIX = "http://sambi.se/attributes/1/"
GP = {
    "employeeHsaId": ["SE9990000004-9001"],
    "givenName": ["Eva"],
    "surname": ["Lindgren"],
    "commissionHsaId": ["SE9990000004-5001"],
    "commissionName": ["Läkare"],
    "commissionPurpose": ["Vård och behandling"],
    "commissionRight": ["Läsa;UND;SJF", "Läsa;dok;VE"],
    "healthCareUnitHsaId": ["SE9990000004-1001"],
    "healthCareUnitName": ["Vårdcentralen Linden"],
    "healthCareProviderHsaId": ["SE9990000004-0001"],
    "healthCareProviderName": ["Vårdcentralen Linden"],
    "systemRole": ["SAMSYN;steward"],
}
NS = {"samlp": "urn:oasis:names:tc:SAML:2.0:protocol", "saml": "urn:oasis:names:tc:SAML:2.0:assertion"}
SIGNATURE = "{http://www.w3.org/2000/09/xmldsig#}Signature"


def made_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def certificate_of(key: rsa.RSAPrivateKey, name: str) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2050, 1, 1, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )


@dataclass
class Lie:
    """What is different from the truth; a change gets the element tree before it is signed."""

    signed: tuple[str, ...] = ("assertion",)
    issuer: str = IDP
    assertion_issuer: str = IDP
    destination: str = f"{OWN}/login/saml/acs"
    recipient: str = f"{OWN}/login/saml/acs"
    audience: str | None = OWN
    in_response_to: str = ""
    confirmed_for: str = ""
    status: str = "urn:oasis:names:tc:SAML:2.0:status:Success"
    level: str = LOA3
    instant_s: float = 0
    begins_s: float = -5
    ends_s: float = 300
    attributes: dict[str, list[str]] = field(default_factory=lambda: dict(GP))
    assertion_id: str = ""
    name_id: str = "transient-1"
    index: str = "session-1"
    method: SignatureMethod = SignatureMethod.RSA_SHA256
    digest: DigestAlgorithm = DigestAlgorithm.SHA256
    key: rsa.RSAPrivateKey | None = None
    before_signing: Callable[[Any], None] = lambda root: None
    after_signing: Callable[[Any], None] = lambda root: None
    sealed: Callable[[Any], None] = lambda root: None
    """Encrypts the assertion, between its own signing and that of the response."""


class SamlProvider:
    """The provider with its key; `own` and `known` are both sides as Samsyn has agreed on them."""

    def __init__(self, clock: Clock, base: str = OWN) -> None:
        self.clock = clock
        self.key = made_key()
        self.certificate = certificate_of(self.key, "idp")
        own_key = made_key()
        self.own = OurSide(
            entity_id=base,
            acs=f"{base}/login/saml/acs",
            log_out=f"{base}/login/saml/logout",
            key=own_key,
            certificate=certificate_of(own_key, "samsyn"),
        )
        self.known: IdentityProvider = identity_provider(self.metadata())

    def metadata(self) -> bytes:
        der = base64.b64encode(self.certificate.public_bytes(Encoding.DER)).decode()
        redirect = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
        return f"""<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{IDP}">
        <md:IDPSSODescriptor protocolSupportEnumeration="{NS["samlp"]}">
        <md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data>
        <ds:X509Certificate>{der}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>
        <md:SingleLogoutService Binding="{redirect}" Location="{IDP}/slo"/>
        <md:SingleSignOnService Binding="{redirect}" Location="{IDP}/sso"/>
        </md:IDPSSODescriptor></md:EntityDescriptor>""".encode()

    def asked(self, address: str) -> tuple[str, str]:
        """The request id and relay state of an AuthnRequest's address, whose signature is checked."""
        query = parse_qs(urlsplit(address).query)
        signed, _, signature = urlsplit(address).query.partition("&Signature=")
        self.own.certificate.public_key().verify(  # type: ignore[union-attr,call-arg]
            base64.b64decode(query["Signature"][0]), signed.encode(), padding.PKCS1v15(), hashes.SHA256()
        )
        assert signature
        root = etree.fromstring(zlib.decompress(base64.b64decode(query["SAMLRequest"][0]), -15))
        assert root.tag.endswith("}AuthnRequest")
        return root.get("ID"), query["RelayState"][0]

    def response(self, request_id: str, lie: Lie) -> str:
        """A response as the browser's form carries it."""
        return base64.b64encode(etree.tostring(self.tree(request_id, lie))).decode()

    def tree(self, request_id: str, lie: Lie) -> Any:
        now = self.clock.now().astimezone(UTC)

        def at(seconds: float) -> str:
            return (now + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

        answers = lie.in_response_to or request_id
        audience = (
            ""
            if lie.audience is None
            else f"<saml:AudienceRestriction><saml:Audience>{lie.audience}</saml:Audience></saml:AudienceRestriction>"
        )
        attributes = "".join(
            f'<saml:Attribute Name="{PREFIX}{name}">'
            + "".join(f"<saml:AttributeValue>{value}</saml:AttributeValue>" for value in values)
            + "</saml:Attribute>"
            for name, values in lie.attributes.items()
        )
        root = etree.fromstring(
            f"""<samlp:Response xmlns:samlp="{NS["samlp"]}" xmlns:saml="{NS["saml"]}" ID="_r{uuid.uuid4()}"
            Version="2.0" IssueInstant="{at(lie.instant_s)}" Destination="{lie.destination}" InResponseTo="{answers}">
            <saml:Issuer>{lie.issuer}</saml:Issuer>
            <samlp:Status><samlp:StatusCode Value="{lie.status}"/></samlp:Status>
            <saml:Assertion ID="{lie.assertion_id or f"_a{uuid.uuid4()}"}" Version="2.0" IssueInstant="{at(0)}">
            <saml:Issuer>{lie.assertion_issuer}</saml:Issuer>
            <saml:Subject><saml:NameID>{lie.name_id}</saml:NameID>
            <saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData
            Recipient="{lie.recipient}" InResponseTo="{lie.confirmed_for or answers}"
            NotOnOrAfter="{at(lie.ends_s)}"/></saml:SubjectConfirmation></saml:Subject>
            <saml:Conditions NotBefore="{at(lie.begins_s)}" NotOnOrAfter="{at(lie.ends_s)}">{audience}</saml:Conditions>
            <saml:AuthnStatement AuthnInstant="{at(0)}" SessionIndex="{lie.index}"><saml:AuthnContext>
            <saml:AuthnContextClassRef>{lie.level}</saml:AuthnContextClassRef></saml:AuthnContext>
            </saml:AuthnStatement>
            <saml:AttributeStatement>{attributes}</saml:AttributeStatement></saml:Assertion>
            </samlp:Response>"""
        )
        lie.before_signing(root)
        if "assertion" in lie.signed:
            assertion = root.find("saml:Assertion", NS)
            root.replace(assertion, self.signed(assertion, lie))
        lie.sealed(root)
        if "response" in lie.signed:
            root = self.signed(root, lie)
        lie.after_signing(root)
        return root

    def signed(self, element: Any, lie: Lie) -> Any:
        signer = _Signer(
            signature_algorithm=lie.method,
            digest_algorithm=lie.digest,
            c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
        )
        key = lie.key or self.key
        alone = etree.fromstring(etree.tostring(element))
        return signer.sign(
            alone,
            key=key,
            cert=[certificate_of(key, "idp")],
            reference_uri=element.get("ID"),
            id_attribute="ID",
        )

    def logout(self, **changes: str) -> dict[str, str]:
        """The query of a signed LogoutRequest, as the identity provider sends it through the browser."""
        told = {
            "issuer": IDP,
            "destination": self.own.log_out,
            "name_id": "transient-1",
            "index": "session-1",
        }
        told |= changes
        instant = self.clock.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        message = f"""<samlp:LogoutRequest xmlns:samlp="{NS["samlp"]}" xmlns:saml="{NS["saml"]}" ID="_l1"
        Version="2.0" IssueInstant="{instant}" Destination="{told["destination"]}">
        <saml:Issuer>{told["issuer"]}</saml:Issuer><saml:NameID>{told["name_id"]}</saml:NameID>
        <samlp:SessionIndex>{told["index"]}</samlp:SessionIndex></samlp:LogoutRequest>""".encode()
        deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
        query = {"SAMLRequest": base64.b64encode(deflater.compress(message) + deflater.flush()).decode()}
        query |= {"RelayState": "back", "SigAlg": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"}
        signature = self.key.sign(urlencode(query).encode(), padding.PKCS1v15(), hashes.SHA256())
        return query | {"Signature": base64.b64encode(signature).decode()}


class _Signer(XMLSigner):
    """Signs with SHA-1 too, when a test wants that."""

    def check_deprecated_methods(self) -> None:
        """Everything is allowed here."""


def wrapped_in_extensions(root: Any) -> None:
    """The signed assertion goes aside under Extensions; a forged one with the same form takes its place."""
    true = root.find("saml:Assertion", NS)
    forged = _forged(true)
    root.replace(true, forged)
    extensions = etree.SubElement(root, f"{{{NS['samlp']}}}Extensions")
    extensions.append(true)


def wrapped_in_signature(root: Any) -> None:
    """A forged assertion around the signature, which holds the true one in an Object."""
    true = root.find("saml:Assertion", NS)
    signature = true.find(SIGNATURE)
    forged = _forged(true)
    root.replace(true, forged)
    forged.insert(1, signature)
    holder = etree.SubElement(signature, "{http://www.w3.org/2000/09/xmldsig#}Object")
    true_copy = copy.deepcopy(true)
    for each in true_copy.findall(SIGNATURE):
        true_copy.remove(each)
    holder.append(true_copy)


def forged_before(root: Any) -> None:
    """A forged assertion before the true one."""
    true = root.find("saml:Assertion", NS)
    true.addprevious(_forged(true))


def forged_after(root: Any) -> None:
    """A forged assertion after the true one."""
    true = root.find("saml:Assertion", NS)
    true.addnext(_forged(true))


def forged_around(root: Any) -> None:
    """A forged assertion that holds the true one as its child."""
    true = root.find("saml:Assertion", NS)
    forged = _forged(true)
    root.replace(true, forged)
    forged.append(true)


def same_id_forged(root: Any) -> None:
    """A forged assertion under the true one's ID, the true one aside."""
    true = root.find("saml:Assertion", NS)
    forged = _forged(true)
    forged.set("ID", true.get("ID"))
    root.replace(true, forged)
    etree.SubElement(root, f"{{{NS['samlp']}}}Extensions").append(true)


def _forged(true: Any) -> Any:
    forged = copy.deepcopy(true)
    for each in forged.findall(SIGNATURE):
        forged.remove(each)
    forged.set("ID", "_forged")
    for value in forged.iter(f"{{{NS['saml']}}}AttributeValue"):
        if value.text == "SE9990000004-9001":
            value.text = "SE9990000004-6666"
    return forged
