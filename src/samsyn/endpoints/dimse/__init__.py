"""The DICOM door: listens for associations and answers C-ECHO, C-STORE, C-FIND, C-GET and C-MOVE.

`DicomDoor` in listener.py is what the wiring opens.
"""
