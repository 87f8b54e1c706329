"""Offline verification: trust context, checks, verdicts, reports."""
