"""Reports in other forms than HL7 v2: CDA, FHIR, and the DICOM objects that carry them."""
