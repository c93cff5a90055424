"""The words of the demo identity provider's pages, Swedish and English."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

TEXTS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "sv": MappingProxyType(
            {
                "language": "sv",
                "mark": "DEMO – ingen riktig inloggning, bara påhittade personer",
                "skip": "Hoppa till innehållet",
                "title": "Vem vill du logga in som?",
                "lead": "Demons identitetstjänst ersätter SITHS. Välj en påhittad person.",
                "staff": "Personal",
                "patients": "Patienter",
                "assignment": "Välj medarbetaruppdrag",
                "assignment_lead": "Uppdraget avgör vad du får se. Du kan byta det senare.",
                "unit": "Vårdenhet",
                "provider": "Vårdgivare",
                "purpose": "Ändamål",
                "ended": "Du är utloggad",
                "ended_lead": "Sessionen hos demons identitetstjänst är avslutad.",
                "refused": "Inloggningen kunde inte påbörjas",
                "refused_lead": "Börja om från Samsyns inloggningssida.",
            }
        ),
        "en": MappingProxyType(
            {
                "language": "en",
                "mark": "DEMO – no real log-in, invented people only",
                "skip": "Skip to the content",
                "title": "Who do you want to log in as?",
                "lead": "The demo's identity provider stands in for SITHS. Choose an invented person.",
                "staff": "Staff",
                "patients": "Patients",
                "assignment": "Choose an assignment",
                "assignment_lead": "The assignment decides what you may see. You can change it later.",
                "unit": "Care unit",
                "provider": "Care provider",
                "purpose": "Purpose",
                "ended": "You are logged out",
                "ended_lead": "The session with the demo's identity provider has ended.",
                "refused": "The log-in could not begin",
                "refused_lead": "Start again from Samsyn's log-in page.",
            }
        ),
    }
)
"""By language."""


def language_of(wanted: str, accepted: str) -> str:
    """Swedish or English: what the client wants (`ui_locales`), else what the browser prefers, else Swedish."""
    for offer in (*wanted.split(), *(part.split(";")[0] for part in accepted.split(","))):
        short = offer.strip().lower()[:2]
        if short in TEXTS:
            return short
    return "sv"
