"""TLS for DICOM and MLLP, mutual, as the BCP 195 profile wants it (PS3.15 B.9): what both directions use."""

import ssl
from pathlib import Path
from typing import Any, Final

from samsyn.errors import ConfigurationError
from samsyn.settings import TlsListenerSettings

CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM"
"""For TLS 1.2: forward secrecy and authenticated encryption only (BCP 195 4.2); TLS 1.3 has no others."""
_REASONS: Final = {"KEY_VALUES_MISMATCH": "the key does not belong to the certificate"}
"""What OpenSSL says, in words that tell what to mend."""
_SERIAL_NUMBER: Final = "serialNumber"


def listener_context(settings: TlsListenerSettings, section: str = "dicom_tls") -> ssl.SSLContext | None:
    """The context of our TLS listener, which demands a certificate; None when it is off. `section`: for messages.

    ConfigurationError: a file can not be read, or is no certificate or key.
    """
    return _context(settings, ssl.PROTOCOL_TLS_SERVER, section)


def caller_context(settings: TlsListenerSettings, section: str = "dicom_tls") -> ssl.SSLContext | None:
    """The context with which we call peers by TLS, showing our certificate and checking theirs and its name."""
    return _context(settings, ssl.PROTOCOL_TLS_CLIENT, section)


def _context(settings: TlsListenerSettings, side: Any, section: str = "dicom_tls") -> ssl.SSLContext | None:
    certificate, key, authorities = settings.certificate, settings.key, settings.authorities
    if certificate is None or key is None or authorities is None:
        return None
    _check_key(key, section)
    context = ssl.SSLContext(side)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.verify_mode = ssl.CERT_REQUIRED
    load_files(context, settings, section)
    return context


def load_files(context: ssl.SSLContext, settings: TlsListenerSettings, section: str) -> None:
    """Takes the certificate, its key and what others are checked by into the context of a listener that is on.

    ConfigurationError: one of the files can not be read, is not PEM, or does not belong to the others.
    """
    certificate, key, authorities = settings.certificate, settings.key, settings.authorities
    if certificate is None or key is None or authorities is None:
        raise ConfigurationError(f"[{section}] has no certificate")
    for name in ("certificate", "key", "authorities", "revoked"):
        file = getattr(settings, name)
        try:
            if file is not None:
                file.open("rb").close()
        except OSError as problem:
            raise ConfigurationError(f"[{section}] {name} {file}: {problem.strerror}") from problem
    loading = f"certificate {certificate} and key {key}"
    try:
        context.load_cert_chain(certificate, key)
        loading = f"authorities {authorities}"
        context.load_verify_locations(authorities)
        if settings.revoked is not None:
            loading = f"revoked {settings.revoked}"
            context.load_verify_locations(settings.revoked)
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    except (OSError, ssl.SSLError) as problem:
        told = getattr(problem, "reason", None) or ""
        reason = _REASONS.get(told, f"not usable as PEM ({told or problem})")
        raise ConfigurationError(f"[{section}] {loading}: {reason}") from problem


def _check_key(key: Path, section: str) -> None:
    try:
        mode = key.stat().st_mode
    except OSError as problem:
        raise ConfigurationError(f"[{section}] key {key}: {problem.strerror}") from problem
    if mode & 0o007:
        raise ConfigurationError(f"[{section}] key {key} can be read by everybody: run chmod 600 on it")


def certificate_hsa_id(certificate: dict[str, Any] | None) -> str:
    """The HSA-id in a verified certificate: serialNumber of its subject, as SITHS writes it; "" = none.

    `certificate`: what ssl's getpeercert gives.
    """
    for relative_name in (certificate or {}).get("subject", ()):
        for name, value in relative_name:
            if name == _SERIAL_NUMBER:
                return str(value).strip().upper()
    return ""
