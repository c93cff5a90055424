"""From Samsyn's errors to HTTP statuses (PS3.18 8.5, 10.5.3) and to the failure reasons of STOW-RS. Total."""

from types import MappingProxyType

from samsyn import errors
from samsyn.errors import LimitExceeded, SamsynError


class AddressTooLong(LimitExceeded):
    """What is too long is the address, not what comes with it."""


STATUS: MappingProxyType[type[SamsynError], int] = MappingProxyType(
    {
        errors.SamsynError: 500,
        errors.BadInput: 400,
        errors.LimitExceeded: 413,
        errors.NotSupported: 400,
        errors.Mismatch: 409,
        errors.DifferentBytes: 409,
        errors.IdentityConflict: 409,
        errors.UnknownIssuer: 409,
        errors.NotFound: 404,
        errors.NotAuthenticated: 401,
        errors.NotAllowed: 403,
        errors.Conflict: 409,
        errors.OutOfResources: 503,
        errors.StoreFailed: 500,
        errors.DamagedData: 500,
        errors.ConfigurationError: 500,
    }
)
"""HTTP status of a whole request that was refused."""
_STATUS = MappingProxyType({**STATUS, AddressTooLong: 414})

FAILURE_REASON: MappingProxyType[str, int] = MappingProxyType(
    {
        errors.SamsynError.code: 0x0110,
        errors.BadInput.code: 0xC000,
        errors.LimitExceeded.code: 0xA700,
        errors.NotSupported.code: 0x0122,
        errors.Mismatch.code: 0xA900,
        errors.DifferentBytes.code: 0x0111,
        errors.IdentityConflict.code: 0xC001,
        errors.UnknownIssuer.code: 0xC002,
        errors.NotFound.code: 0x0110,
        errors.NotAuthenticated.code: 0x0124,
        errors.NotAllowed.code: 0x0124,
        errors.Conflict.code: 0x0110,
        errors.OutOfResources.code: 0xA700,
        errors.StoreFailed.code: 0x0110,
        errors.DamagedData.code: 0x0110,
        errors.ConfigurationError.code: 0x0110,
    }
)
"""Failure Reason (0008,1197) of one instance by the error's code (PS3.4 table B.2-1, PS3.7 annex C)."""


def status_of(error: SamsynError) -> int:
    """The HTTP status for an error, also for a type derived from one in the table."""
    for kind in type(error).__mro__:
        if kind in _STATUS:
            return _STATUS[kind]
    return 500
