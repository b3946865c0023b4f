"""
Webhooks: by the ones programs say something in a room, by the others they are told what is said.

`file` is where they are kept, beside the store; ``chatroom-admin`` changes it while the daemon runs.
`incoming` is the door for the ones, which reads what is posted by `slack` and `mrkdwn`. Of the others
each is a `delivery`: a cursor on its room, which hands on by `posting`, signed by `signing`, in `ways`
that lead to no `address` that is not public.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThread
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import BrowserLikePolicyForHTTPS, HostnameCachingHTTPSPolicy
from twisted.web.iweb import IPolicyForHTTPS

from chatroom.answers import Origins
from chatroom.chat import Chat
from chatroom.hooks.delivery import Delivery
from chatroom.hooks.file import HooksError, HooksFile, Incoming, Outgoing, State, beside
from chatroom.hooks.incoming import IncomingDoor
from chatroom.hooks.posting import Receiver

__all__ = ["Hooks", "HooksError", "beside"]

LOOK = 1.0
"""Every so many seconds it is looked whether hooks have been added or removed."""


class Hooks:
    """
    The hooks in the file *path*, for the rooms of *chat*, by *reactor*.

    Pages of *origins* may post from other sites. *policy* verifies the certificates of receivers, in
    place of the system; *run* calls a function in a thread. Raises `HooksError`.
    """

    _log = Logger()

    def __init__(
        self,
        path: Path,
        chat: Chat,
        reactor: Any,
        origins: Origins,
        policy: IPolicyForHTTPS | None = None,
        run: Callable[..., Deferred[Any]] = deferToThread,
    ) -> None:
        self._file = HooksFile(path)
        # What is damaged is found now.
        self._file.hooks()
        self._version = (0, 0)
        self._chat = chat
        self._reactor = reactor
        self._policy = HostnameCachingHTTPSPolicy(policy or BrowserLikePolicyForHTTPS())
        self._run = run
        self._incoming: dict[bytes, Incoming] = {}
        self._outgoing: dict[str, tuple[Delivery, Receiver]] = {}
        self._due: dict[str, str | State] = {}
        """What is to be noted in the file, by hook: the token of a user, or how far it has come."""
        self._writing: Deferred[None] | None = None
        self._failing = False
        self.door = IncomingDoor(chat, origins, self._incoming.get, self._met)
        self._looking = LoopingCall(self._look)
        self._looking.clock = reactor

    def start(self) -> None:
        """Begin to hand on, and to look for changes."""
        self._looking.start(LOOK)

    def stop(self) -> Deferred[None]:
        """End all; fires when the file is closed."""
        self._looking.stop()
        self._load([])
        return Deferred.fromCoroutine(self._close())

    async def _close(self) -> None:
        # What is under way, and then what was due behind it.
        for _ in range(2):
            self._write()
            if self._writing is not None:
                await self._writing
        self._file.close()

    def _look(self) -> None:
        """Read the file, if others have changed it, and note what could not be noted before."""
        try:
            version = self._file.version()
            if version != self._version:
                hooks = self._file.hooks()
                self._version = version
                self._load(hooks)
            if self._failing and not self._due:
                self._failing = False
                self._log.info("the hooks can be used again")
            self._write()
        except HooksError as error:
            self._fails(error)
        except Exception:  # noqa: BLE001 (the next look may do)
            self._log.failure("a bug in a look at hooks")

    def _load(self, hooks: list[Incoming | Outgoing]) -> None:
        """Let there be these *hooks* and no others; what is known of one is newer here."""
        known = {hook.id: hook for hook in self._incoming.values()}
        self._incoming.clear()
        for id in self._outgoing.keys() - {hook.id for hook in hooks}:
            delivery, receiver = self._outgoing.pop(id)
            # In this order, for what is given up looks like what is lost.
            receiver.close()
            delivery.stop()
        for hook in hooks:
            if isinstance(hook, Incoming):
                self._incoming[hook.digest] = known.get(hook.id, hook)
            elif hook.id not in self._outgoing:
                self._outgoing[hook.id] = self._begun(hook)

    def _begun(self, hook: Outgoing) -> tuple[Delivery, Receiver]:
        receiver = Receiver(hook, self._reactor, self._chat.wall, self._policy)
        delivery = Delivery(
            hook, self._chat, self._reactor, receiver.post, self._note, random.random
        )
        return delivery, receiver

    def _met(self, hook: Incoming, token: str) -> None:
        self._incoming[hook.digest] = hook._replace(token=token)
        self._note(hook.id, token)

    def _note(self, id: str, what: str | State) -> None:
        self._due[id] = what
        self._write()

    def _write(self) -> None:
        """Note what is due, unless something is being noted: then all that is due by then."""
        if self._writing is not None or not self._due:
            return
        due, self._due = self._due, {}

        def written(_: None) -> None:
            self._writing = None
            self._write()

        def failed(failure: Failure) -> None:
            self._writing = None
            # It is tried again at the next look.
            self._due = due | self._due
            if isinstance(failure.value, HooksError):
                self._fails(failure.value)
            else:
                self._log.failure("a bug in noting hooks", failure)

        self._writing = self._run(self._file.keep, due)
        self._writing.addCallbacks(written, failed)

    def _fails(self, error: HooksError) -> None:
        """Tell of *error*, unless that has been done."""
        if not self._failing:
            self._log.error("{error}", error=str(error))
        self._failing = True
