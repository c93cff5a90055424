"""From a case to the texts that are sent: referral, preliminary, final and later versions of a report."""

from samsyn_demo.texts.cases import Case

_REPLACED = (
    (" remitterande ", " "),
    ("Remittent Dr Lindgren är", "Remittenten är"),
)


def preliminary(case: Case) -> str:
    """What the doctor on call writes before anybody has signed."""
    first = case.findings.split("\n")
    kept = "\n".join(first[: max(1, len(first) - 1)])
    return f"PRELIMINÄRT SVAR\n{kept}\n\nPreliminär bedömning:\n{case.conclusion}"


def final(case: Case, earlier: str, side: str = "") -> str:
    """The signed report. `earlier` names the examination that it is compared with ("" = none there)."""
    compared = f"Jämförelse har gjorts med {earlier}.\n" if earlier else ""
    if not earlier and case.weight == 1:
        compared = "Inga tidigare undersökningar för jämförelse.\n"
    sided = f"{side.capitalize()} sida.\n" if side else ""
    return f"{compared}{sided}{case.findings}\n\nBedömning:\n{case.conclusion}"


def addendum(case: Case) -> str:
    """What is added later (tilläggssvar); only the added text."""
    text = case.follow_up or "Bilderna är dubbelgranskade. Ingen ändrad bedömning."
    for old, new in _REPLACED:
        text = text.replace(old, new)
    return text


def corrected(case: Case, earlier: str, side: str = "") -> str:
    """A whole text that replaces one in which the sides were mixed up."""
    return (
        f"RÄTTAT SVAR. Ersätter tidigare svar där sidan angivits felaktigt.\n\n{final(case, earlier, side)}"
    )
