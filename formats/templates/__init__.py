"""Data: one TOML file per page template."""
