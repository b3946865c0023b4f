"""
Engine.IO, protocol versions 4 and 3: what Socket.IO's clients of all ages connect with.

A client has one `Socket`, whether it polls over HTTP, has a WebSocket, or changes from the one to
the other. What comes in is given to an `Application`; `EngineDoor` is the way in, for the resource
tree. https://github.com/socketio/engine.io-protocol is the source of what is said on the wire.
"""

from chatroom.engineio.door import EngineDoor
from chatroom.engineio.socket import Application, Socket

__all__ = ["Application", "EngineDoor", "Socket"]
