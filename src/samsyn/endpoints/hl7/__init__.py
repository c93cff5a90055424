"""The HL7 v2 door: MLLP over TCP."""
