"""All doors to a room (`Doors`): what there is below each path, and that all of it ends in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.web.resource import Resource

from chatroom.answers import Origins, Places
from chatroom.chat import Chat
from chatroom.engineio import EngineDoor
from chatroom.files import FilesDoor, Folder
from chatroom.hardened import HardenedFactory, Upgrade
from chatroom.hooks import Hooks, beside
from chatroom.irc import IrcFactory, IrcSocketFactory, IrcUpgrade, Network
from chatroom.polling import Polling
from chatroom.rest import Door as Rooms
from chatroom.rest import doors as rest
from chatroom.socketio import application
from chatroom.sse import Events
from chatroom.web import Door, Health
from chatroom.websocket import ChatFactory, EchoFactory

NAMES = ("hooks", "irc", "poll", "rest", "socketio", "sse")
"""The doors that can be closed."""
PING = 25.0
"""Seconds between signs of life where there have to be some."""


class Doors:
    """
    The doors to *chat*, as *options* have them: `resources` by path.

    Files that come in go to *folder*. Raises `HooksError`.
    """

    def __init__(
        self, chat: Chat, folder: Folder, options: Mapping[str, Any], reactor: Any
    ) -> None:
        origins = Origins(options["origin"])
        places = Places(options["max-connections"], options["max-per-address"])
        heartbeat = {"ping": options["ping"], "ping_timeout": options["ping-timeout"]}
        self._factories: list[HardenedFactory] = []
        self._farewells: list[Callable[[], object]] = []

        def sockets(factory: HardenedFactory) -> None:
            self._factories.append(factory)
            self._farewells.append(factory.farewell)

        room = ChatFactory(chat, places, reactor, **heartbeat)
        sockets(room)
        files = FilesDoor(folder, chat.known, chat.spend, origins)
        self._files = files
        self.resources: dict[str, Resource] = {
            "ws": Door(room, origins),
            # What examples call it.
            "chat": Door(room, origins),
            "health": Health(chat),
            "files": files,
        }
        if options["echo"]:
            echo = EchoFactory(reactor, **heartbeat)
            sockets(echo)
            self.resources["echo"] = Upgrade(echo, origins)
        inside = {}
        if "sse" in options["doors"]:
            events = Events(chat, reactor, places, **heartbeat)
            self._farewells.append(events.farewell)
            inside["events"] = events.render
        if "poll" in options["doors"]:
            polling = Polling(chat, reactor, places)
            self._farewells.append(polling.farewell)
            inside["poll"] = polling.render
        if "rest" in options["doors"]:
            self.resources |= rest(chat, origins, inside)
        elif inside:
            self.resources["rooms"] = Rooms(chat, origins, [], inside)
        if "socketio" in options["doors"]:
            engine = EngineDoor(
                application(chat, reactor),
                reactor,
                origins,
                places,
                # Its clients hang up where they are not asked.
                ping_interval=options["ping"] or PING,
                ping_timeout=options["ping-timeout"] or PING,
                max_payload=room.message,
            )
            self._farewells.append(engine.farewell)
            self.resources["socket.io"] = engine

        network = Network(chat, reactor)
        self.irc = IrcFactory(network, places, **heartbeat)
        """What speaks IRC, for ports of its own."""
        self._farewells.append(self.irc.farewell)
        if "irc" in options["doors"]:
            irc = IrcSocketFactory(network, places, **heartbeat)
            sockets(irc)
            self.resources["irc"] = IrcUpgrade(irc, origins)
        if "hooks" in options["doors"] and options["store"] is not None:
            hooks = Hooks(beside(options["store"]), chat, reactor, origins)
            self._farewells.append(hooks.stop)
            self.resources["hooks"] = hooks.door
            hooks.start()

    @property
    def connections(self) -> int:
        """How many WebSockets there are."""
        return sum(factory.countConnections for factory in self._factories)

    def farewell(self) -> Deferred[Any]:
        """End all connections, and take no more files; fires when they are gone, in seconds."""
        self._files.farewell()
        return gatherResults([maybeDeferred(farewell) for farewell in self._farewells])
