"""Findings for people and for programs: one record, several forms."""
