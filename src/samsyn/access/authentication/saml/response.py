"""The response to a log-in, believed only as far as it is signed (SAML core 3.2.2, 2.3 to 2.7; profiles 4.1.4).

What is read is the element that the signature's own check gives back, never the document around it: wrapping a signed
assertion in another message moves nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.exceptions import SignXMLException
from signxml.verifier import SignatureConfiguration, XMLVerifier

from samsyn import limits
from samsyn.access.authentication.saml import xml
from samsyn.access.authentication.saml.encrypted import opened
from samsyn.access.authentication.saml.messages import SUCCESS, check_envelope, moment
from samsyn.access.authentication.saml.settled import IdentityProvider, OurSide
from samsyn.access.authentication.saml.xml import NAMESPACES, SAML, SAMLP, Element
from samsyn.errors import NotAuthenticated

_BEARER: Final = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
_METHODS: Final = frozenset(
    {
        SignatureMethod.RSA_SHA256,
        SignatureMethod.RSA_SHA384,
        SignatureMethod.RSA_SHA512,
        SignatureMethod.ECDSA_SHA256,
        SignatureMethod.ECDSA_SHA384,
        SignatureMethod.ECDSA_SHA512,
    }
)
_DIGESTS: Final = frozenset({DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512})


@dataclass(frozen=True, slots=True)
class Asserted:
    """What the identity provider vouches for."""

    assertion_id: str
    name_id: str
    session_index: str
    attributes: Mapping[str, Any]
    """Values by name; a text where there is one value, a list where there are several."""
    until: datetime
    """When the assertion may no longer be used; its id is remembered until then."""


def asserted(
    own: OurSide, provider: IdentityProvider, data: bytes, in_response_to: str, now: datetime
) -> Asserted:
    """What a response vouches for. NotAuthenticated with the rule that it broke; NotSupported: encrypted in a way that
    is not opened."""
    root = xml.read(data)
    if root.tag != f"{{{SAMLP}}}Response":
        raise NotAuthenticated("no SAML response")
    if root.findall(".//saml:EncryptedAssertion", NAMESPACES):
        assertion = _signed_encrypted(root, own, provider, now)
    else:
        assertion = _signed_assertion(root, provider, now)
    check_envelope(root, provider, own.acs, now)
    if root.get("InResponseTo") != in_response_to:
        raise NotAuthenticated("the SAML response answers another request")
    if xml.one(root, "samlp:Status/samlp:StatusCode").get("Value") != SUCCESS:
        raise NotAuthenticated("the identity provider refused the log-in")
    return _believed(assertion, own, provider, in_response_to, now)


def _signed_assertion(root: Element, provider: IdentityProvider, now: datetime) -> Element:
    """The one assertion, as the signature over it or over the whole response gives it back."""
    everywhere = root.findall(".//saml:Assertion", NAMESPACES)
    if len(everywhere) != 1 or everywhere[0].getparent() is not root:
        raise NotAuthenticated("the SAML response should have one assertion")
    assertion = everywhere[0]
    on_response, on_assertion = (each.findall("ds:Signature", NAMESPACES) for each in (root, assertion))
    signatures = root.findall(".//ds:Signature", NAMESPACES)
    if not signatures or len(signatures) != len(on_response) + len(on_assertion):
        raise NotAuthenticated("the SAML response is not signed where it should")
    if len(on_response) > 1 or len(on_assertion) > 1:
        raise NotAuthenticated("the SAML response is signed twice in one place")
    believed = None
    if on_response:
        response = _verified(root, provider, now)
        believed = xml.one(response, "saml:Assertion")
    if on_assertion:
        alone = etree.fromstring(etree.tostring(assertion), xml.parser())
        believed = _verified(alone, provider, now)
    if believed is None or believed.get("ID") != assertion.get("ID"):
        raise NotAuthenticated("the signature covers something else")
    return believed


def _signed_encrypted(root: Element, own: OurSide, provider: IdentityProvider, now: datetime) -> Element:
    """The one assertion out of its envelope, as the signature inside, or the one over the whole response, covers it.

    Where the response is signed, what is opened is what that signature gives back.
    """
    sealed = root.findall(".//saml:EncryptedAssertion", NAMESPACES)
    if len(sealed) != 1 or sealed[0].getparent() is not root or root.findall(".//saml:Assertion", NAMESPACES):
        raise NotAuthenticated("the SAML response should have one assertion")
    on_response = root.findall("ds:Signature", NAMESPACES)
    if len(on_response) > 1 or len(root.findall(".//ds:Signature", NAMESPACES)) != len(on_response):
        raise NotAuthenticated("the SAML response is not signed where it should")
    if on_response:
        sealed = [xml.one(_verified(root, provider, now), "saml:EncryptedAssertion")]
    assertion = opened(sealed[0], own)
    on_assertion = assertion.findall("ds:Signature", NAMESPACES)
    if len(on_assertion) > 1 or len(assertion.findall(".//ds:Signature", NAMESPACES)) != len(on_assertion):
        raise NotAuthenticated("the assertion is not signed where it should")
    if on_assertion:
        return _verified(assertion, provider, now)
    if not on_response:
        raise NotAuthenticated("nobody has signed the encrypted assertion")
    return assertion


def _verified(element: Element, provider: IdentityProvider, now: datetime) -> Element:
    """The element as its enveloped signature covers it, by one of the provider's own certificates."""
    wanted = SignatureConfiguration(
        location="./",
        expect_references=1,
        signature_methods=_METHODS,
        digest_algorithms=_DIGESTS,
        verification_time=now,
    )
    for certificate in provider.certificates:
        try:
            # The settings expect one reference, for which the library gives one result and no list.
            covered = (
                XMLVerifier()
                .verify(
                    element,
                    x509_cert=certificate,
                    id_attribute="ID",
                    expect_config=wanted,
                    parser=xml.parser(),
                )
                .signed_xml  # type: ignore[union-attr]
            )
        except (SignXMLException, etree.LxmlError, ValueError, TypeError, KeyError, IndexError):
            continue
        if covered is not None and (covered.tag, covered.get("ID")) == (element.tag, element.get("ID")):
            return covered
    raise NotAuthenticated("the signature of the SAML response")


