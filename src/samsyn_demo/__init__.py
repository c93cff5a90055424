"""The demo region: four invented care providers that send to Samsyn from the outside.

This package plays the world around Samsyn. It never imports `samsyn`: it speaks HL7 v2 over MLLP, DICOM over
DIMSE and STOW-RS through independent libraries, as strangers do. Everything it says follows from one seed and
one anchor date, so that two runs send the same bytes.

Map: `people` (who), `region` (which providers and systems), `catalogue` and `texts` (what is examined, asked and
found), `history` (ten years of examinations), `drawing` and `images` (pixels), `instances` (DICOM objects),
`senders` (messages, protocols and one provider's process), `play` (all providers at once) and `orthanc` (the
hospital's local PACS).
"""
