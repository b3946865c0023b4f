"""What is a picture, and what is only called one."""

from __future__ import annotations

import ctypes
import time
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import filetype  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageChops

from chatroom.files import picture
from chatroom.files.picture import (
    CHUNK,
    COSTS,
    EDGE,
    MEMORY,
    PROGRESSIVE,
    SEGMENTS,
    Picture,
    examined,
    forget,
    look,
)
from chatroom.files.upload import PICTURES, UNKNOWN, sniffed
from tests.filing import bomb, exif, image
from tests.parts import missing

FORMATS = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}
SCRIPT = b"<!doctype html><html><script>alert(document.domain)</script></html>"
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"


def seen(path: Path, data: bytes) -> Picture | None:
    path.write_bytes(data)
    return look(path)


def apart(path: Path) -> Picture | None:
    """Return what picture is in *path*, as a process of its own finds."""
    return examined(path, lambda process: None)


def opened(data: bytes) -> Image.Image:
    return Image.open(BytesIO(data))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "original"


@pytest.mark.parametrize("format", FORMATS)
def test_formats(path: Path, format: str) -> None:
    data = image(format, (1000, 500))
    found = seen(path, data)
    assert found is not None
    assert (found.type, found.width, found.height) == (FORMATS[format], 1000, 500)
    assert path.read_bytes() == data
    assert sniffed(path) == FORMATS[format]
    small = opened(found.thumbnail)
    assert (small.format, small.size) == ("WEBP", (EDGE, EDGE // 2))


@pytest.mark.parametrize(
    ("format", "mode"),
    [
        ("PNG", "1"),
        ("PNG", "L"),
        ("PNG", "LA"),
        ("PNG", "P"),
        ("PNG", "RGBA"),
        ("PNG", "I;16"),
        ("JPEG", "L"),
        ("JPEG", "CMYK"),
        ("GIF", "P"),
        ("WEBP", "RGBA"),
    ],
)
def test_modes_look_the_same_in_small(path: Path, format: str, mode: str) -> None:
    source = Image.linear_gradient("L")
    if mode == "I;16":
        source = source.convert("I").point(lambda value: value * 257)
    out = BytesIO()
    source.convert(mode).save(out, format)
    found = seen(path, out.getvalue())
    assert found is not None
    small = opened(found.thumbnail).convert("L")
    difference = ImageChops.difference(small, Image.linear_gradient("L"))
    mean = sum(i * n for i, n in enumerate(difference.histogram())) / (256 * 256)
    # Black and white are mixed in points.
    assert mean < (100 if mode == "1" else 10)


def test_what_can_be_seen_through_stays_so(path: Path) -> None:
    for format, mode, more in (
        ("PNG", "RGBA", {}),
        ("GIF", "P", {"transparency": 0}),
        ("PNG", "RGB", {"transparency": (0, 0, 0)}),
    ):
        out = BytesIO()
        Image.new(mode, (9, 9)).save(out, format, **more)
        found = seen(path, out.getvalue())
        assert found is not None
        assert opened(found.thumbnail).convert("RGBA").getpixel((4, 4))[3] == 0  # type: ignore[index]


@pytest.mark.parametrize("turn", range(1, 9))
def test_turned_pictures_are_measured_as_they_are_shown(path: Path, turn: int) -> None:
    found = seen(path, image("JPEG", (400, 200), exif=exif(turn)))
    assert found is not None
    shown = (200, 400) if turn > 4 else (400, 200)
    assert (found.width, found.height) == shown
    small = opened(found.thumbnail)
    assert small.size == shown
    # Dark is where the gradient begins: above, or wherever above has been turned to.
    corners = {
        1: (0, 0), 2: (0, 0), 3: (0, -1), 4: (0, -1), 5: (0, 0), 6: (-1, 0), 7: (-1, 0), 8: (0, 0)
    }  # fmt: skip
    x, y = (at % side for at, side in zip(corners[turn], shown, strict=True))
    assert small.convert("L").getpixel((x, y)) < 30  # type: ignore[operator]


def test_thumbnails_say_nothing_of_their_own(path: Path) -> None:
    said: dict[str, Any] = {"exif": exif(6, placed=True), "comment": b"GPS"}
    for format in ("JPEG", "PNG", "WEBP"):
        xmp: dict[str, Any] = {} if format == "PNG" else {"xmp": b"<x:xmpmeta/>"}
        found = seen(path, image(format, **said, **xmp))
        assert found is not None
        small = opened(found.thumbnail)
        assert not dict(small.getexif())
        assert not {"exif", "xmp", "comment"} & small.info.keys()


def test_colours_stay_what_they_are(path: Path) -> None:
    found = seen(path, image("JPEG", icc_profile=b"a profile"))
    assert found is not None
    assert opened(found.thumbnail).info["icc_profile"] == b"a profile"


def test_small_ones_are_not_made_larger(path: Path) -> None:
    found = seen(path, image("PNG", (3, 2)))
    assert found is not None
    assert opened(found.thumbnail).size == (3, 2)
    found = seen(path, image("PNG", (20_000, 1)))
    assert found is not None
    assert opened(found.thumbnail).size == (EDGE, 1)


def test_moving_ones(path: Path) -> None:
    frames = [Image.new("RGB", (30, 30), colour) for colour in ("red", "green", "blue")]
    for format in ("GIF", "WEBP", "PNG"):
        out = BytesIO()
        frames[0].save(out, format, save_all=True, append_images=frames[1:])
        found = seen(path, out.getvalue())
        assert found is not None
        assert (found.type, found.width) == (FORMATS[format], 30)


def place(data: bytes) -> dict[int, Any]:
    """Return what a JPEG says of where it was taken, in each of the pictures in it."""
    said: dict[int, Any] = {}
    with opened(data) as image:
        for frame in range(getattr(image, "n_frames", 1)):
            image.seek(frame)
            said |= image.getexif().get_ifd(ExifTags.IFD.GPSInfo)
    return said


def same(one: bytes, other: bytes) -> bool:
    """Return whether two pictures are the same, pixel by pixel."""
    return opened(one).convert("RGB").tobytes() == opened(other).convert("RGB").tobytes()


def test_place_where_it_was_taken_is_forgotten(path: Path) -> None:
    data = image("JPEG", (64, 32), exif=exif(6, placed=True), xmp=b"<x:xmpmeta/>")
    assert place(data)
    found = seen(path, data)
    assert found is not None
    assert (found.width, found.height) == (32, 64)
    assert forget(path, found)
    kept = path.read_bytes()
    assert dict(opened(kept).getexif()) == {ExifTags.Base.Orientation: 6}
    assert "xmp" not in opened(kept).info
    assert same(kept, data)
    # Looked at again, it is the same and says nothing.
    assert look(path) == found
    assert not forget(path, found)
    assert path.read_bytes() == kept
    assert [part.name for part in path.parent.iterdir()] == ["original"]


def test_place_in_xmp_is_forgotten(path: Path) -> None:
    found = seen(path, image("JPEG", xmp=b"<x:xmpmeta exif:GPSLatitude='48'/>"))
    assert forget(path, found)
    assert dict(opened(path.read_bytes()).getexif()) == {}
    assert b"GPS" not in path.read_bytes()


def test_place_that_only_one_maker_writes_so_is_forgotten(path: Path) -> None:
    data = image("JPEG", icc_profile=b"a GPS profile", exif=exif(8))
    path.write_bytes(data[:2] + b"\xff\xe6\0\x0cGoPro\0GPS5" + data[2:])
    assert forget(path, None)
    kept = opened(path.read_bytes())
    assert b"GoPro" not in path.read_bytes()
    # What is shown by that stays.
    assert kept.info["icc_profile"] == b"a GPS profile"
    assert dict(kept.getexif()) == {ExifTags.Base.Orientation: 8}
    assert not forget(path, None)


def behind() -> bytes:
    """Return a film as telephones put it behind a photograph, with where it was taken."""
    return (
        b"\0\0\0\x18ftypmp42\0\0\0\0isommp42"
        b"\0\0\0\x1e\xa9xyz\0\x12\x15\xc7+48.8577+002.295/" + b"\xff\xd9" * CHUNK
    )


@pytest.mark.parametrize("progressive", [False, True])
def test_film_behind_a_photograph_is_cut(path: Path, progressive: bool) -> None:
    every: list[dict[str, Any]] = [{}, {"exif": exif(3)}, {"exif": exif(3, placed=True)}]
    for more in every:
        data = image("JPEG", (400, 300), progressive=progressive, **more)
        found = seen(path, data + behind())
        assert found is not None
        assert forget(path, found)
        kept = path.read_bytes()
        assert b"ftyp" not in kept
        assert kept.endswith(data[-100:])
        assert same(kept, data)
        assert look(path) == found
        assert opened(kept).getexif().get(ExifTags.Base.Orientation) == (3 if more else None)


def test_picture_behind_another_is_cut(path: Path) -> None:
    """As telephones write them, with a place in each."""
    first, second = Image.linear_gradient("L"), Image.radial_gradient("L")
    out = BytesIO()
    first.save(
        out, "MPO", save_all=True, append_images=[second], exif=exif(6, placed=True), quality=99
    )
    data = out.getvalue()
    found = seen(path, data)
    assert found is not None
    assert (found.type, found.width) == ("image/jpeg", 256)
    assert data.count(b"A camera") == 2
    assert forget(path, found)
    kept = path.read_bytes()
    assert b"A camera" not in kept
    assert opened(kept).format == "JPEG"
    assert dict(opened(kept).getexif()) == {ExifTags.Base.Orientation: 6}
    assert same(kept, data)
    assert look(path) == found


@pytest.mark.parametrize("progressive", [False, True])
def test_place_of_what_is_too_large_to_be_decoded_is_forgotten(
    path: Path, progressive: bool
) -> None:
    size = (6400, 4800) if progressive else (9248, 6936)
    data = image("JPEG", size, exif=exif(6, placed=True), progressive=progressive)
    path.write_bytes(data)
    assert apart(path) is None
    assert forget(path, None)
    kept = path.read_bytes()
    assert dict(opened(kept).getexif()) == {ExifTags.Base.Orientation: 6}
    scans = data.index(b"\xff\xdb")
    assert kept[kept.index(b"\xff\xdb") :] == data[scans:]


def test_place_of_what_is_cut_is_forgotten(path: Path) -> None:
    data = image("JPEG", (2000, 1500), exif=exif(6, placed=True))[:-40]
    assert seen(path, data) is None
    assert forget(path, None)
    kept = path.read_bytes()
    assert dict(opened(kept).getexif()) == {ExifTags.Base.Orientation: 6}
    assert kept.endswith(data[data.index(b"\xff\xdb") :])


def test_what_says_no_place_stays_as_it_is(path: Path) -> None:
    every: list[dict[str, Any]] = [
        {},
        {"exif": exif(6), "xmp": b"<x:xmpmeta/>"},
        {"comment": b"GPS"},
    ]
    for more in every:
        data = image("JPEG", (2000, 1500), **more)
        for part in (data, data[:-40], data[:30], data[:3]):
            found = seen(path, part)
            assert not forget(path, found)
            assert path.read_bytes() == part
    # One of eight ways, or none.
    found = seen(path, image("JPEG", exif=exif(9)))
    assert found is not None
    assert found.turn is None


def test_turns_of_what_was_not_seen(path: Path) -> None:
    big = b"Exif\0\0MM\0*\0\0\0\x08\0\x02" + b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0"
    big += b"\x88\x25\0\x04\0\0\0\x01\0\0\0\0\0\0\0\0"
    for written, turn in ((exif(9, placed=True), None), (exif(1, placed=True), 1), (big, 6)):
        path.write_bytes(image("JPEG", exif=written))
        assert forget(path, None)
        expected = {} if turn is None else {ExifTags.Base.Orientation: turn}
        assert dict(opened(path.read_bytes()).getexif()) == expected


def test_jpeg_with_odd_segments(path: Path) -> None:
    """Fill bytes, and markers without a length, between segments: Pillow skips them."""
    data = image("JPEG", exif=exif(3, placed=True), comment=b"kept")
    odd = data[:2] + b"\xff\xff" + b"\xff\xd0" + data[2:]
    found = seen(path, odd)
    assert forget(path, found)
    kept = path.read_bytes()
    assert dict(opened(kept).getexif()) == {ExifTags.Base.Orientation: 3}
    assert opened(kept).info["comment"] == b"kept"
    assert same(kept, data)


@pytest.mark.parametrize("restarts", [0, 1])
def test_markers_are_found_wherever_a_piece_ends(
    path: Path, restarts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = image("JPEG", exif=exif(3, placed=True), restart_marker_blocks=restarts)
    for size in range(2, 20):
        monkeypatch.setattr(picture, "CHUNK", size)
        found = seen(path, data + behind()[:60])
        assert forget(path, found)
        kept = path.read_bytes()
        assert kept.endswith(data[data.index(b"\xff\xdb") :])
        assert same(kept, data)


def test_segment_within_a_scan_still_ends_it(path: Path) -> None:
    data = image("JPEG", (64, 64), exif=exif(6, placed=True))
    middle = (data.index(b"\xff\xda") + len(data)) // 2
    for more in (b"\xff\xe1\0\x0eExif\0\0GPS!!!", b"\xff\xe1"):
        broken = data[:middle] + more + data[middle:]
        found = seen(path, broken)
        assert forget(path, found)
        assert b"GPS" not in path.read_bytes()
        assert look(path) == found
    found = seen(path, data[:-2] + b"\xff\xe1")
    assert found is not None
    assert forget(path, found)
    assert look(path) == found


def test_jpeg_that_ends_before_its_picture(path: Path) -> None:
    data = image("JPEG", exif=exif(3, placed=True))
    path.write_bytes(data[:200])
    assert forget(path, None)
    assert path.stat().st_size < 200


def test_end_without_a_picture_is_none(path: Path) -> None:
    path.write_bytes(b"\xff\xd8\xff\xd9" + behind())
    assert not forget(path, None)


def test_jpeg_of_nothing_but_segments(path: Path) -> None:
    """It takes no longer than another one."""
    much = b"\xff\xe1\0\x02" * 10**6
    path.write_bytes(b"\xff\xd8" + much)
    began = time.process_time()
    assert not forget(path, None)
    assert time.process_time() - began < 1
    # Only so many are looked at, and taken away.
    data = b"\xff\xd8" + b"\xff\xe1\0\x05GPS" + much
    path.write_bytes(data)
    assert forget(path, None)
    assert path.stat().st_size == len(data) - 4 * SEGMENTS - 3


def zipped() -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("x.html", SCRIPT)
    return out.getvalue()


POLYGLOTS = {
    "HTML behind the head of a PNG": b"\x89PNG\r\n\x1a\n" + SCRIPT,
    "HTML in a PNG that is cut": image()[:40] + SCRIPT,
    "HTML in a PNG's pixels": image()[:-20] + SCRIPT + image()[-20:],
    "JavaScript that begins as a GIF": b"GIF89a=1;alert(1)//" + b"\0" * 100,
    "JavaScript that begins as a GIF of a size": b"GIF89a/*\0\0\0\0\0\0*/=1;alert(1)",
    "HTML behind the head of a JPEG": b"\xff\xd8\xff\xe0\0\x10JFIF\0" + SCRIPT,
    "HTML behind the head of a WebP": b"RIFF\x80\0\0\0WEBPVP8 " + SCRIPT,
    "SVG": SVG,
    "SVG as XML": b"<?xml version='1.0'?>" + SVG,
    "PDF": b"%PDF-1.7\n1 0 obj<</OpenAction<</S/JavaScript/JS(app.alert(1))>>>>endobj",
    "HTML": SCRIPT,
    "XHTML": b"<html xmlns='http://www.w3.org/1999/xhtml'><script>alert(1)</script></html>",
    "a ZIP": zipped(),
    "BMP": image("BMP"),
    "TIFF": image("TIFF"),
    "ICO": image("ICO", (16, 16)),
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "nothing": b"",
}


@pytest.mark.parametrize("what", POLYGLOTS)
def test_what_is_no_picture(path: Path, what: str) -> None:
    assert seen(path, POLYGLOTS[what]) is None
    if sniffed(path) in PICTURES:
        assert apart(path) is None


def test_picture_that_is_cut(path: Path) -> None:
    for format in FORMATS:
        data = image(format, (300, 300))
        assert seen(path, data) is not None
        assert seen(path, data[: len(data) * 2 // 3]) is None, format


def test_bombs_are_not_opened(path: Path) -> None:
    assert seen(path, bomb(50_000, 50_000)) is None
    assert seen(path, bomb(MEMORY // COSTS["PNG"] + 1, 1)) is None
    assert seen(path, bomb(2**31 - 1, 2**31 - 1)) is None


def test_bombs_within_the_bound_are_pictures(path: Path) -> None:
    found = seen(path, bomb(6000, 4000))
    assert found is not None
    assert opened(found.thumbnail).size == (EDGE, EDGE * 2 // 3)


def test_scans_that_have_to_be_kept_count(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "MEMORY", 20 * 20 * PROGRESSIVE - 1)
    assert seen(path, image("JPEG", (20, 20))) is not None
    assert seen(path, image("JPEG", (20, 20), progressive=True)) is None


def test_large_files_are_not_looked_at(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = image()
    monkeypatch.setattr(picture, "BYTES", len(data))
    path.write_bytes(data)
    assert apart(path) is not None
    path.write_bytes(data + b"x")
    assert apart(path) is None


def test_process_of_its_own_finds_the_same(path: Path) -> None:
    for data in (image("JPEG", exif=exif(8, placed=True)), image("WEBP"), b"GIF89a"):
        assert seen(path, data) == apart(path)


def test_process_that_comes_to_an_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_bytes(image())
    program = path.with_name("program.py")
    monkeypatch.setattr(picture, "__file__", str(program))
    for text in ("raise SystemExit(1)", "raise ImportError('no PIL')", "raise KeyboardInterrupt"):
        program.write_text(text)
        with pytest.raises(OSError, match="nothing can look at pictures"):
            apart(path)
    for signal in ("KILL", "SEGV", "XCPU"):
        program.write_text(f"import os, signal; os.kill(os.getpid(), signal.SIG{signal})")
        assert apart(path) is None


def test_process_cannot_take_all_there_is(path: Path) -> None:
    """With the bounds on what is decoded gone, those of the system still hold."""
    program = path.with_name("program.py")
    program.write_text(
        "import sys; from chatroom.files import picture; picture.MEMORY = 2**60; picture.main()"
    )
    path.write_bytes(bomb(30_000, 30_000))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(picture, "__file__", str(program))
        assert apart(path) is None


FORBIDDEN = """
import ctypes, errno, os
from chatroom.files import picture

seccomp = ctypes.CDLL("libseccomp.so.2")
seccomp.seccomp_init.restype = ctypes.c_void_p
allow, refuse = 0x7FFF0000, 0x00050000 | errno.EPERM
rules = ctypes.c_void_p(seccomp.seccomp_init(allow))
for name in (b"nice", b"setpriority"):
    call = seccomp.seccomp_syscall_resolve_name(name)
    assert seccomp.seccomp_rule_add(rules, refuse, call, 0) == 0
assert seccomp.seccomp_load(rules) == 0
try:
    os.nice(1)
except PermissionError:
    picture.main()
else:
    raise SystemExit("one may be nice here")
"""


def test_process_that_may_not_choose_when_it_runs(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the service in docs/deploy, to which the system refuses that."""
    try:
        ctypes.CDLL("libseccomp.so.2")
    except OSError:
        missing("libseccomp.so.2 is not here: install libseccomp2")
    program = path.with_name("program.py")
    program.write_text(FORBIDDEN)
    found = seen(path, image())
    assert found is not None
    monkeypatch.setattr(picture, "__file__", str(program))
    assert apart(path) == found


def spoiled(data: bytes) -> st.SearchStrategy[bytes]:
    """Return *data*, or something like it."""
    places = st.tuples(st.integers(0, len(data) - 1), st.binary(max_size=4))

    def spoil(changes: list[tuple[int, bytes]]) -> bytes:
        changed = data
        for at, new in changes:
            changed = changed[:at] + new + changed[at + len(new) :]
        return changed

    return st.lists(places, max_size=4).map(spoil)


def jpegs() -> Iterator[bytes]:
    said = exif(6, placed=True)
    every: list[dict[str, Any]] = [
        {"exif": said},
        {"exif": said, "progressive": True, "icc_profile": b"a profile"},
        {"exif": said, "restart_marker_blocks": 1, "xmp": b"<x:xmpmeta exif:GPSLatitude='48'/>"},
        {"mode": "CMYK"},
    ]
    for more in every:
        yield image("JPEG", (20, 20), **more)
    yield image("JPEG", (20, 20), exif=exif(3)) + behind()[:99]
    out = BytesIO()
    Image.new("L", (9, 9)).save(out, "MPO", save_all=True, append_images=[Image.new("L", (9, 9))])
    yield out.getvalue()


def others() -> Iterator[bytes]:
    for format in FORMATS.keys() - {"JPEG"}:
        more: dict[str, Any] = {"exif": exif(6, placed=True)} if format != "GIF" else {}
        yield image(format, (20, 20), **more)


@settings(max_examples=300, deadline=None)
@given(st.one_of(*map(spoiled, others()), st.binary(max_size=50)))
def test_nothing_is_too_odd_to_be_looked_at(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "original"
        found = seen(path, data)
        assert path.read_bytes() == data
        assert found is None or found.type in FORMATS.values()


@settings(max_examples=500, deadline=None)
@given(st.one_of(*map(spoiled, jpegs()), st.binary(max_size=50).map(b"\xff\xd8\xff".__add__)))
def test_no_jpeg_is_too_odd_to_forget_its_place(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "original"
        found = seen(path, data)
        changed = forget(path, found)
        kept = path.read_bytes()
        assert changed == (kept != data)
        assert not forget(path, found)
        if found is not None:
            assert look(path) == found
            assert same(kept, data)
            assert not place(kept)


def test_types(path: Path) -> None:
    for data, type in (
        (b"%PDF-1.7\n", "application/pdf"),
        (zipped(), "application/zip"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "video/mp4"),
        (b"ID3\x03\0\0\0\0\0\0", "audio/mpeg"),
        (b"GIF89a", "image/gif"),
        (b"hello", UNKNOWN),
        (SCRIPT, UNKNOWN),
        (SVG, UNKNOWN),
        (b"", UNKNOWN),
    ):
        path.write_bytes(data)
        assert sniffed(path) == type


def test_no_type_is_one_that_browsers_run() -> None:
    types = {kind.mime for kind in filetype.types}
    assert len(types) > 50
    for type in types:
        top, _, rest = type.partition("/")
        assert top in ("application", "audio", "font", "image", "video")
        assert not rest.endswith("xml")
        assert rest not in ("html", "javascript", "ecmascript", "json", "x-javascript")
