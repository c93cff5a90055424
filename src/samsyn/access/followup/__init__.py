"""Following up who has read what: log review by the provider, log extract for the patient."""
