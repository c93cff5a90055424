"""Everything that Samsyn refuses, as about a dozen types.

Each type has a stable `code`, a public sentence that is free of patient data, and tells whether sending
the same thing again may help. Doors own one total table from these types to their protocol's status; rooms
never know a protocol. `detail` is for the operator's log and the sender's technician: it may name tags,
lengths, UIDs and AE titles, never a patient's name or number.
"""

from typing import ClassVar


class SamsynError(Exception):
    """Base of every refusal. Raising it leaves nothing half-done: the caller may drop the request."""

    code: ClassVar[str] = "internal"
    sentence: ClassVar[str] = "Something went wrong inside Samsyn."
    may_retry: ClassVar[bool] = False

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.sentence)
        self.detail = detail


class BadInput(SamsynError):
    """The bytes do not follow their own standard (truncated, impossible lengths, missing UIDs)."""

    code = "bad-input"
    sentence = "The data could not be understood."


class LimitExceeded(SamsynError):
    """A named limit of limits.py was passed; `detail` names it."""

    code = "limit-exceeded"
    sentence = "The request is larger or deeper than this service accepts."


class NotSupported(SamsynError):
    """A legal request for something that Samsyn does not do."""

    code = "not-supported"
    sentence = "This service does not support the request."


class Mismatch(SamsynError):
    """The envelope and the content say different things (Affected SOP Instance UID, study in the URL)."""

    code = "mismatch"
    sentence = "The request and its content name different objects."


class DifferentBytes(SamsynError):
    """Other bytes under a known SOP Instance UID: the first stay served, these are held for a steward."""

    code = "different-bytes"
    sentence = "Another object is already stored under this identifier; this one is held for review."


class IdentityConflict(SamsynError):
    """The object names another patient than its study does: held for a steward, never filed by guess."""

    code = "identity-conflict"
    sentence = "The object contradicts what is known about its patient; it is held for review."


class UnknownIssuer(SamsynError):
    """A patient identifier whose issuer can not be told: held for a steward."""

    code = "unknown-issuer"
    sentence = "The patient identifier could not be resolved; the object is held for review."


class NotFound(SamsynError):
    """Absent, or hidden from this reader: the two are told alike on purpose."""

    code = "not-found"
    sentence = "There is nothing here."


class NotAuthenticated(SamsynError):
    """No valid session, token, certificate or known AE title."""

    code = "not-authenticated"
    sentence = "Log in first."


class NotAllowed(SamsynError):
    """Known subject without the right to this kind of act (never used to tell that hidden data exist)."""

    code = "not-allowed"
    sentence = "This is not allowed for you."


class Conflict(SamsynError):
    """The act contradicts what is already recorded (same message id with other content, a merge cycle)."""

    code = "conflict"
    sentence = "The request contradicts what is already recorded."


class OutOfResources(SamsynError):
    """Disk below its reserve, or a queue is full. Nothing was taken; later it may work."""

    code = "out-of-resources"
    sentence = "The service can not take more just now."
    may_retry = True


class StoreFailed(SamsynError):
    """The disk refused a write or a sync: nothing was acknowledged, the store has stopped taking writes."""

    code = "store-failed"
    sentence = "The service could not store the data safely."
    may_retry = True


class DamagedData(SamsynError):
    """Stored bytes do not match their hash: never served as good."""

    code = "damaged-data"
    sentence = "The stored data are damaged and are not shown."


class ConfigurationError(SamsynError):
    """The settings are unknown, contradictory or unsafe: the service does not start."""

    code = "configuration"
    sentence = "The configuration can not be used."
