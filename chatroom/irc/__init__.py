"""
The rooms as an IRC network: over TCP and over WebSocket (docs/irc.md).

`nicks`, `lines` and `texts` are pure; `tongue` makes lines of events, once for all who hear alike;
`connection` is one client, and the rest what its commands do.
"""

from chatroom.irc.network import Network
from chatroom.irc.tcp import IrcFactory
from chatroom.irc.websocket import IrcSocketFactory, IrcUpgrade

__all__ = ["IrcFactory", "IrcSocketFactory", "IrcUpgrade", "Network"]
