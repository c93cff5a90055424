"""Who sends: a known system of a connected provider."""

from dataclasses import dataclass

from samsyn.model.value import value


@dataclass(frozen=True, slots=True)
class Sender:
    """A system that may put things in, with what it takes to read its identifiers right.

    `default_issuer`: issuer for patient ids that are no Swedish national form ("" = none: such ids are held).
    `accession_issuer`: name space of its accession numbers.
    """

    name: str
    """AE title, token name or HL7 application; for the audit journal."""
    provider: str
    unit: str
    default_issuer: str
    accession_issuer: str
    private_classes: bool = False
    """Whether private SOP classes are taken."""


@value
class Receipt:
    """Proof that something is durable. Only `store.writer` makes one, after the sync.

    `outcome` tells what became of it; a door may say success only for "stored" and "already-stored".
    """

    sequence: int
    """Number of the journal record; grows by one for each."""
    outcome: str
    """"stored", "already-stored" or "held"."""
    reason: str = ""
    """Code of the error for "held" (errors.py)."""
