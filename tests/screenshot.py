"""
Take pictures of the page in its main states: ``python -m tests.screenshot FOLDER``.

They are in the font Inter where the system has it (Debian's package fonts-inter).
"""

from __future__ import annotations

import io
import itertools
import json
import os
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect
from websockets.sync.client import connect

from tests.browser import launch
from tests.daemon import Daemon
from tests.scenes import CHINESE, ENGLISH, Scene

DESKTOP: dict[str, Any] = {"viewport": {"width": 1200, "height": 750}, "device_scale_factor": 1.5}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
}
FONTS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  <match>
    <test name="family"><string>sans-serif</string></test>
    <edit name="family" mode="prepend" binding="strong"><string>Inter</string></edit>
  </match>
</fontconfig>"""
NONCES = itertools.count()


class Guest:
    """Somebody who talks over a connection without a page."""

    def __init__(self, daemon: Daemon, room: str, **who: str) -> None:
        self._url = daemon.url
        address = f"{daemon.ws}?{urlencode({'room': room, **who})}"
        self._open = ExitStack()
        self._socket = self._open.enter_context(connect(address, max_queue=None, proxy=None))
        me = self.get("init")["self"]
        self.id: int = me["id"]
        self.token: str = me["token"]

    def send(self, event: str, **data: object) -> None:
        self._socket.send(json.dumps({"event": event, "data": data}))

    def get(self, event: str, **members: object) -> dict[str, Any]:
        """Return the data of the next *event* that has *members*."""
        while True:
            said = json.loads(self._socket.recv(10))
            assert said["event"] != "error", said
            if said["event"] == event and members.items() <= said["data"].items():
                data: dict[str, Any] = said["data"]
                return data

    def do(self, event: str, **data: object) -> int:
        """Send *event*, and return the id of the entry that comes of it."""
        nonce = f"{self.id}-{next(NONCES)}"
        self.send(event, nonce=nonce, **data)
        entry: int = self.get(event, nonce=nonce)["id"]
        return entry

    def enter(self, event: str, **data: object) -> dict[str, Any]:
        """Enter a room."""
        self.send(event, **data)
        return self.get("init")

    def upload(self, name: str, content: bytes) -> dict[str, str]:
        """Upload a file, and return what `talk` wants to know of it."""
        request = Request(f"{self._url}files?name={quote(name)}", content)
        request.add_header("Authorization", f"Bearer {self.token}")
        with urlopen(request) as answer:
            file = json.load(answer)
        return {"id": file["id"], "name": file["name"]}

    def close(self) -> None:
        self._open.close()


class Stage:
    """A daemon in which a scene was played, and the people of the scene who are still there."""

    def __init__(self, scene: Scene, folder: Path) -> None:
        self.scene = scene
        self.daemon = Daemon(folder, "--talk-rate", "0", "--max-per-address", "100")
        self._store = folder / "chatroom.sqlite"
        self._tokens: dict[str, str] = {}
        self._ids: dict[str, int] = {}
        self._guests: dict[str, Guest] = {}

    def play(self) -> None:
        """Have all be said, as if it had taken its time."""
        scene = self.scene
        with self.daemon:
            self._enter()
            self._talk()
            for room, lines in scene.elsewhere.items():
                for guest in self._guests.values():
                    guest.enter("join", room=room)
                read = self._guests[scene.people[0]].do("talk", room=room, message="👋")
                self._read(room, read)
                for who, text in lines:
                    self._guests[who].do("talk", room=room, message=text)
            for who, texts in scene.directs.items():
                room = self._guests[scene.viewer].enter("direct", id=self._ids[who])["room"]
                self._guests[who].enter("direct", id=self._ids[scene.viewer])
                read = self._guests[who].do("talk", room=room, message="👋")
                self._read(room, read)
                for text in texts:
                    self._guests[who].do("talk", room=room, message=text)
            for guest in self._guests.values():
                guest.close()
            self.daemon.stop()
        self._date()

    @contextmanager
    def again(self) -> Iterator[None]:
        """Start the daemon once more, with all but the viewer in the room."""
        with self.daemon:
            self._enter(leave_out=self.scene.viewer)
            yield
            for guest in self._guests.values():
                guest.close()

    def context(self, browser: Browser, **options: Any) -> BrowserContext:
        """The viewer's browser."""
        known = {"token": self._tokens[self.scene.viewer], "name": self.scene.viewer}
        kept = [{"name": f"chatroom / {key}", "value": value} for key, value in known.items()]
        origin = {"origin": self.daemon.url.rstrip("/"), "localStorage": kept}
        remembered: Any = {"cookies": [], "origins": [origin]}
        return browser.new_context(storage_state=remembered, locale=self.scene.locale, **options)

    def open(self, context: BrowserContext) -> Page:
        """The viewer's page, when all of it is there."""
        page = context.new_page()
        page.goto(f"{self.daemon.url}#/{quote(self.scene.room)}")
        expect(page.locator("#messages .message")).to_have_count(len(self.scene.lines))
        expect(page.locator("#directs li")).to_have_count(len(self.scene.directs))
        page.locator("#messages img").evaluate(
            "async (node) => { node.loading = 'eager'; await node.decode(); }"
        )
        return page

    def type(self, page: Page) -> None:
        """Have somebody be typing."""
        self._guests[self.scene.typing].send("typing", room=self.scene.room)
        expect(page.locator("#typing")).to_contain_text(self.scene.typing)

    def _enter(self, leave_out: str = "") -> None:
        scene = self.scene
        for name in (scene.viewer, *scene.people):
            if name == leave_out:
                continue
            token = self._tokens.get(name)
            who = {"token": token} if token else {"name": name}
            guest = self._guests[name] = Guest(self.daemon, scene.room, **who)
            self._tokens[name], self._ids[name] = guest.token, guest.id

    def _talk(self) -> None:
        scene, room = self.scene, self.scene.room
        self._guests[scene.people[0]].do("topic", room=room, topic=scene.topic)
        ids: list[int] = []
        for line in scene.lines:
            who = self._guests[line.who]
            more: dict[str, object] = {}
            if line.reply is not None:
                more["reply"] = ids[line.reply]
            if line.file is not None:
                more["file"] = who.upload(*line.file)
            ids.append(who.do("talk", room=room, message=line.text, type=line.type, **more))
            if line.edited:
                who.do("edit", room=room, of=ids[-1], message=line.edited)
        for line, entry in zip(scene.lines, ids, strict=True):
            for emoji, names in line.reactions.items():
                for name in names:
                    self._guests[name].do("react", room=room, of=entry, emoji=emoji)
        self._read(room, ids[scene.read])

    def _read(self, room: str, entry: int) -> None:
        viewer = self._guests[self.scene.viewer]
        viewer.send("read", room=room, id=entry)
        viewer.get("read", room=room)

    def _date(self) -> None:
        """Give the messages their times: they were all said within a second."""
        scene = self.scene
        times = list(itertools.accumulate(line.after for line in scene.lines))
        start = datetime.now(UTC) - timedelta(seconds=times[-1] + 30)
        with closing(sqlite3.connect(self._store)) as store, store:
            said = store.execute(
                """SELECT seq FROM messages JOIN rooms ON number = room
                WHERE rooms.name = ? ORDER BY id""",
                (scene.room,),
            ).fetchall()
            for (seq,), after in zip(said, times, strict=True):
                time = start + timedelta(seconds=after)
                told = time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
                store.execute(
                    "UPDATE messages SET time = ?1, now = json_set(now, '$.time', ?1) WHERE seq = ?2",
                    (told, seq),
                )


