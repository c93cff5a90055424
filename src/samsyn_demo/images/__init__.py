"""Synthetic pictures that look like anatomy, and the DICOM objects that carry them.

`fields` and `canvas` are the drawing tools; `thorax`, `brain`, `chest_xray`, `mammogram`, `echo`, `knee`,
`ultrasound`, `ecg` and `paper` make pixels or samples; `objects` wraps them in complete DICOM modules; `samples`
re-identifies real sample images; `studies` puts whole studies together.
"""
