"""Pixels stored smaller: which bytes of a series object are coded, and the processes that code and decode them."""
