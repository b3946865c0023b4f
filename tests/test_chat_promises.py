from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from chatroom import room as single
from chatroom import rooms
from tests.hall import Hall
from tests.model import Client

# Promises: whatever happens in whatever order.

ROOMS = ("lobby", "dev")
NAMES = ("Ann", "Bob", "guest-1", "Zoë")
SECONDS = (0.0, 0.5, 1.0, 3.0, 9.5, 10.0)
DOES = ["nothing"]
DOES += 8 * ["talk"]
DOES += 5 * ["deliver", "connect"]
DOES += 3 * ["drop", "blip", "pause", "space", "drain", "tick", "check", "join"]
DOES += 3 * ["plot"]
PLOTS = ("pause", "drain", "again", "quit", "blip", "talk")
DOES += 4 * ["edit", "react", "delete"]
DOES += 2 * ["topic", "reply", "read", "direct", "write", "edits", "search"]
DOES += 2 * ["resend", "again", "rename", "typing", "history", "exit", "return", "mend"]
DOES += ["quit", "forget", "become", "turn", "crash", "break"]
DEED = st.tuples(st.sampled_from(DOES), st.integers(0, 2), st.integers(0, 5))
# Long lists, that can become as short as it takes: "nothing" is what Hypothesis tries first.
DEEDS = st.lists(DEED, min_size=30, max_size=90).map(
    lambda deeds: [deed for deed in deeds if deed[0] != "nothing"]
)
MUCH = int(os.environ.get("EXAMPLES", "300"))


@contextmanager
def small_limits() -> Iterator[None]:
    """Have limits that a few messages can reach."""
    with (
        mock.patch.multiple(rooms, CHUNK=2, FAR=5),
        mock.patch.multiple(single, NEWEST=4, BEGIN=3, RESUME=6),
    ):
        yield


