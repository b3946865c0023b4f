"""The way in: handshakes, polls and WebSockets, all at one path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.task import deferLater
from twisted.web import server

from chatroom.answers import Origins, Places, answer, client, cross, header, parameters, preflight
from chatroom.engineio.codec import Malformed, TooLarge
from chatroom.engineio.polling import Payload, Polling, Polls
from chatroom.engineio.socket import Application, Query, Socket, Sockets
from chatroom.engineio.trouble import (
    FORBIDDEN,
    METHOD,
    REQUEST,
    SESSION,
    STOPPING,
    TOO_LARGE,
    TRANSPORT,
    VERSION,
    Trouble,
    refuse,
)
from chatroom.engineio.websocket import EngineFactory
from chatroom.events import Close
from chatroom.fast import Opening
from chatroom.hardened import Upgrade
from chatroom.site import Entrance, Intake, Nothing, Request

PAYLOAD = 65_536
"""The most bytes of one message that comes in."""


class WebSockets(Upgrade):
    """The part of *door* that is for WebSockets."""

    def __init__(self, door: EngineDoor, factory: EngineFactory, origins: Origins) -> None:
        super().__init__(factory, origins)
        self._door = door

    def refused(self, params: Query, who: str, transport: object) -> tuple[int, str] | None:
        trouble = self._door.trouble(params, "websocket", b"GET")
        if trouble is None and "sid" not in params:
            trouble = self._door.full(who)
        if trouble is not None:
            return trouble.status, trouble.words
        return super().refused(params, who, transport)


class EngineDoor(Intake, Entrance):
    """
    Where clients of *application* come in, at ``/NAME/`` for its name in the resource tree.

    *reactor* gives the time. *origins* are whose pages may connect, *places* what is counted of.
    Every *ping_interval* seconds the client is asked for a sign of life (in version 3 it gives one
    unasked), for which it has *ping_timeout* seconds. *max_payload* is the most bytes of a message;
    *transports* are those that clients may use.
    """

    def __init__(
        self,
        application: Application,
        reactor: IReactorTime,
        origins: Origins,
        places: Places,
        *,
        ping_interval: float = 25.0,
        ping_timeout: float = 20.0,
        max_payload: int = PAYLOAD,
        transports: Sequence[str] = ("polling", "websocket"),
    ) -> None:
        super().__init__()
        self._reactor = reactor
        self._origins = origins
        self._places = places
        self._transports = transports
        self._sockets = Sockets(
            application, reactor, places, ping_interval, ping_timeout, max_payload
        )
        self._polls = Polls(reactor, max_payload)
        self._factory = EngineFactory(reactor, self._sockets)
        self._websockets = WebSockets(self, self._factory, origins)
        self._stopping = False

    def farewell(self) -> Deferred[Any]:
        """End all sockets, and begin no other; they may come back. Fires when they are gone, soon."""
        self._stopping = True
        for socket in list(self._sockets.by_id.values()):
            socket.close(Close.RESTART, "the server is stopping; come back soon")
        # Behind what tells the application.
        told: Deferred[None] = deferLater(self._reactor, 0)
        return gatherResults([self._factory.farewell(), told])

    # Requests.

    def admit(self, request: Request, length: int | None) -> Nothing:
        polling = self._polling(parameters(request).get("sid", [""])[-1])
        if request.method == b"POST" and polling is not None and self._origins.admit(request):
            return polling.admit(request, length)
        return Nothing()

    def render(self, request: server.Request) -> bytes | int:
        """Answer *request*, whatever its method."""
        if header(request, "origin") is not None:
            # Clients of version 3 ask for this unless they are told otherwise, wherever they are.
            request.setHeader("Access-Control-Allow-Credentials", "true")
        if request.method == b"OPTIONS":
            # The option `extraHeaders` of clients; none of these means anything here.
            asked = header(request, "access-control-request-headers")
            headers = asked or "Authorization, Content-Type"
            return preflight(request, self._origins, "GET, POST", headers)
        if (strange := cross(request, self._origins)) is not None:
            return refuse(request, Trouble(FORBIDDEN, strange.words, strange.status))
        if request.postpath not in ([], [b""]):
            return answer(request, 404, "there is nothing here")
        if "websocket" in (header(request, "upgrade") or "").lower():
            return self._websockets.render(request)
        query = parameters(request)
        trouble = self.trouble(query, "polling", request.method)
        if trouble is not None:
            return refuse(request, trouble)
        sid = query.get("sid", [""])[-1]
        if not sid:
            return self._begin(request, query)
        polling = self._polling(sid)
        assert polling is not None
        if request.method == b"POST":
            return self._post(request, polling)
        if not polling.poll(request):
            polling.socket.drop()
            return refuse(request, REQUEST)
        return server.NOT_DONE_YET

    def _polling(self, sid: str) -> Polling | None:
        """Return the transport of *sid* if it polls, be it only for what waits after its end."""
        socket = self._sockets.by_id.get(sid)
        if socket is None:
            return self._polls.leaving.get(sid)
        return socket.transport if isinstance(socket.transport, Polling) else None

    def _begin(self, request: server.Request, query: Query) -> bytes | int:
        who = client(request)
        if (trouble := self.full(who)) is not None:
            return refuse(request, trouble)
        headers = {
            name.decode("latin-1").lower(): b",".join(values).decode("latin-1")
            for name, values in request.requestHeaders.getAllRawHeaders()
        }
        socket = Socket(self._sockets, int(query["EIO"][-1]), query, headers, who)
        polling = Polling(socket, self._polls)
        upgrades = [name for name in self._transports if name != "polling"]
        self._sockets.open(socket, polling, upgrades)
        # Answered before there is more: not all clients look for more in this answer.
        polling.poll(request)
        self._sockets.introduce(socket)
        return server.NOT_DONE_YET

    def _post(self, request: server.Request, polling: Polling) -> bytes | int:
        body, trouble = request.content, REQUEST
        if body is polling.posting and isinstance(body, Payload) and not body.too_large:
            try:
                return polling.post(request)
            except TooLarge:
                trouble = TOO_LARGE
            except Malformed as error:
                trouble = Trouble(REQUEST.code, str(error))
        elif body is polling.posting or polling.posting is None:
            trouble = TOO_LARGE
        # What was in it is lost, so nothing that follows can be right.
        polling.socket.drop()
        return refuse(request, trouble)

    # WebSockets that begin in the short way.

    def begin(self, transport: Any, peer: IAddress, asked: Opening) -> Any:
        if asked.path[1:].partition(b"/")[2]:
            return None
        return self._websockets.begin(transport, peer, asked)

    # For both.

    def trouble(self, query: Query, transport: str, method: bytes) -> Trouble | None:
        """Return what is wrong with a request that came by *transport*, if there is something."""
        wish, version, sid = (query.get(name, [""])[-1] for name in ("transport", "EIO", "sid"))
        if wish not in self._transports:
            return TRANSPORT
        if not sid:
            if method != b"GET":
                return METHOD
        elif (socket := self._sockets.by_id.get(sid)) is None:
            # What still comes is for nobody, but must not keep the client from what waits for it.
            known = sid in self._polls.leaving and method in (b"GET", b"POST")
            if not known or transport != "polling":
                return SESSION
        elif (
            version != str(socket.version)
            or method not in (b"GET", b"POST")
            or (transport == "polling" and not isinstance(socket.transport, Polling))
        ):
            return REQUEST
        if wish != transport:
            return REQUEST
        return None if version in ("3", "4") else VERSION

    def full(self, who: str) -> Trouble | None:
        """Return why there is no place for one more from the address *who*, if so."""
        if self._stopping:
            return STOPPING
        refusal = self._places.refused(who)
        if refusal is None:
            return None
        return Trouble(FORBIDDEN, refusal.words, refusal.status, refusal.retry)
