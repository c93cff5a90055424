"""QIDO-RS (PS3.18 10.6): what is asked, and what is found."""