def do(
    hall: Hall,
    clients: Sequence[Client],
    what: str,
    who: int,
    how: int,
    plots: deque[tuple[str, int]],
) -> None:
    """Let the client number *who* do *what*, where it can be done."""
    client = clients[who]
    room = ROOMS[how // 4]
    view = client.views[room]
    line = client.line
    match what:
        case "connect" if line is None:
            client.connect(room, NAMES[how] if how < len(NAMES) else None)
        case "drop" | "quit" if line is not None:
            client.drop(clean=what == "quit")
        case "blip" if line is not None:
            client.drop(clean=False)
            client.connect(room)
        case "forget" if line is None:
            client.forget()
        case "become" if line is None:
            client.become(clients[how % len(clients)])
        case "talk" if line is not None:
            for _ in range(how + 1):
                # The answer to the last one may have been its end.
                if client.line is line:
                    client.talk(room)
        case "resend" if line is not None and client.outbox:
            client.resend(list(client.outbox)[how % len(client.outbox)])
        case "again" if line is not None and client.said:
            client.resend(list(client.said)[-1 - how % len(client.said)])
        case "rename" if line is not None:
            client.send("rename", name=NAMES[how % len(NAMES)])
        case "typing" if line is not None:
            client.send("typing", room=room)
        case "history" if line is not None:
            place = ("before", "after", "around", "before", "after", "around")[how]
            client.send("history", room=room, limit=how + 1, **{place: max(0, view.last - how)})
        case "edit" | "delete" | "react" | "reply" | "edits" if line is not None and view.messages:
            of = list(view.messages)[-1 - how % len(view.messages)]
            if what == "edit":
                client.wish("edit", room, of=of, message=f"other text {how}")
            elif what == "react":
                client.wish("react", room, of=of, emoji="👍🎉"[how % 2], on=how % 3 > 0)
            elif what == "delete":
                client.wish("delete", room, of=of)
            elif what == "edits":
                client.send("edits", room=room, of=of)
            else:
                client.talk(room, reply=of)
        case "topic" if line is not None:
            client.wish("topic", room, topic=f"topic {how % 3}")
        case "read" if line is not None:
            client.send("read", room=room, id=max(0, view.last - how))
        case "search" if line is not None:
            client.send("search", query="text", limit=how + 1)
        case "direct" if client.reading and client.id is not None:
            other = clients[how % len(clients)].id
            if other not in (None, client.id):
                client.direct(other)
        case "write" if line is not None:
            for name in [name for name in client.views if name.startswith("@")]:
                if client.line is line:
                    client.talk(name)
        case "join" if client.reading and not view.inside and view.asked is False:
            client.join(room)
        case "exit" if client.reading and view.inside:
            client.exit(room)
        case "return" if client.reading and view.inside and view.asked is False:
            client.exit(room)
            if client.line is line and client.reading:
                client.join(room)
        case "pause" if line is not None:
            line.session.pause()
        case "space" if line is not None:
            line.space = how + 1
        case "drain" if line is not None:
            line.drain(how or None)
        case "deliver":
            hall.log.step()
        case "turn":
            hall.turn()
        case "tick":
            hall.now += SECONDS[how]
            hall.chat.tick()
        case "crash":
            hall.log.crash(committed=how % 2 == 0)
            if how == 5:
                hall.log.epoch += "'"
            hall.start()
            for each in clients:
                if each.line is not None:
                    each.cut()
                    each.connect(room)
        case "break" | "mend":
            hall.log.broken = what == "break"
        case "check":
            plots.clear()
            check(hall, clients)
        case "plot":
            plots.append((PLOTS[how], who))
        case _:
            return
    for each in clients:
        each.react()


def check(hall: Hall, clients: Sequence[Client]) -> None:
    """Fail where a client that reads is not where everybody is once all is told."""
    hall.settle()
    for client in clients:
        if not client.reading:
            continue
        for name, view in client.views.items():
            if not view.inside:
                continue
            room = hall.chat.rooms[name]
            everything = hall.log.everything(name)
            assert view.last == room.last
            assert view.topic == room.topic
            assert list(view.messages.values()) == everything[-len(view.messages) :] or (
                everything == []
            )
            assert view.count == len(room.here)
            if not room.crowded:
                assert view.users == room.here
            elif view.exact:
                assert view.users.items() <= room.here.items()
            if hall.log.broken:
                continue
            # Who is a user on one device more changes nothing for anybody.
            fresh = Client(hall, -1)
            fresh.become(client)
            fresh.connect(name)
            hall.turn()
            assert (fresh.id, fresh.name) == (client.id, client.name)
            assert fresh.views[name].count == view.count
            if not room.crowded:
                assert fresh.views[name].users == view.users
            news = list(fresh.views[name].messages.values())
            assert news == everything[len(everything) - len(news) :]
            assert len(news) == min(len(everything), single.BEGIN)
            assert fresh.views[name].topic == view.topic
            assert client.id is not None
            assert fresh.views[name].read == hall.log.read(name, client.id)
            fresh.send("mine")
            own = [mine for mine in fresh.mine if mine["room"] == name]
            assert bool(own) is (
                fresh.views[name].read is not None or (name.startswith("@") and view.last > 0)
            )
            for mine in own:
                assert mine["unread"] == sum(
                    message["id"] > mine["read"]
                    and message["from"]["id"] != client.id
                    and "deleted" not in message
                    for message in everything
                )
            fresh.drop(clean=True)
            hall.turn()


def finish(hall: Hall, clients: Sequence[Client]) -> None:
    """Let everybody come back, hear all and be answered; then nothing is missing or double."""
    hall.log.broken = False
    for client in clients:
        if client.line is not None:
            client.line.drain()
            client.react()
        if client.line is None:
            client.connect(ROOMS[0])
        hall.turn()
        client.react()
        for room in ROOMS:
            if not client.views[room].inside and client.views[room].asked is False:
                client.join(room)
        hall.turn()
        for nonce in list(client.outbox):
            client.resend(nonce)
        hall.turn()
        assert not client.outbox
        assert all(client.views[room].inside for room in ROOMS)
    check(hall, clients)
    nonces = Counter(
        (entry.event == "talk", entry.sender.id, entry.nonce)
        for room in hall.log.all_rooms()
        for entry in hall.log.since(room, 0, 2**53)
    )
    assert max(nonces.values(), default=1) == 1
    said = {nonce for _, _, nonce in nonces}
    assert set().union(*(client.kept for client in clients)) <= said
    for client in clients:
        assert client.line is not None
        client.drop(clean=True)
    hall.tick(10.0)
    assert hall.chat.rooms == {}
    assert hall.chat.users == {}


@settings(max_examples=MUCH, deadline=None)
@given(deeds=DEEDS, crowd=st.sampled_from([1, 2, 200]), grace=st.sampled_from([0, 10]))
def test_nobody_misses_anything(
    deeds: list[tuple[str, int, int]], crowd: int, grace: float
) -> None:
    with small_limits():
        hall = Hall(crowd=crowd, grace=grace, rate=0)
        clients = [Client(hall, number) for number in range(3)]
        plots: deque[tuple[str, int]] = deque()

        def meddle() -> None:
            """Let somebody do what was planned, in the middle of everybody being sent to."""
            if plots:
                what, whom = plots.popleft()
                do(hall, clients, what, whom, 0, plots)

        for client in clients:
            client.plot = meddle
            client.connect(ROOMS[0])
        for what, who, how in deeds:
            do(hall, clients, what, who, how, plots)
        plots.clear()
        finish(hall, clients)
