"""The throw-away instance: invented providers, known senders, a token for everybody, some test persons."""

import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samsyn.settings import Settings
from samsyn.settings.cluster import IndexSettings

TEST_PERSONS = (
    ("191212121212", "Tolvansson^Tolvan", "19121212", "M"),
    ("199001012385", "Testperson^Agda", "19900101", "F"),
    ("196809129908", "Ekström^Åsa", "19680912", "F"),
    ("200002292399", "Skottår^Nils", "20000229", "M"),
    ("191401682396", "Samordning^Åke", "19140108", "M"),
)
"""Number, name, birth date and sex of the persons whom a scratch instance knows from the start."""
BOOKED_PERSONS = 2
"""So many of them, from the first, have a booking at every demo unit: their staff need attest no relation."""

_PEERS_NORD = (
    "BENCH",
    "NORDPACS",
    "NORDCT",
    "STORESCU",
    "FINDSCU",
    "MOVESCU",
    "GETSCU",
    "ECHOSCU",
    "PYNETDICOM",
)


_TOKENS = ("BENCH", "NORDWEB", "NORDSTEWARD", "KLARAWEB", "KLARASTEWARD", "LINDENWEB")
_CONSUMERS = (("OVERSIKT", "care"), ("JOURNALEN", "patients"))
"""National consumers and whom they serve."""
REGION_SYSTEM = "SE9990000000-E001"
"""HSA-id of a source system that all these providers share."""


@dataclass(frozen=True, slots=True)
class Scratch:
    """Settings of a throw-away instance and the secrets that go with them."""

    settings: Settings
    system_tokens: dict[str, str]


def make(folder: Path, index: str = "") -> Scratch:
    """Two providers that send (Nordsjukhuset, Klara Röntgen AB) and a health centre that reads (Linden)."""
    tokens = {name: secrets.token_urlsafe(32) for name in (*_TOKENS, *(name for name, _ in _CONSUMERS))}
    values = {
        "data": {"folder": str(folder)},
        "dicom": {"port": 0},
        "http": {"port": 0},
        "mllp": {"port": 0},
        "provider": [
            {**provider, **_contract(str(provider["hsa_id"]))}
            for provider in (_nord(tokens), _klara(tokens), _linden(tokens))
        ],
        "consumer": [
            {"name": name, "sha256": _digest(name, tokens), "serves": serves} for name, serves in _CONSUMERS
        ],
    }
    settings = Settings.model_validate(values)
    if index:
        # A throw-away instance is one node, whose bytes may lie in its folder.
        database = IndexSettings(
            kind="postgresql", address=index, schema_name=f"scratch_{secrets.token_hex(6)}"
        )
        settings = settings.model_copy(update={"index": database})
    return Scratch(settings, tokens)


def _token(name: str, tokens: dict[str, str]) -> dict[str, Any]:
    return {"name": name, "sha256": _digest(name, tokens), "steward": name.endswith("STEWARD")}


def _digest(name: str, tokens: dict[str, str]) -> str:
    return hashlib.sha256(tokens[name].encode()).hexdigest()


def _contract(provider: str) -> dict[str, Any]:
    """A source system of the provider's own beside the shared one, and reports to patients after two weeks."""
    own = provider.replace("-0001", "-E001")
    return {
        "source_system": [{"hsa_id": REGION_SYSTEM}, {"hsa_id": own}],
        "release": {"when": "signed", "days": 14},
    }


def _nord(tokens: dict[str, str]) -> dict[str, Any]:
    peers: list[dict[str, Any]] = [{"ae_title": title, "private_classes": True} for title in _PEERS_NORD]
    peers.append({"ae_title": "NORDQA", "sees_rejected": True})
    peers.append({"ae_title": "SINK", "host": "127.0.0.1", "port": 11199})
    return {
        "hsa_id": "SE9990000001-0001",
        "name": "Nordsjukhuset",
        "phone": "08-123 100 10",
        "local_issuer": "2.25.9990000001.1",
        "accession_issuer": "2.25.9990000001.2",
        "unit": [
            {"hsa_id": "SE9990000001-1001", "name": "Röntgen Nordsjukhuset"},
            {"hsa_id": "SE9990000001-1002", "name": "Akuten Nordsjukhuset"},
            {"hsa_id": "SE9990000001-1003", "name": "Medicin Nordsjukhuset"},
            {"hsa_id": "SE9990000001-1004", "name": "Kirurgi Nordsjukhuset"},
            {"hsa_id": "SE9990000001-1005", "name": "Klinisk fysiologi Nordsjukhuset"},
        ],
        "dicom_peer": peers,
        "hl7_source": [{"application": "NORDRIS"}],
        "token": [_token(name, tokens) for name in ("BENCH", "NORDWEB", "NORDSTEWARD")],
    }


def _klara(tokens: dict[str, str]) -> dict[str, Any]:
    return {
        "hsa_id": "SE9990000002-0001",
        "name": "Klara Röntgen AB",
        "phone": "08-123 200 20",
        "local_issuer": "2.25.9990000002.1",
        "accession_issuer": "2.25.9990000002.2",
        "unit": [{"hsa_id": "SE9990000002-1001", "name": "Klara Röntgen City"}],
        "dicom_peer": [{"ae_title": "KLARAPACS"}],
        "hl7_source": [{"application": "KLARARIS"}],
        "token": [_token(name, tokens) for name in ("KLARAWEB", "KLARASTEWARD")],
    }


def _linden(tokens: dict[str, str]) -> dict[str, Any]:
    return {
        "hsa_id": "SE9990000004-0001",
        "name": "Vårdcentralen Linden",
        "phone": "08-123 400 40",
        "local_issuer": "2.25.9990000004.1",
        "accession_issuer": "2.25.9990000004.2",
        "images_in": False,
        "unit": [{"hsa_id": "SE9990000004-1001", "name": "Vårdcentralen Linden"}],
        "hl7_source": [{"application": "LINDENJOURNAL"}],
        "token": [_token("LINDENWEB", tokens)],
    }
