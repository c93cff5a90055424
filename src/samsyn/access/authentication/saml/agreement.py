"""Both sides of a SAML log-in as the settings tell them: files are read once, at start."""

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from samsyn.access.authentication.claims import renamed
from samsyn.access.authentication.saml.settled import (
    NATIONAL_NAMES,
    IdentityProvider,
    OurSide,
    identity_provider,
)
from samsyn.errors import ConfigurationError
from samsyn.settings import LoginSettings


def saml_sides(
    login: LoginSettings, address: str, assignments_elsewhere: bool = False
) -> tuple[OurSide, IdentityProvider]:
    """We and the identity provider. ConfigurationError: a file that can not be read, or a key that is not RSA."""
    try:
        key = load_pem_private_key(_read(login.key_file, "key_file"), password=None)
        certificate = x509.load_pem_x509_certificate(_read(login.certificate_file, "certificate_file"))
    except (ValueError, TypeError) as problem:
        raise ConfigurationError(f"[login] our SAML key or certificate: {problem}") from problem
    if not isinstance(key, rsa.RSAPrivateKey) or key.public_key() != certificate.public_key():
        raise ConfigurationError("[login] key_file is no RSA key, or not the one of certificate_file")
    own = OurSide(
        entity_id=login.entity_id or f"{address}/login/saml/metadata",
        acs=f"{address}/login/saml/acs",
        log_out=f"{address}/login/saml/logout",
        key=key,
        certificate=certificate,
        assurance=frozenset({login.assurance}),
        claims=renamed(NATIONAL_NAMES, login.claims),
        assignments_elsewhere=assignments_elsewhere,
    )
    return own, identity_provider(_read(login.metadata_file, "metadata_file"))


def _read(path: Path | None, name: str) -> bytes:
    try:
        return path.read_bytes() if path else b""
    except OSError as problem:
        raise ConfigurationError(f"[login] {name}: {problem.strerror}") from problem
