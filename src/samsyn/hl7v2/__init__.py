"""HL7 version 2: reading, interpreting by a source's profile, acknowledging. Pure and bounded, no I/O."""
