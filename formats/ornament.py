"""The line ornament of a certificate: a guilloche band around the page and a pale rosette behind the text.

No artwork is shipped and no emblem is drawn: everything is computed from the rectangle given. Path data is in
the grammar of `page.Path`. Pure.
"""

from __future__ import annotations

from functools import lru_cache
from math import cos, gcd, pi, sin, tau
from typing import Final

from mingzheng.formats.page import Rect

__all__ = ["band", "ellipse", "rectangle", "rosette"]

_HANDLE: Final = 0.3642  # control point of a cubic that follows half a wave of the sine
_CIRCLE: Final = 0.5523  # control point of a cubic that follows a quarter of a circle


@lru_cache(maxsize=8)
def band(rect: Rect, *, depth_mm: float, wave_mm: float, strands: int) -> str:
    """Interwoven sine waves inside the edge of `rect`, `depth_mm` deep, with a rosette in every corner."""
    inner_w, inner_h = rect.width_mm - 2 * depth_mm, rect.height_mm - 2 * depth_mm
    half = depth_mm / 2
    left, top = rect.x_mm + depth_mm, rect.y_mm + depth_mm
    sides = (
        (left, rect.y_mm + half, inner_w, False),
        (left, rect.bottom_mm - half, inner_w, False),
        (rect.x_mm + half, top, inner_h, True),
        (rect.right_mm - half, top, inner_h, True),
    )
    parts: list[str] = []
    for x, y, length, upright in sides:
        waves = max(2, round(length / wave_mm))
        for strand in range(strands):
            height = half * 0.86 * cos(pi * strand / (2 * strands))
            parts.extend(_wave(x, y, length, waves=waves, height=sign * height, upright=upright) for sign in (1, -1))
    for x in (rect.x_mm + half, rect.right_mm - half):
        for y in (rect.y_mm + half, rect.bottom_mm - half):
            parts.append(rosette(x, y, radius_mm=half * 0.98, petals=12, inner=0.38, turns=5, points=240))
    return " ".join(parts)


@lru_cache(maxsize=32)
def rosette(x_mm: float, y_mm: float, *, radius_mm: float, petals: int, inner: float, turns: int, points: int) -> str:
    """A closed guilloche: the radius swings `petals` times in `turns` turns between `inner` and 1 of the radius."""
    assert gcd(petals, turns) == 1
    mean, swing = (1 + inner) / 2, (1 - inner) / 2
    corners = []
    for step in range(points):
        angle = tau * turns * step / points
        radius = radius_mm * (mean + swing * cos(angle * petals / turns))
        corners.append(f"{x_mm + radius * cos(angle):.2f} {y_mm + radius * sin(angle):.2f}")
    return f"M {corners[0]} L " + " L ".join(corners[1:]) + " Z"


def rectangle(rect: Rect) -> str:
    """The outline of a rectangle."""
    return (
        f"M {rect.x_mm:.2f} {rect.y_mm:.2f} L {rect.right_mm:.2f} {rect.y_mm:.2f} "
        f"L {rect.right_mm:.2f} {rect.bottom_mm:.2f} L {rect.x_mm:.2f} {rect.bottom_mm:.2f} Z"
    )


def ellipse(rect: Rect) -> str:
    """The ellipse that touches the four edges of a rectangle."""
    rx, ry = rect.width_mm / 2, rect.height_mm / 2
    x, y = rect.x_mm + rx, rect.y_mm + ry
    hx, hy = rx * _CIRCLE, ry * _CIRCLE
    return (
        f"M {x + rx:.2f} {y:.2f} "
        f"C {x + rx:.2f} {y + hy:.2f} {x + hx:.2f} {y + ry:.2f} {x:.2f} {y + ry:.2f} "
        f"C {x - hx:.2f} {y + ry:.2f} {x - rx:.2f} {y + hy:.2f} {x - rx:.2f} {y:.2f} "
        f"C {x - rx:.2f} {y - hy:.2f} {x - hx:.2f} {y - ry:.2f} {x:.2f} {y - ry:.2f} "
        f"C {x + hx:.2f} {y - ry:.2f} {x + rx:.2f} {y - hy:.2f} {x + rx:.2f} {y:.2f} Z"
    )


def _wave(x: float, y: float, length: float, *, waves: int, height: float, upright: bool) -> str:
    """A sine of `waves` whole waves along a line that starts at (x, y)."""
    half_wave = length / waves / 2
    crest = height * pi * _HANDLE  # the sine's slope at its zero, carried to the control point

    def at(along: float, across: float) -> str:
        return f"{x + across:.2f} {y + along:.2f}" if upright else f"{x + along:.2f} {y + across:.2f}"

    parts = [f"M {at(0, 0)}"]
    for part in range(2 * waves):
        start, side = part * half_wave, crest if part % 2 == 0 else -crest
        first, second = start + half_wave * _HANDLE, start + half_wave * (1 - _HANDLE)
        parts.append(f"C {at(first, side)} {at(second, side)} {at(start + half_wave, 0)}")
    return " ".join(parts)
