"""What is a picture, and what is only called one."""

from __future__ import annotations

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
from chatroom.files.picture import COSTS, EDGE, MEMORY, PROGRESSIVE, Picture, examined, forget, look
from chatroom.files.upload import PICTURES, UNKNOWN, sniffed
from tests.filing import bomb, exif, image

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


def test_place_where_it_was_taken_is_forgotten(path: Path) -> None:
    data = image("JPEG", (64, 32), exif=exif(6, placed=True), xmp=b"<x:xmpmeta/>")
    assert opened(data).getexif().get_ifd(ExifTags.IFD.GPSInfo)
    found = seen(path, data)
    assert found is not None
    assert (found.told, found.width, found.height) == (True, 32, 64)
    forget(path, found.turn)
    kept = opened(path.read_bytes())
    assert dict(kept.getexif()) == {ExifTags.Base.Orientation: 6}
    assert "xmp" not in kept.info
    # Not a pixel is another.
    assert ImageChops.difference(kept, opened(data)).getbbox() is None
    # Looked at again, it is the same and says nothing.
    assert look(path) == found._replace(told=False)
    assert [part.name for part in path.parent.iterdir()] == ["original"]


def test_place_in_xmp_is_forgotten(path: Path) -> None:
    found = seen(path, image("JPEG", xmp=b"<x:xmpmeta exif:GPSLatitude='48'/>"))
    assert found is not None
    assert found.told
    forget(path, found.turn)
    assert dict(opened(path.read_bytes()).getexif()) == {}
    assert b"GPS" not in path.read_bytes()


def test_what_says_no_place(path: Path) -> None:
    found = seen(path, image("JPEG", exif=exif(6), xmp=b"<x:xmpmeta/>"))
    assert found is not None
    assert not found.told
    # One of eight ways, or none.
    found = seen(path, image("JPEG", exif=exif(9)))
    assert found is not None
    assert found.turn is None


def test_jpeg_with_odd_segments(path: Path) -> None:
    """Fill bytes, and markers without a length, between segments: Pillow skips them."""
    data = image("JPEG", exif=exif(3, placed=True), comment=b"kept")
    odd = data[:2] + b"\xff\xff" + b"\xff\xd0" + data[2:]
    found = seen(path, odd)
    assert found is not None
    assert found.told
    forget(path, found.turn)
    kept = opened(path.read_bytes())
    assert dict(kept.getexif()) == {ExifTags.Base.Orientation: 3}
    assert kept.info["comment"] == b"kept"
    assert ImageChops.difference(kept, opened(data)).getbbox() is None


def test_jpeg_that_ends_before_its_picture(path: Path) -> None:
    data = image("JPEG", exif=exif(3, placed=True))
    path.write_bytes(data[:200])
    forget(path, None)
    assert path.stat().st_size < 200


def test_jpeg_with_another_behind_it(path: Path) -> None:
    """As telephones write them: with a second picture in the same file, and where it is said."""
    out = BytesIO()
    first, second = Image.linear_gradient("L"), Image.radial_gradient("L")
    first.save(out, "MPO", save_all=True, append_images=[second])
    found = seen(path, out.getvalue())
    assert found is not None
    assert (found.type, found.width) == ("image/jpeg", 256)


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


def spoilt() -> Iterator[st.SearchStrategy[bytes]]:
    for format in FORMATS:
        more: dict[str, Any] = {"exif": exif(6, placed=True)} if format != "GIF" else {}
        data = image(format, (20, 20), **more)
        places = st.tuples(st.integers(0, len(data) - 1), st.binary(max_size=4))

        def spoil(changes: list[tuple[int, bytes]], data: bytes = data) -> bytes:
            for at, new in changes:
                data = data[:at] + new + data[at + len(new) :]
            return data

        yield st.lists(places, max_size=4).map(spoil)


@settings(max_examples=300, deadline=None)
@given(st.one_of(*spoilt(), st.binary(max_size=50)))
def test_nothing_is_too_odd_to_be_looked_at(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "original"
        found = seen(path, data)
        if found is None:
            assert path.read_bytes() == data
        else:
            assert found.type in FORMATS.values()
            if found.told and found.type == "image/jpeg":
                forget(path, found.turn)
                again = look(path)
                assert again is not None
                assert not again.told
                assert (again.width, again.height) == (found.width, found.height)


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
