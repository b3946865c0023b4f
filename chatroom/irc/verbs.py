"""All commands that there are."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from chatroom.irc import channels, past, people, registering, server, speaking
from chatroom.irc.connection import Verb

VERBS: Mapping[str, Verb] = MappingProxyType(
    {
        **channels.VERBS,
        **past.VERBS,
        **people.VERBS,
        **registering.VERBS,
        **server.VERBS,
        **speaking.VERBS,
    }
)
