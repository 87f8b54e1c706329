"""mingzheng (明证): offline-verifiable credentials with a transparency log."""

__version__ = "0.1.0"
