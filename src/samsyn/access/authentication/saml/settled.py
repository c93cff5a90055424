"""What was agreed with the identity provider: its metadata, and ours (SAML metadata 2.4)."""

import base64
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from samsyn.access.authentication.claims import ClaimNames
from samsyn.access.authentication.saml import xml
from samsyn.access.authentication.saml.xml import METADATA, NAMESPACES, SAMLP, Element
from samsyn.errors import ConfigurationError, NotAuthenticated

REDIRECT: Final = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
POST: Final = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
OPENED: Final = (
    "http://www.w3.org/2009/xmlenc11#aes256-gcm",
    "http://www.w3.org/2009/xmlenc11#aes128-gcm",
    "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p",
    "http://www.w3.org/2009/xmlenc11#rsa-oaep",
)
"""How an assertion may be encrypted for us, as our metadata say it (SAML metadata 2.4.1.1)."""
_PREFIX: Final = "http://sambi.se/attributes/1/"
NATIONAL_NAMES: Final = ClaimNames(
    employee=f"{_PREFIX}employeeHsaId",
    given_name=f"{_PREFIX}givenName",
    family_name=f"{_PREFIX}surname",
    commission=f"{_PREFIX}commissionHsaId",
    commission_name=f"{_PREFIX}commissionName",
    purpose=f"{_PREFIX}commissionPurpose",
    rights=f"{_PREFIX}commissionRight",
    unit=f"{_PREFIX}healthCareUnitHsaId",
    unit_name=f"{_PREFIX}healthCareUnitName",
    provider=f"{_PREFIX}healthCareProviderHsaId",
    provider_name=f"{_PREFIX}healthCareProviderName",
    person=f"{_PREFIX}personalIdentityNumber",
    roles=f"{_PREFIX}systemRole",
    protected=f"{_PREFIX}protectedPerson",
)
"""What the national identity provider calls its attributes in SAML."""


@dataclass(frozen=True, slots=True)
class IdentityProvider:
    """The other side, from its metadata; nothing in a message can name another key or address."""

    entity_id: str
    sign_on: str
    """Address for AuthnRequests by redirect."""
    log_out: str
    """Address for log-out messages by redirect; "" when it has none."""
    certificates: tuple[x509.Certificate, ...]


@dataclass(frozen=True, slots=True)
class OurSide:
    """How the identity provider knows us, and what we demand of a log-in."""

    entity_id: str
    acs: str
    """Assertion consumer service: where the browser brings the response."""
    log_out: str
    """Our single log-out service."""
    key: rsa.RSAPrivateKey = field(repr=False)
    certificate: x509.Certificate
    assurance: frozenset[str] = frozenset({"http://id.sambi.se/loa/loa3"})
    """Authentication contexts that are strong enough: LoA3 for everybody."""
    claims: ClaimNames = NATIONAL_NAMES
    assignments_elsewhere: bool = False
    """Whether assignments come from the staff directory, so that attributes need not have one."""


def identity_provider(metadata: bytes) -> IdentityProvider:
    """The identity provider that a metadata file describes. ConfigurationError: something that is needed lacks.

    The file is what an operator has fetched and checked; a signature on it is not looked at here.
    """
    try:
        root = xml.read(metadata)
    except NotAuthenticated as problem:
        raise ConfigurationError(f"the identity provider's metadata: {problem.detail}") from None
    described = root if root.tag == f"{{{METADATA}}}EntityDescriptor" else None
    role = described.find("md:IDPSSODescriptor", NAMESPACES) if described is not None else None
    if described is None or role is None:
        raise ConfigurationError("the metadata describe no single identity provider")
    certificates = []
    for key in role.findall("md:KeyDescriptor", NAMESPACES):
        if key.get("use", "signing") != "signing":
            continue
        for text in key.findall("ds:KeyInfo/ds:X509Data/ds:X509Certificate", NAMESPACES):
            try:
                der = base64.b64decode("".join((text.text or "").split()), validate=True)
                certificates.append(x509.load_der_x509_certificate(der))
            except ValueError:
                raise ConfigurationError("a certificate in the metadata can not be read") from None
    entity_id, sign_on = described.get("entityID", ""), _address(role, "SingleSignOnService")
    if not entity_id or not sign_on or not certificates:
        raise ConfigurationError("the metadata lack entity id, a redirect address or a signing certificate")
    return IdentityProvider(entity_id, sign_on, _address(role, "SingleLogoutService"), tuple(certificates))


def our_metadata(own: OurSide) -> bytes:
    """The document that the identity provider is given about us."""
    root = etree.Element(
        f"{{{METADATA}}}EntityDescriptor",
        nsmap={"md": METADATA, "ds": xml.DSIG},
        entityID=own.entity_id,
    )
    role = etree.SubElement(
        root,
        f"{{{METADATA}}}SPSSODescriptor",
        AuthnRequestsSigned="true",
        WantAssertionsSigned="true",
        protocolSupportEnumeration=SAMLP,
    )
    der = base64.b64encode(own.certificate.public_bytes(Encoding.DER)).decode("ascii")
    for use in ("signing", "encryption"):
        key = etree.SubElement(role, f"{{{METADATA}}}KeyDescriptor", use=use)
        data = etree.SubElement(etree.SubElement(key, f"{{{xml.DSIG}}}KeyInfo"), f"{{{xml.DSIG}}}X509Data")
        etree.SubElement(data, f"{{{xml.DSIG}}}X509Certificate").text = der
        for algorithm in OPENED if use == "encryption" else ():
            etree.SubElement(key, f"{{{METADATA}}}EncryptionMethod", Algorithm=algorithm)
    etree.SubElement(role, f"{{{METADATA}}}SingleLogoutService", Binding=REDIRECT, Location=own.log_out)
    name_id = etree.SubElement(role, f"{{{METADATA}}}NameIDFormat")
    name_id.text = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
    etree.SubElement(
        role,
        f"{{{METADATA}}}AssertionConsumerService",
        Binding=POST,
        Location=own.acs,
        index="0",
        isDefault="true",
    )
    told: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)
    return told


def _address(role: Element, service: str) -> str:
    for each in role.findall(f"md:{service}", NAMESPACES):
        if each.get("Binding") == REDIRECT:
            return str(each.get("Location", ""))
    return ""
