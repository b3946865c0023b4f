"""Draw the icons in web/icons/ from their SVGs, in Chromium: ``python -m tools.icons``."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from tests.browser import launch

ICONS = Path(__file__).parent.parent / "web" / "icons"
DRAWN = {"192.png": ("icon.svg", 192), "512.png": ("icon.svg", 512)}
DRAWN["maskable-512.png"] = ("maskable.svg", 512)
COLOURS = 32


def draw() -> None:
    """Write all PNGs, with few colours so that they are small."""
    with launch() as browser:
        page = browser.new_page()
        for name, (source, size) in DRAWN.items():
            page.set_viewport_size({"width": size, "height": size})
            page.goto((ICONS / source).as_uri())
            shot = Image.open(io.BytesIO(page.screenshot(omit_background=True)))
            small = shot.quantize(COLOURS, method=Image.Quantize.FASTOCTREE)
            small.save(ICONS / name, optimize=True)


if __name__ == "__main__":
    draw()
