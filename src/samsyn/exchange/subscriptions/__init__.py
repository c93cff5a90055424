"""FHIR subscriptions of known systems: kept durably, fed by what happens to studies and texts, told by HTTP."""
