"""Signs that stand for proxies and mixtures: dots by quarter, a diamond, a square, and triangles at an edge."""

from __future__ import annotations

from markupsafe import Markup

RADII = (5.0, 4.0, 3.2, 2.6)  # of a dot, by quarter
SHAPES = {
    "found": "M0-8L8 0L0 8L-8 0Z",
    "around": "M-5.5-5.5H5.5V5.5H-5.5Z",
    "beyond": "M0-5L5 4H-5Z",
    "aside": "M5 0L-4 5V-5Z",
    "below": "M0 5L5-4H-5Z",
    "failed": "M-4-4L4 4M4-4L-4 4",
}


def run_dot(cx: str, cy: float, quarter: int, said: str) -> Markup:
    """Draw a proxy at a place that is given in percent or pixels."""
    return Markup('<circle class="run q{}" cx="{}" cy="{}" r="{}"><title>{}</title></circle>').format(
        quarter + 1, cx, f"{cy:.4g}", f"{RADII[quarter]:g}", said
    )


def glyph(x: str, y: float, kind: str, said: str = "") -> Markup:
    """Draw a sign around a place: `found` a diamond, `around` a square, `failed` a cross, the rest triangles."""
    title = Markup("<title>{}</title>").format(said) if said else ""
    return Markup('<svg class="at" x="{}" y="{}" width="1" height="1"><path class="{}" d="{}">{}</path></svg>').format(
        x, f"{y:.4g}", kind, SHAPES[kind], title
    )
