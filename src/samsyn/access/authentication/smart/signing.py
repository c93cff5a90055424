"""ID tokens (OpenID Connect Core 2, SMART App Launch 2.2 "Scopes for requesting identity data"): who let the app in."""

from pathlib import Path
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, RSAKey

from samsyn import limits
from samsyn.access.authentication.smart.scopes import FHIR_USER
from samsyn.access.authentication.smart.words import Granted
from samsyn.clock import Clock
from samsyn.errors import ConfigurationError

ALGORITHM: Final = "RS256"
"""What every client of OpenID Connect can verify."""
_BITS: Final = 2_048


class IdTokens:
    """Signs them, and tells the key by which they are verified."""

    def __init__(self, clock: Clock, issuer: str, base: str, key: RSAKey) -> None:
        """`base`: of FHIR, which the person's resource is named under."""
        self._clock = clock
        self.issuer = issuer
        self._base = base
        self._key = key

    def keys(self) -> dict[str, Any]:
        """The public key as JWKS (RFC 7517)."""
        return dict(KeySet([self._key]).as_dict(private=False))

    def token(self, grant: Granted, nonce: str) -> str:
        """The signed statement. No name stands in it: the app reads that as FHIR, by the rules for names."""
        now = int(self._clock.now().timestamp())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": grant.user.rpartition("/")[2],
            "aud": grant.client_id,
            "iat": now,
            "exp": now + limits.SMART_TOKEN_S,
        }
        if FHIR_USER in grant.words:
            claims["fhirUser"] = f"{self._base}/{grant.user}"
        if nonce:
            claims["nonce"] = nonce
        return jwt.encode({"alg": ALGORITHM, "kid": self._key.kid}, claims, self._key, algorithms=[ALGORITHM])


def signing_key(file: Path | None) -> RSAKey:
    """The private key in a PEM file; without one a key that lives as long as the process.

    ConfigurationError: the file can not be read, or holds no private RSA key of at least 2,048 bits.
    """
    if file is None:
        return RSAKey.generate_key(_BITS, {"use": "sig", "alg": ALGORITHM}, auto_kid=True)
    try:
        key = RSAKey.import_key(file.read_bytes(), {"use": "sig", "alg": ALGORITHM})
        if not key.is_private or key.raw_value.key_size < _BITS:
            raise ConfigurationError(f"{file}: a private RSA key of at least {_BITS} bits belongs there")
    except OSError as problem:
        raise ConfigurationError(f"{file}: {problem.strerror}") from problem
    except (JoseError, ValueError, TypeError) as problem:
        raise ConfigurationError(f"{file} holds no RSA key (PEM)") from problem
    key.ensure_kid()
    return key
