"""Measurements: every claim about speed or size has a program here that prints JSON."""
