"""Referrals and reports: filed as versions, joined to studies into examinations."""
