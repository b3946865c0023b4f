"""
Socket.IO, revisions 4 and 5 of its protocol, on `chatroom.engineio`.

`codec` knows what packets look like, a `Connection` which namespaces somebody is in, and a `Seat`
what goes on in one of them: in the `room`, or in the `broadcast`.
"""

from twisted.internet.interfaces import IReactorTime

from chatroom.chat import Chat
from chatroom.engineio import Application
from chatroom.socketio.broadcast import Broadcast
from chatroom.socketio.codec import MAIN
from chatroom.socketio.connection import Connection, Connections, Seat
from chatroom.socketio.room import Doorway

__all__ = ["Connection", "Connections", "Seat", "application"]


def application(chat: Chat, clock: IReactorTime) -> Application:
    """Return what is on top of Engine.IO: *chat* in the main namespace, and the broadcast."""
    return Connections({MAIN: Doorway(chat).seat, "/broadcast": Broadcast(chat).seat}, clock)
