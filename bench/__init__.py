"""Measures Samsyn beside Orthanc and DCMTK's storescp on the machine where it runs: `make bench`."""