def _believed(
    assertion: Element, own: OurSide, provider: IdentityProvider, in_response_to: str, now: datetime
) -> Asserted:
    if assertion.get("Version") != "2.0":
        raise NotAuthenticated("another version of SAML")
    if xml.text_of(xml.one(assertion, "saml:Issuer")) != provider.entity_id:
        raise NotAuthenticated("the assertion comes from another issuer")
    until = _confirmed(assertion, own, in_response_to, now)
    _check_conditions(xml.one(assertion, "saml:Conditions"), own, now)
    statement = xml.one(assertion, "saml:AuthnStatement")
    level = xml.text_of(xml.one(statement, "saml:AuthnContext/saml:AuthnContextClassRef"))
    if level not in own.assurance:
        raise NotAuthenticated("the log-in was not strong enough")
    ends = statement.get("SessionNotOnOrAfter")
    if ends is not None and moment(ends) <= now:
        raise NotAuthenticated("the identity provider's session is over")
    return Asserted(
        assertion.get("ID", ""),
        xml.text_of(xml.one(assertion, "saml:Subject/saml:NameID")),
        statement.get("SessionIndex", ""),
        _attributes(assertion),
        until,
    )


def _confirmed(assertion: Element, own: OurSide, in_response_to: str, now: datetime) -> datetime:
    """The end of a bearer confirmation that is for us and for this request (SAML profiles 4.1.4.2-3)."""
    for confirmation in assertion.findall("saml:Subject/saml:SubjectConfirmation", NAMESPACES):
        data = confirmation.find("saml:SubjectConfirmationData", NAMESPACES)
        if confirmation.get("Method") != _BEARER or data is None or data.get("NotBefore") is not None:
            continue
        until = moment(data.get("NotOnOrAfter", ""))
        if (
            data.get("Recipient") == own.acs
            and data.get("InResponseTo") == in_response_to
            and now < until + timedelta(seconds=limits.CLOCK_LEEWAY_S)
            and until <= now + timedelta(seconds=limits.SAML_MESSAGE_S)
        ):
            return until
    raise NotAuthenticated("the assertion is not confirmed for us, for this log-in, for now")


def _check_conditions(conditions: Element, own: OurSide, now: datetime) -> None:
    leeway = timedelta(seconds=limits.CLOCK_LEEWAY_S)
    begins, ends = conditions.get("NotBefore"), conditions.get("NotOnOrAfter")
    if begins is not None and now + leeway < moment(begins):
        raise NotAuthenticated("the assertion is not valid yet")
    if ends is None or moment(ends) + leeway <= now:
        raise NotAuthenticated("the assertion is too old")
    restrictions = conditions.findall("saml:AudienceRestriction", NAMESPACES)
    if not restrictions:
        raise NotAuthenticated("the assertion names no audience")
    for restriction in restrictions:
        audiences = {xml.text_of(each) for each in restriction.findall("saml:Audience", NAMESPACES)}
        if own.entity_id not in audiences:
            raise NotAuthenticated("the assertion was made for somebody else")
    known = {f"{{{SAML}}}{name}" for name in ("AudienceRestriction", "OneTimeUse", "ProxyRestriction")}
    if any(each.tag not in known for each in conditions):
        raise NotAuthenticated("the assertion has a condition that is not understood")


def _attributes(assertion: Element) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for attribute in assertion.findall("saml:AttributeStatement/saml:Attribute", NAMESPACES):
        name = attribute.get("Name", "")
        if not name or name in found:
            raise NotAuthenticated("an attribute of the assertion stands twice")
        values = [xml.text_of(each) for each in attribute.findall("saml:AttributeValue", NAMESPACES)]
        found[name] = values[0] if len(values) == 1 else values
    return found
