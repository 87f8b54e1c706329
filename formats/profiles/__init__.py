"""Data: one TOML file per certificate kind and jurisdiction."""
