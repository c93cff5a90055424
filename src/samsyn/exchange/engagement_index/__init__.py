"""Telling the engagement index (engagemangsindex) who has reports here: itintegration:engagementindex:Update 1.0."""
