"""Data: the shipped subset font and its licence."""
