"""One connection of IRC, whatever it comes by: lines in, lines out, a `Session` in between."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from itertools import count
from typing import Any, NamedTuple

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.words.protocols.irc import (
    ERR_NEEDMOREPARAMS,
    ERR_NOTREGISTERED,
    ERR_UNKNOWNCOMMAND,
)

from chatroom import names
from chatroom.commands import Command
from chatroom.events import (
    Batch,
    Close,
    Direct,
    Entry,
    Error,
    Event,
    Exited,
    Init,
    Joined,
    Renamed,
)
from chatroom.irc.lines import BODY, Line, Out, body, cut, parse
from chatroom.irc.multiline import Multiline
from chatroom.irc.network import Network
from chatroom.irc.presence import Presence
from chatroom.irc.reply import Reply
from chatroom.irc.tongue import NOTICE, Piece
from chatroom.irc.wire import Outlet, Wire
from chatroom.limits import TokenBucket
from chatroom.session import PATIENCE, Problem, Session

ECHO = "echo-message"
ERR_INPUTTOOLONG = "417"
RPL_TRYAGAIN = "263"
QUESTIONS = 5
"""So many bursts of questions a user has at once, as by every door."""
REGISTRATION = 30.0
"""In so many seconds a connection must have said who it is."""


class Verb(NamedTuple):
    """
    What *does* a command that has at least so many *params*.

    *early*: also before registration. *costs*: it is a question like others.
    """

    does: Callable[[Connection, Reply, Line], Coroutine[Any, Any, None] | None]
    params: int = 0
    early: bool = False
    costs: bool = False


class Asked(NamedTuple):
    """What the session was asked: *settles* tells by which event that is answered."""

    settles: Callable[[Event], bool]
    answer: Deferred[Piece]


class Connection(Outlet):
    """
    A client of *network* at the other end of *wire*, who knows the commands *verbs*.

    Commands are done one after the other: while one waits for what the room says to it, those
    behind it wait, too, so that what follows a command follows its answer.
    """

    log = Logger()
    session: Session | None = None
    wish: str | None = None
    """The nick that is wished for …"""
    username: str | None = None
    realname = ""
    token: str | None = None
    """… and what proves who this is, before there is a session."""
    sasl: str | None = None
    """What has come of an authentication that has begun."""
    negotiating = False
    version = 301
    multiline: Multiline | None = None
    presence: Presence
    me: int
    """The user's id. This and `presence` are there once the client is registered."""
    _over = False
    _paused = False
    _held = False
    _work: Deferred[None] | None = None
    _asked: Asked | None = None

    def __init__(self, network: Network, wire: Wire, verbs: Mapping[str, Verb]) -> None:
        super().__init__(network, wire)
        self._verbs = verbs
        self._lines: deque[bytes] = deque()
        self._patience = TokenBucket(1, PATIENCE)
        self._nonce = f"{secrets.token_hex(6)}-"
        self._nonces = count(1)
        self._late: IDelayedCall | None = network.clock.callLater(REGISTRATION, self._too_late)

    @property
    def nick(self) -> str:
        """What the client is called, as far as it knows."""
        return self.presence.nick if self.session is not None else self.wish or "*"

    @property
    def server(self) -> str:
        """What the server is called."""
        return self.network.server

    @property
    def mask(self) -> str:
        """The source of what this client says."""
        return self.network.mask(self.here.user.who)

    @property
    def here(self) -> Session:
        """The session, which there is once the client is registered."""
        assert self.session is not None
        return self.session

    # From the wire.

    def receive(self, lines: Iterable[bytes]) -> None:
        """Do what *lines* say, when it is their turn."""
        if not self.closed:
            self._lines += lines
            self._go_on()

    def pause(self) -> None:
        """Send nothing until `resume`: the client does not read."""
        self._paused = True
        if self.session is not None:
            self.presence.remember()
            self.session.pause()
        self._hold()

    def resume(self) -> None:
        """Go on with what was missed, and with what has come in."""
        self._paused = False
        if self.session is not None:
            self._guarded(self.session.resume)
            self.presence.forget()
            if self._paused:
                self.presence.remember()
        self._go_on()

    def lost(self, *, clean: bool = False) -> None:
        """End: the connection is gone; *clean* if the client meant it."""
        self._stop()
        if self.session is not None and not self._over:
            self._over = True
            self.network.left(self.session.user.id)
            self.session.close(clean=clean)

    # To the wire.

    def quit(self, reason: str) -> None:
        """End the connection as the client wishes."""
        self.end(None, reason)
        self.lost(clean=True)

    def end(self, code: Close | None, reason: str) -> None:
        """End the connection, with *code* where there are such codes."""
        if not self.closed:
            self.send([Out((), cut(f"ERROR :Closing link: {reason}", BODY - 2))])
            self._stop()
            self.flush()
            self.wire.leave(code, reason)

    def grumble(self) -> None:
        """Take note of an error of the client's; end the connection after too many of them."""
        if self._patience.take(self.network.chat.clock()):
            self.end(Close.POLICY, "too many errors")

    # For commands.

    def registered(self, session: Session) -> None:
        """Begin: *session* is open, in no room."""
        self.presence = Presence(self.network.chat, session)
        self.session = session
        self.me = session.user.id
        self.network.came(session.user.id, self.username or "user", self.realname)
        self._on_time()

    def nonce(self, *, notice: bool = False) -> str:
        """Return a nonce that only this connection has, for something that is said once."""
        return f"{NOTICE if notice else ''}{self._nonce}{next(self._nonces)}"

    def ask(self, command: Command, settles: Callable[[Event], bool]) -> Deferred[Piece]:
        """
        Give *command* to the session; fires with the event that *settles* it, or an `Error`.

        At that time, all that was before it has been sent, and nothing that comes behind it.
        """

        def settled(event: Event) -> bool:
            if isinstance(event, Error) and event.about == command.event:
                return True
            return settles(event)

        answer: Deferred[Piece] = Deferred()
        self._asked = Asked(settled, answer)
        self.here.receive(command)
        return answer

    async def turn(self) -> None:
        """Let others have their turn. Raises `CancelledError` if the connection ends meanwhile."""
        await deferLater(self.network.clock, 0)
        if self.closed:
            raise CancelledError

    # From the session.

    def hear(self, batch: Batch) -> None:
        """Send what *batch* tells, and do what it is about."""
        self._guarded(self._hear, batch)

    def _hear(self, batch: Batch) -> None:
        told = batch.encoded(self.tongue.told)
        if told.speakers is not None and self.me not in told.speakers:
            if told.direct is not None:
                self.presence.heard(*told.direct)
            self.write(told.data)
            return
        with self.together():
            self._hear_each(told.pieces)

    def _hear_each(self, pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            if isinstance(piece.event, Init) and not self.closed:
                # What was missed may be what was asked for.
                missed = self.presence.entered(piece.event)
                self._hear_each(self.tongue.told(missed).pieces)
            if self.closed:
                return
            event, asked = piece.event, self._asked
            mine = asked is not None and asked.settles(event)
            if self._wanted(piece, mine):
                self.write(piece.data)
            if mine and asked is not None:
                self._asked = None
                asked.answer.callback(piece)

    def _wanted(self, piece: Piece, mine: bool) -> bool:
        """Take note of the event of *piece*; return whether it is to be sent at once."""
        event, presence = piece.event, self.presence
        if isinstance(event, Direct):
            presence.called(event)
        elif isinstance(event, Renamed):
            return presence.renamed(event) and not mine
        elif isinstance(event, Joined):
            return presence.joined(event)
        elif isinstance(event, Exited):
            return presence.exited(event) and not mine
        elif isinstance(event, Error):
            if not mine:
                self.send([self._notice(event.message)])
        elif isinstance(event, Entry):
            public = names.parties(event.room) is None
            if not public:
                presence.heard(event.room, event.id)
            own = event.sender.id == self.me
            # What this user says elsewhere is shown; to another user, only to who expects it.
            return not own or not mine and (ECHO in self.caps or public)
        return True

    def _notice(self, words: str) -> Out:
        return Out((), body(self.network.server, "NOTICE", self.nick, words))

    # What waits.

    def _go_on(self) -> None:
        while self._lines and self._work is None and not (self._paused or self.closed):
            line = parse(self._lines.popleft())
            if line is not None:
                with self.together():
                    self._guarded(self._obey, line)
        self._hold()

    def _hold(self) -> None:
        held = self._paused or bool(self._lines)
        if held != self._held and not self.closed:
            self._held = held
            self.wire.hold(held)

    def _obey(self, line: Line) -> None:
        reply = Reply(self, line.command, line.tags.get("label"))
        verb = self._verb(reply, line)
        doing = None if verb is None else verb.does(self, reply, line)
        if doing is None:
            reply.done()
            return
        self._work = Deferred.fromCoroutine(doing)
        self._work.addCallback(lambda _: reply.done())
        self._work.addErrback(lambda failure: failure.trap(CancelledError))
        self._work.addErrback(self._faulted)
        # Not now: what is told comes while others wait for being told the same.
        if self._work.called:
            self._work = None
        else:
            self._work.addBoth(lambda _: self.network.clock.callLater(0, self._worked))

    def _worked(self) -> None:
        self._work = None
        self._go_on()

    def _verb(self, reply: Reply, line: Line) -> Verb | None:
        """Return what does *line*, or say why nothing does."""
        verb = self._verbs.get(line.command)
        if line.fault == "utf8":
            reply.fail("INVALID_UTF8", "this is not UTF-8", agreed=True)
        elif line.fault is not None:
            reply.numeric(ERR_INPUTTOOLONG, "this line is too long")
        elif self.session is None and not (verb is not None and verb.early):
            reply.numeric(ERR_NOTREGISTERED, "first say who you are, by NICK and USER")
        elif verb is None:
            reply.numeric(ERR_UNKNOWNCOMMAND, line.command, "there is no such command")
        elif len(line.params) < verb.params:
            reply.numeric(ERR_NEEDMOREPARAMS, line.command, "there is something missing")
        elif verb.costs and not self._afford():
            reply.numeric(RPL_TRYAGAIN, line.command, "not so fast")
        else:
            return verb
        return None

    def _afford(self) -> bool:
        user = self.here.user
        try:
            user.questions = self.here.spend(user.questions, QUESTIONS)
        except Problem:
            return False
        return True

    def _guarded(self, does: Callable[..., object], *args: object) -> None:
        try:
            does(*args)
        except Exception:  # noqa: BLE001 (whatever it is, the other connections go on)
            self.log.failure("a bug in a connection")
            self.end(Close.INTERNAL, "a bug in the server")

    def _faulted(self, failure: Any) -> None:
        self.log.failure("a bug in a connection", failure)
        self.end(Close.INTERNAL, "a bug in the server")

    def _too_late(self) -> None:
        self._late = None
        self.end(Close.POLICY, "you did not say who you are")

    def _on_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _stop(self) -> None:
        self.closed = True
        self._on_time()
        self._lines.clear()
        if self._asked is not None:
            asked, self._asked = self._asked, None
            asked.answer.cancel()
