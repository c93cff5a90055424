"""The store: an append-only journal that is the truth, and an index that follows from it.

Everything durable is one record of the journal: the bytes (an instance, a message) together with the row
operations that follow from them. Records share a sync (group commit); the index is changed in the same breath
but needs no sync of its own, since after a crash it is brought up to date by replaying the journal's tail.
"""
