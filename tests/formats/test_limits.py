"""Limits: the numbers of the specs, and arithmetic between them."""

from __future__ import annotations

from mingzheng.formats import limits


def test_numbers_of_the_specs() -> None:
    assert limits.LIMITS_CREDENTIAL.max_bytes == 4096
    assert limits.LIMITS_CREDENTIAL.max_depth == 6
    assert limits.QR_DIGITS_MAX == 3400
    assert limits.LIMITS_DEFAULT.image_pixels == 40_000_000
    assert limits.LIMITS_DEFAULT.pdf_bytes == 20 * 1024 * 1024


def test_bytes_that_always_fit_the_digits() -> None:
    assert len(str(256**limits.QR_BYTES_MAX - 1)) <= limits.QR_DIGITS_MAX
    assert len(str(256 ** (limits.QR_BYTES_MAX + 1) - 1)) > limits.QR_DIGITS_MAX
