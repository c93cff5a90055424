"""Comparing what is stored, both ways: the journal, the series objects and the index. Nothing of them is changed."""
