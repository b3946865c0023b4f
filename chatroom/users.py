"""Everybody who is here (`Users`): what they are called, and what proves who they are."""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode

from chatroom import names
from chatroom.events import Who
from chatroom.log import Log, Unavailable
from chatroom.names import BadName, Name
from chatroom.session import Problem, User


class Users:
    """
    Everybody who is here: `users` by id.

    A name is had by one of them at a time. *log* knows who spoke before.
    """

    def __init__(self, log: Log) -> None:
        self.log = log
        self.users: dict[int, User] = {}
        self._names: dict[str, User] = {}

    def come(
        self, id: int | None, token: str | None, name: str | None
    ) -> tuple[User, Problem | None]:
        """
        Return the user *id*, who comes with *token* and is not here, or someone new without *id*.

        They are called as they were, or *name*; where that cannot be had they are a guest, and the
        second value is why. Raises `Unavailable`.
        """
        stored = self.log.user(id) if id is not None else None
        user = User(self.log.new_user(), None) if id is None else User(id, token)
        wish = stored or name
        found = None
        try:
            self.call(user, named(wish) if wish else self._guest(user))
        except Problem as problem:
            found = problem
            self.call(user, self._guest(user))
        self.users[user.id] = user
        return user, found

    def token(self, user: User) -> str:
        """Return what proves to this log that someone is *user*."""
        if user.token is None:
            user.token = self._token(user.id)
        return user.token

    def known(self, token: str | None) -> int | None:
        """Return the id of whom *token* was given to, if anybody."""
        if not token or not token.isascii():
            return None
        try:
            id = int.from_bytes(urlsafe_b64decode(token)[:8])
        except ValueError:
            return None
        user = self.users.get(id)
        right = self._token(id) if user is None else self.token(user)
        return id if hmac.compare_digest(right, token) else None

    def exists(self, id: int) -> bool:
        """Return whether there is a user *id*: here, or in the log. Raises `Unavailable`."""
        return id in self.users or self.log.user(id) is not None

    def who(self, id: int) -> Who:
        """Return the user *id* as others see them, be they here or not."""
        if (user := self.users.get(id)) is not None:
            return user.who
        try:
            name = self.log.user(id)
        except Unavailable:
            name = None
        return Who(id, name or _guest(id))

    def called(self, key: str) -> User | None:
        """Return who has a name of this comparison form."""
        return self._names.get(key)

    def release(self, user: User) -> None:
        """Forget *user*, who is nowhere and has no session, if it is so."""
        if not (user.sessions or user.rooms) and self.users.get(user.id) is user:
            del self.users[user.id]
            del self._names[user.name.key]

    def call(self, user: User, name: Name) -> None:
        """Let *user* have *name*. Raises `Problem`."""
        if self._names.get(name.key, user) is not user:
            raise Problem("name_taken", "this name is taken")
        self._names.pop(user.name.key, None)
        self._names[name.key] = user
        user.name = name
        user.who = Who(user.id, name.shown)

    def _guest(self, user: User) -> Name:
        name = guest = _guest(user.id)
        attempt = 1
        while name in self._names:
            attempt += 1
            name = f"{guest}-{attempt}"
        return Name(name, name)

    def _token(self, id: int) -> str:
        signed = id.to_bytes(8)
        return urlsafe_b64encode(
            signed + hmac.digest(self.log.secret, signed, hashlib.sha256)[:16]
        ).decode()


def _guest(id: int) -> str:
    # Ids may be long, where they had to be drawn.
    return f"guest-{id % 100_000}"


def named(wish: str) -> Name:
    """Return *wish* as the name of a user. Raises `Problem`."""
    try:
        return names.user_name(wish)
    except BadName as error:
        raise Problem("bad_name", str(error)) from error
