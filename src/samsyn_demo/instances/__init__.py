"""DICOM objects around pictures and samples: `studies` makes a whole study of an examination.

`objects` holds the modules, `file_format` puts files together, `equipment` names the machines and `samples`
re-identifies public sample images.
"""
