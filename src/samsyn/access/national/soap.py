"""One SOAP 1.1 call over mutual TLS, bounded and suspicious (RIV-TA Basic Profile 2.1).

A dead, slow or confused service is one thing to the caller: OutOfResources, with a sentence free of personal data.
"""

import asyncio
import ssl
from pathlib import Path
from typing import Any, Final, TypeAlias

import httpx
from lxml import etree

from samsyn import limits
from samsyn.errors import ConfigurationError, OutOfResources

Element: TypeAlias = Any
"""An lxml element; the library has no types of its own."""

_SOAP: Final = "http://schemas.xmlsoap.org/soap/envelope/"
_REGISTRY: Final = "urn:riv:itintegration:registry:1"


class SoapFault(OutOfResources):
    """The service answers with a fault: it has understood that it was asked, and will not."""


class SoapClient:
    """Calls one national service.

    `address` may have a place for the operation's name, {operation}: service platforms have an address for each.
    """

    def __init__(self, http: httpx.AsyncClient, address: str, logical_address: str) -> None:
        self._http = http
        self._address = address
        self._logical_address = logical_address

    async def close(self) -> None:
        """Ends the connections."""
        await self._http.aclose()

    async def call(
        self, action: str, body: Element, *, logical_address: str = "", timeout_s: float = 0.0
    ) -> Element:
        """The one element in the answer's body. OutOfResources: no answer, a fault, or nonsense.

        `logical_address`: whose register is meant, where it is not the settings' one. `timeout_s`: for the whole
        call; 0 = limits.NATIONAL_TIMEOUT_S for each step of it.
        """
        envelope = etree.Element(f"{{{_SOAP}}}Envelope", nsmap={"soapenv": _SOAP})
        header = etree.SubElement(envelope, f"{{{_SOAP}}}Header")
        etree.SubElement(header, f"{{{_REGISTRY}}}LogicalAddress").text = (
            logical_address or self._logical_address
        )
        etree.SubElement(envelope, f"{{{_SOAP}}}Body").append(body)
        data = etree.tostring(envelope, xml_declaration=True, encoding="UTF-8")
        try:
            async with asyncio.timeout(timeout_s or None):
                return _body(await self._post(action, data))
        except TimeoutError:
            raise OutOfResources("the national service does not answer in time") from None

    async def _post(self, action: str, data: bytes) -> bytes:
        headers = {"content-type": "text/xml; charset=UTF-8", "soapaction": f'"{action}"'}
        answer = bytearray()
        try:
            async with self._http.stream(
                "POST",
                self._address.replace("{operation}", action.rpartition(":")[2]),
                content=data,
                headers=headers,
                timeout=limits.NATIONAL_TIMEOUT_S,
                follow_redirects=False,
            ) as response:
                async for chunk in response.aiter_bytes():
                    answer += chunk
                    if len(answer) > limits.MAX_NATIONAL_ANSWER_BYTES:
                        raise OutOfResources("the national service answers too much")
        except httpx.HTTPError as problem:
            raise OutOfResources(f"the national service: {type(problem).__name__}") from None
        if response.status_code not in (200, 500):
            raise OutOfResources(f"the national service answers {response.status_code}")
        return bytes(answer)


def tls(
    certificate_file: Path | None, key_file: Path | None, ca_file: Path | None, section: str = "national"
) -> ssl.SSLContext:
    """Our function certificate (SITHS) and whom we trust. ConfigurationError: a file that can not be used."""
    try:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        if certificate_file is not None:
            context.load_cert_chain(certificate_file, key_file)
    except (OSError, ssl.SSLError) as problem:
        raise ConfigurationError(f"[{section}] certificate files: {problem}") from problem
    return context


def _body(data: bytes) -> Element:
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise OutOfResources("the national service answers nonsense") from None
    if root.getroottree().docinfo.doctype or root.tag != f"{{{_SOAP}}}Envelope":
        raise OutOfResources("the national service answers nonsense")
    bodies = root.findall(f"{{{_SOAP}}}Body")
    if len(bodies) != 1 or len(bodies[0]) != 1:
        raise OutOfResources("the national service answers nonsense")
    answer = bodies[0][0]
    if answer.tag == f"{{{_SOAP}}}Fault":
        raise SoapFault("the national service answers with a fault")
    return answer
