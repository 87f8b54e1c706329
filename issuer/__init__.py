"""Issuing: records in, plans, ledger, signed and logged certificates out."""
