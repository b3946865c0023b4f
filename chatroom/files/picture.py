"""
What a picture is: one that was decoded, and takes not too much for that.

To decode what strangers have sent takes memory, and keeps other threads from running for moments. So
it is done in a process of its own (this file is its program), which may fail without harm.
"""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BytesIO
from itertools import starmap
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM
from typing import BinaryIO, Literal, NamedTuple

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

CHUNK = 2**14
"""So many bytes of a JPEG are read at once."""
SEGMENTS = 2**12
"""In what has more segments than so many, the others are not looked for: no JPEG has."""

_FORMATS = ("GIF", "JPEG", "PNG", "WEBP")
_ORIENTATION = ExifTags.Base.Orientation
_MARKER = re.compile(rb"\xff[\xc0-\xcf\xd9-\xfe]")
"""
Where a segment of a JPEG begins, or its picture ends (ITU-T T.81, B.1.1).

Stuffed zeros and restarts belong to what is compressed. A second beginning is none: it is not heeded.
"""
_SCAN, _END = 0xDA, 0xD9
_APPLICATIONS = range(0xE0, 0xF0)
_JFIF, _EXIF, _PROFILE, _ADOBE = 0xE0, 0xE1, 0xE2, 0xEE
_BETWEEN = 0
"""In place of a marker: what is not in a segment."""
_EMPTY = b"\xff\xfe\0\2"
"""A comment of nothing."""

# Pillow counts pixels only to warn of them; here they are counted before any is decoded.
Image.MAX_IMAGE_PIXELS = None


class Picture(NamedTuple):
    """
    What a picture is: its *type*, how large it is shown, in pixels, and its *thumbnail*, in WebP.

    *turn* is how it has to be turned for that (Exif's orientation), if it says that.
    """

    type: str
    width: int
    height: int
    turn: int | None
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
            turn = picture.getexif().get(_ORIENTATION)
            thumbnail = _thumbnail(picture)
    except Exception:  # noqa: BLE001 (in how many ways a file can be no picture, nobody has written)
        return None
    if turn not in range(1, 9):
        turn = None
    width, height = reversed(size) if turn is not None and turn > 4 else size
    return Picture(type, width, height, turn, thumbnail)


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


def forget(path: Path, seen: Picture | None) -> bool:
    """
    Take from the JPEG *path* what may say where it was taken; return whether there was anything.

    That is what cameras write about a picture, and all that comes behind it, be it a film or another
    picture. Its pixels stay as they are, and so does how it has to be turned: as it was *seen*, or
    as its Exif says. It need not be a picture that can be decoded, nor whole. Raises `OSError`.
    """
    with path.open("rb") as source:
        if not any(starmap(_tells, _parts(source))):
            return False
        turn = _turn(source) if seen is None else seen.turn
        source.seek(0)
        new = path.with_name("new")
        with new.open("xb") as target:
            target.write(source.read(2))
            if turn is not None:
                exif = Image.Exif()
                exif[_ORIENTATION] = turn
                said = exif.tobytes()
                target.write(bytes((0xFF, _EXIF)) + (len(said) + 2).to_bytes(2) + said)
            scanned = False
            for marker, data in _parts(source):
                scanned = scanned or marker == _SCAN
                if _stays(marker, data):
                    target.write(data)
                elif scanned and marker != _END:
                    # Without it, what was compressed would go on where it has ended.
                    target.write(_EMPTY)
    new.replace(path)
    return True


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


def _parts(source: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """
    Yield what is left of a JPEG in parts, each with its marker, or `_BETWEEN`.

    A segment is one part. What comes behind the end of the picture is marked by that.
    """
    segments, scanned = 0, False
    while chunk := source.read(CHUNK):
        found = _MARKER.search(chunk) if segments < SEGMENTS else None
        if found is None:
            if len(chunk) > 1 and chunk.endswith(b"\xff"):
                # What makes it a marker may come next.
                source.seek(-1, 1)
                chunk = chunk[:-1]
            yield _BETWEEN, chunk
            continue
        yield _BETWEEN, chunk[: found.start()]
        source.seek(found.start() - len(chunk), 1)
        segments += 1
        marker = found[0][1]
        if marker == _END:
            yield _BETWEEN, source.read(2)
            if scanned:
                break
            continue
        head = source.read(4)
        yield marker, head + source.read(max(0, int.from_bytes(head[2:]) - 2))
        scanned = scanned or marker == _SCAN
    while chunk := source.read(CHUNK):
        yield _END, chunk


def _tells(marker: int, data: bytes) -> bool:
    """Return whether a part of a JPEG may say where that was taken."""
    if _stays(marker, data):
        return False
    if _is_exif(marker, data):
        return _entry(data, ExifTags.IFD.GPSInfo) is not None
    return marker == _END or b"GPS" in data


def _stays(marker: int, data: bytes) -> bool:
    """Return whether a part of a JPEG is one of those that it is shown by, or a comment."""
    if marker == _PROFILE:
        return data[4:].startswith(b"ICC_PROFILE\0")
    return marker in (_JFIF, _ADOBE) or marker not in (*_APPLICATIONS, _END)


def _turn(source: BinaryIO) -> int | None:
    """Return how a JPEG has to be turned, by the first Exif in it that says so."""
    source.seek(0)
    for marker, data in _parts(source):
        if _is_exif(marker, data):
            turn = _entry(data, _ORIENTATION)
            if turn in range(1, 9):
                return turn
    return None


def _is_exif(marker: int, data: bytes) -> bool:
    return marker == _EXIF and data[4:].startswith(b"Exif\0")


def _entry(exif: bytes, tag: int) -> int | None:
    """
    Return what *tag*, if it is there, says in the first directory of *exif*: a short number.

    *exif* may be anything: what it lacks reads as 0 (TIFF 6.0, section 2).
    """
    tiff = exif[10:]
    order: Literal["big", "little"] = "big" if tiff.startswith(b"MM") else "little"
    start = int.from_bytes(tiff[4:8], order) + 2
    count = int.from_bytes(tiff[start - 2 : start], order)
    wanted = tag.to_bytes(2, order)
    for at in range(start, min(start + 12 * count, len(tiff)), 12):
        if tiff[at : at + 2] == wanted:
            return int.from_bytes(tiff[at + 8 : at + 10], order)
    return None


def main() -> None:
    """Look at the file that the command line names, and write out what it is."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    # The room comes first; but where services may not choose that, pictures come all the same.
    with suppress(OSError):
        os.nice(10)
    seen = look(Path(sys.argv[1]))
    if seen is not None:
        head = seen._asdict()
        thumbnail = head.pop("thumbnail")
        sys.stdout.buffer.write(json.dumps(head).encode() + b"\n" + thumbnail)


if __name__ == "__main__":
    main()
