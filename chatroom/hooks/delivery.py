"""One outgoing hook: it follows its room, and hands on what is said there, in order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatroom.chat import Chat
from chatroom.events import Entry, cursor, encode, parse_cursor
from chatroom.hooks.file import Outgoing, State
from chatroom.hooks.posting import Answer
from chatroom.log import Unavailable
from chatroom.names import room_name

CHUNK = 20
"""So many entries are read at a time."""
LONGEST = 3600.0
"""So many seconds at most pass from one attempt to the next; the first wait is of one second."""


class Delivery:
    """
    The way of *hook*: each entry of its room is *post*-ed with an id, until that is taken.

    *note* is told how far it has come; what is not noted when the process ends is posted again,
    with the same id. *random* gives numbers from 0 to 1.
    """

    _log = Logger()

    def __init__(
        self,
        hook: Outgoing,
        chat: Chat,
        clock: IReactorTime,
        post: Callable[[str, bytes], Awaitable[Answer]],
        note: Callable[[str, State], None],
        random: Callable[[], float],
    ) -> None:
        self.hook = hook
        self.state = hook.state
        self._chat = chat
        self._clock = clock
        self._post = post
        self._note = note
        self._random = random
        self._key = room_name(hook.room).key
        self._stopped = False
        self._news: Deferred[None] | None = None
        self._unfollow = chat.follow(self._key, self._told)
        self._course = Deferred.fromCoroutine(self._run())
        self._course.addErrback(self._ended)

    def stop(self) -> None:
        """Hand on nothing more."""
        self._stopped = True
        self._unfollow()
        self._course.cancel()

    def _told(self) -> None:
        if self._news is not None:
            # Not at once, for the others are being told, too.
            self._clock.callLater(0, self._news.callback, None)
            self._news = None

    async def _run(self) -> None:
        after, attempts = None, 0
        while not self.state.ended:
            try:
                after = self._start() if after is None else after
                entries = self._chat.log.since(self._key, after, CHUNK)
            except Unavailable:
                attempts += 1
                await self._wait(attempts)
                continue
            if not entries:
                self._news = Deferred()
                await self._news
            for entry in entries:
                answer = await self._post(f"{self.hook.id}-{self._cursor(entry.id)}", encode(entry))
                # What is given up may end like what has failed.
                if self._stopped:
                    return
                self._take(answer, entry)
                if answer.trouble is not None:
                    attempts += 1
                    await self._wait(attempts, answer.retry)
                    # To read again, for it may have been taken back by now.
                    break
                after, attempts = entry.id, 0

    def _start(self) -> int:
        """Return the id of the entry to go on behind. Raises `Unavailable`."""
        epoch, id = parse_cursor(self.state.cursor or "") or (None, 0)
        if epoch == self._chat.log.epoch:
            return id
        if epoch is not None:
            self._log.warn(
                "hook {id} begins with what is said from now on: the store is another one",
                id=self.hook.id,
            )
        known = self._chat.log.room(self._key)
        last = known.last if known else 0
        self._go_on(self.state._replace(cursor=self._cursor(last)))
        return last

    def _take(self, answer: Answer, entry: Entry) -> None:
        """Note what has come of posting *entry*, and tell when that is another thing than before."""
        id, trouble, state = self.hook.id, answer.trouble, self.state
        if trouble is None:
            state = state._replace(cursor=self._cursor(entry.id))
        if answer.gone:
            self._log.warn("hook {id} has ended: {trouble}", id=id, trouble=trouble)
        elif trouble is not None and state.trouble is None:
            self._log.warn("hook {id} fails, and is tried again: {trouble}", id=id, trouble=trouble)
        elif trouble is None and state.trouble is not None:
            self._log.info("hook {id} works again", id=id)
        self._go_on(state._replace(trouble=trouble, ended=answer.gone))

    def _go_on(self, state: State) -> None:
        if state != self.state:
            self.state = state
            self._note(self.hook.id, state)

    def _cursor(self, id: int) -> str:
        return cursor(self._chat.log.epoch, id)

    async def _wait(self, attempts: int, least: float = 0.0) -> None:
        """Wait after so many *attempts* that failed, *least* seconds if that is no hour."""
        most = min(LONGEST, 2.0 ** min(attempts - 1, 12))
        wait = most * (1 + self._random()) / 2
        await deferLater(self._clock, max(wait, min(least, LONGEST)))

    def _ended(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._log.failure("a bug in hook {id}", failure, id=self.hook.id)
