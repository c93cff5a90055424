"""The FHIR R4 door: read and search of what imaging is about. Holds no rules."""
