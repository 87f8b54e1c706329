"""Many tokens at once: bytes in, verdicts out, claims never shown. The seam a compiled core plugs into.

Source: docs/spec/verdicts.md; the same checks in the same order as `pipeline.verify_text`, for callers that
already hold the bytes (a database, a reader of their own).
"""

from __future__ import annotations

from collections.abc import Sequence

from mingzheng.verifier.context import VerifyContext
from mingzheng.verifier.findings import Code
from mingzheng.verifier.pipeline import Met, judge, verdict_for


def verify_batch(tokens: Sequence[bytes], ctx: VerifyContext) -> tuple[Code, ...]:
    """The verdict on each token, in order; never raises on a token's bytes."""
    return tuple(verdict_for(judge([Met(data=data, prefix=None)], ctx).findings, ctx) for data in tokens)
