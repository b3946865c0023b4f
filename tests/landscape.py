"""A view over mountains in the morning, for pictures that want a picture in them."""

from __future__ import annotations

import io
import itertools
import math
import random
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFilter

SKY = (
    (0.0, (70, 92, 150)),
    (0.45, (232, 168, 150)),
    (0.72, (255, 224, 178)),
    (1.0, (255, 240, 214)),
)
SUN = (255, 246, 222)
FAR, NEAR = (196, 160, 176), (34, 46, 74)
RANGES = 5


def landscape(width: int, height: int, seed: int) -> bytes:
    """Return a JPEG of this size in pixels; each *seed* has mountains of its own."""
    random.seed(seed)
    image = _sky(width, height)
    sun = Image.new("L", image.size)
    x, y, radius = width * 0.68, height * 0.4, height * 0.07
    ImageDraw.Draw(sun).ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    for blur, strength in ((radius * 1.6, 0.8), (1.5, 1.0)):
        glow = sun.filter(ImageFilter.GaussianBlur(blur)).point(lambda v, s=strength: int(v * s))
        image.paste(SUN, mask=glow)
    for number in range(RANGES):
        part = number / (RANGES - 1)
        colour = _between(FAR, NEAR, part)
        ridge = _ridge(width, height * (0.48 + 0.11 * number), height * (0.2 - 0.02 * number))
        ImageDraw.Draw(image).polygon([*ridge, (width, height), (0, height)], fill=colour)
    output = io.BytesIO()
    image.save(output, "JPEG", quality=88)
    return output.getvalue()


def _sky(width: int, height: int) -> Image.Image:
    image = Image.new("RGB", (1, height))
    for y in range(height):
        at = y / height
        (start, upper), (end, lower) = next(
            pair for pair in itertools.pairwise(SKY) if at <= pair[1][0]
        )
        image.putpixel((0, y), _between(upper, lower, (at - start) / (end - start)))
    return image.resize((width, height))


def _ridge(width: int, base: float, size: float) -> list[tuple[float, float]]:
    waves = [
        (2**n * random.uniform(0.7, 1.3), random.uniform(0, math.tau), 0.55**n) for n in range(9)
    ]

    def height(x: int) -> float:
        at = x / width * math.tau
        return sum(share * abs(math.sin(at * count / 2 + start)) for count, start, share in waves)

    return [(x, base + size * (0.9 - height(x))) for x in range(0, width + 1, 2)]


def _between(one: Sequence[int], other: Sequence[int], part: float) -> tuple[int, int, int]:
    red, green, blue = (round(a + (b - a) * part) for a, b in zip(one, other, strict=True))
    return red, green, blue
