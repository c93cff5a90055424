"""Swedish referrals and reports.

`cases` holds what was asked and found, per kind of examination; `prose` makes a report of it as a radiologist
would write it.
"""
