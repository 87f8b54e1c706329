"""PDF pages: writing them from a page description, reading them back."""
