"""One line of the audit journal before it is chained."""

from dataclasses import field

from samsyn.model.value import value


@value
class AuditEntry:
    """Who did what to whose information, on what ground (HSLF-FS 2016:40 4 kap. 9 §).

    `event` is one of access.events.Event, `activity` one of access.events.Activity. `patient_key` 0 = no single
    patient. `details` holds short texts only (no report text, no names): what was opened, the exact wording that
    the user saw, the rule that decided.
    """

    event: str
    activity: str
    actor: str
    actor_provider: str
    actor_unit: str
    assignment: str
    purpose: str
    session_id: str
    patient_key: int
    owner_provider: str
    owner_unit: str
    allowed: bool
    details: dict[str, str] = field(default_factory=dict)
