"""The names of GetImagingOutcome 1.0: addresses, name spaces, files of its forms."""

from typing import Final

PATH: Final = "/soap/clinicalprocess/healthcond/actoutcome/GetImagingOutcome/1"
"""Where the contract is answered."""
SOAP: Final = "http://schemas.xmlsoap.org/soap/envelope/"
REGISTRY: Final = "urn:riv:itintegration:registry:1"
RESPONDER: Final = "urn:riv:clinicalprocess:healthcond:actoutcome:GetImagingOutcomeResponder:1"
CORE: Final = "urn:riv:clinicalprocess:healthcond:actoutcome:3"
ACTION: Final = f"{RESPONDER}:GetImagingOutcome"
"""SOAPAction of the call."""
WSDL: Final = "GetImagingOutcomeInteraction_1.0_RIVTABP21.wsdl"
RESPONDER_FORM: Final = "GetImagingOutcomeResponder_1.0.xsd"
FORMS: Final = (
    RESPONDER_FORM,
    "clinicalprocess_healthcond_actoutcome_3.1.xsd",
    "itintegration_registry_1.0.xsd",
)
"""The schema files, which may be fetched beside the WSDL."""
