"""The transparency log: RFC 9162 core, tiles, entries, receipts, status lists, sequencer, auditor."""
