"""The systems of the region that send: RIS and EHR over MLLP, modalities and PACS over DIMSE or STOW-RS."""
