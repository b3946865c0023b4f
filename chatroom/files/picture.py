"""
What a picture is: one that was decoded, and takes not too much for that.

To decode what strangers have sent takes memory, and keeps other threads from running for moments. So
it is done in a process of its own (this file is its program), which may fail without harm.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM
from typing import BinaryIO, NamedTuple

from PIL import ExifTags, Image, ImageOps

TYPES = {
    "GIF": "image/gif",
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
}
"""What is looked at, by Pillow's names, and its types; an MPO is a JPEG with more behind it."""
BYTES = 2**25
"""What is larger is not looked at."""
MEMORY = 2**28
"""What takes more bytes of memory, about, is not decoded."""
COSTS = {"GIF": 11, "JPEG": 5, "MPO": 5, "PNG": 11, "WEBP": 16}
"""So many bytes a pixel takes to be looked at, at worst …"""
PROGRESSIVE = 9
"""… and so many in a JPEG that comes in several scans, all of which are kept."""
ADDRESSES, SECONDS = 2**30, 10
"""The process has so many bytes of addresses, and so many seconds of the processor."""
EDGE = 720
"""A thumbnail is at most so many pixels wide, and high: twice what it is shown at."""
QUALITY = 80

_FORMATS = ("GIF", "JPEG", "PNG", "WEBP")
_ORIENTATION = ExifTags.Base.Orientation
_EXIF, _MORE = 0xE1, 0xED
"""Where a JPEG has Exif and XMP, and what Photoshop and IPTC wrote: APP1 and APP13."""
_SCAN = 0xDA
_BARE = range(0xD0, 0xDA)
"""Markers that stand alone, without a length and what it is the length of."""

# Pillow counts pixels only to warn of them; here they are counted before any is decoded.
Image.MAX_IMAGE_PIXELS = None


class Picture(NamedTuple):
    """
    What a picture is: its *type*, how large it is shown, in pixels, and its *thumbnail*, in WebP.

    *turn* is how it has to be turned for that (Exif's orientation), if it says that. *told* is
    whether it says where it was taken.
    """

    type: str
    width: int
    height: int
    turn: int | None
    told: bool
    thumbnail: bytes


def look(path: Path) -> Picture | None:
    """Return what picture is in the file *path*, or None: it is none that can be shown."""
    try:
        with Image.open(path, formats=_FORMATS) as picture:
            cost = PROGRESSIVE if "progressive" in picture.info else COSTS[picture.format or ""]
            if picture.width * picture.height * cost > MEMORY:
                return None
            picture.verify()
        with Image.open(path, formats=_FORMATS) as picture:
            type = TYPES[picture.format or ""]
            size = picture.size
            exif = picture.getexif()
            turn = exif.get(_ORIENTATION)
            told = exif.get_ifd(ExifTags.IFD.GPSInfo) or b"GPS" in picture.info.get("xmp", b"")
            thumbnail = _thumbnail(picture)
    except Exception:  # noqa: BLE001 (in how many ways a file can be no picture, nobody has written)
        return None
    if turn not in range(1, 9):
        turn = None
    width, height = reversed(size) if turn is not None and turn > 4 else size
    return Picture(type, width, height, turn, bool(told), thumbnail)


def examined(path: Path, begun: Callable[[subprocess.Popen[bytes]], object]) -> Picture | None:
    """
    Return what `look` does, found out in a process of its own, which *begun* is called with.

    Raises `OSError` if that does not run, or is ended from outside.
    """
    if path.stat().st_size > BYTES:
        return None
    with subprocess.Popen(
        [sys.executable, "-P", __file__, path],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        begun(process)
        out, words = process.communicate()
    if process.returncode > 0 or -process.returncode in (SIGHUP, SIGINT, SIGTERM):
        last = words.decode(errors="replace").strip().splitlines()[-1:]
        raise OSError(f"nothing can look at pictures: {' '.join(last)}")
    # Other signals end what takes too much, or runs into a bug with this file.
    if process.returncode or not out:
        return None
    head, _, thumbnail = out.partition(b"\n")
    return Picture(**json.loads(head), thumbnail=thumbnail)


def forget(path: Path, turn: int | None) -> None:
    """
    Take what cameras write about a picture from the JPEG *path*, but for its *turn*.

    Its pixels stay as they are. Raises `OSError`.
    """
    new = path.with_name("new")
    with path.open("rb") as source, new.open("xb") as target:
        _copy(source, target, turn)
    new.replace(path)


def _thumbnail(picture: Image.Image) -> bytes:
    small = picture
    if small.mode == "I;16":
        small = small.point(lambda shade: shade / 256).convert("L")
    if small.mode not in ("L", "RGB", "RGBA", "CMYK") or "transparency" in small.info:
        # The numbers of colours in a palette cannot be mixed.
        small = small.convert("RGBA" if small.has_transparency_data else "RGB")
    small.thumbnail((EDGE, EDGE))
    small = ImageOps.exif_transpose(small)
    profile = None if small.mode == "CMYK" else small.info.get("icc_profile")
    if small.mode == "CMYK":
        small = small.convert("RGB")
    # What a picture says of itself does not come along.
    small.info = {}
    out = BytesIO()
    small.save(out, "WEBP", quality=QUALITY, icc_profile=profile)
    return out.getvalue()


def _copy(source: BinaryIO, target: BinaryIO, turn: int | None) -> None:
    target.write(source.read(2))
    if turn is not None:
        exif = Image.Exif()
        exif[_ORIENTATION] = turn
        said = exif.tobytes()
        target.write(bytes((0xFF, _EXIF)) + (len(said) + 2).to_bytes(2) + said)
    while len(start := source.read(2)) == 2:
        first, marker = start
        if first != 0xFF or marker in (0x00, 0xFF):
            # Between two segments there may be anything, and Pillow goes on behind it.
            source.seek(-1, 1)
            continue
        if marker in _BARE:
            target.write(start)
            continue
        if marker == _SCAN:
            target.write(start)
            break
        length = source.read(2)
        body = source.read(max(0, int.from_bytes(length) - 2))
        if marker not in (_EXIF, _MORE):
            target.write(start + length + body)
    shutil.copyfileobj(source, target)


def main() -> None:
    """Look at the file that the command line names, and write out what it is."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    # The room comes first.
    os.nice(10)
    seen = look(Path(sys.argv[1]))
    if seen is not None:
        head = seen._asdict()
        thumbnail = head.pop("thumbnail")
        sys.stdout.buffer.write(json.dumps(head).encode() + b"\n" + thumbnail)


if __name__ == "__main__":
    main()
