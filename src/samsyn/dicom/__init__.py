"""Pure, bounded functions on the DICOM formats: reading, JSON, frames, files, identifiers. No I/O."""