def save(page: Page, picture: Path) -> None:
    """Save what *page* shows, in few bytes."""
    page.mouse.move(0, 0)
    page.evaluate(
        "() => Promise.allSettled(document.getAnimations().map(({ finished }) => finished))"
    )
    image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    image.quantize(256, kmeans=1, dither=Image.Dither.NONE).save(picture, optimize=True)
    print(f"{picture}: {picture.stat().st_size / 1000:.0f} kB")


def take(browser: Browser, folder: Path) -> None:
    """Take all pictures."""
    with tempfile.TemporaryDirectory() as where:
        stage = Stage(ENGLISH, Path(where))
        stage.play()
        with stage.again():
            _desktop(stage, browser, folder)
            _phone(stage, browser, folder)
    with tempfile.TemporaryDirectory() as where:
        stage = Stage(CHINESE, Path(where))
        stage.play()
        with stage.again(), stage.context(browser, **DESKTOP) as context:
            page = stage.open(context)
            stage.type(page)
            save(page, folder / "screenshot-chinese.png")


def _desktop(stage: Stage, browser: Browser, folder: Path) -> None:
    with stage.context(browser, **DESKTOP) as context:
        page = stage.open(context)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            stage.type(page)
            save(page, folder / f"screenshot{'-dark' if scheme == 'dark' else ''}.png")
        page.emulate_media(color_scheme="light")
        page.locator("#search-toggle").click()
        page.get_by_role("searchbox").last.fill(stage.scene.query)
        expect(page.locator("#search .hits li")).not_to_have_count(0)
        save(page, folder / "screenshot-search.png")
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Choose an emoji").click()
        expect(page.locator("#picker")).to_be_visible()
        save(page, folder / "screenshot-emoji.png")


def _phone(stage: Stage, browser: Browser, folder: Path) -> None:
    with stage.context(browser, **PHONE, color_scheme="light") as context:
        page = stage.open(context)
        stage.type(page)
        save(page, folder / "screenshot-phone.png")
        page.emulate_media(color_scheme="dark")
        page.locator("#rooms-toggle").tap()
        expect(page.locator("#sidebar")).to_be_visible()
        save(page, folder / "screenshot-phone-rooms.png")


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tests.screenshot FOLDER")
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as fonts:
        fonts.write(FONTS)
        fonts.flush()
        os.environ["FONTCONFIG_FILE"] = fonts.name
        with launch() as browser:
            take(browser, folder)


if __name__ == "__main__":
    main()
