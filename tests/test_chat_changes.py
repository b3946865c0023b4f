"""What is said and changed: edits, deletions, reactions, replies, topics, mentions, files, HTML."""

from __future__ import annotations

from typing import Any

import pytest

from chatroom.changes import GIVEN, REACTIONS
from chatroom.commands import (
    Attach,
    Command,
    Delete,
    Edit,
    Exit,
    History,
    React,
    Rename,
    SetTopic,
    Talk,
)
from chatroom.events import (
    Deleted,
    Edited,
    Error,
    File,
    Message,
    Page,
    Reacted,
    Reaction,
    Topic,
    Who,
)
from chatroom.saying import is_emoji
from tests.hall import Hall, Line, pair, speak
from tests.log_case import keep

NOW = "1970-01-01T00:16:40.000Z"
ANN, BOB = Who(1, "Ann"), Who(2, "Bob")


def said(hall: Hall, line: Line, *commands: Command) -> list[Any]:
    """Return what *line* hears after *commands* and their outcome."""
    line.heard()
    line.say(*commands)
    hall.turn()
    return line.heard()


def refused(hall: Hall, line: Line, command: Command) -> str:
    """Return the code with which *command* is refused, that others do not hear of."""
    (error,) = said(hall, line, command)
    assert isinstance(error, Error)
    assert error.message
    assert (error.about, error.nonce) == (command.event, getattr(command, "nonce", None))
    return error.code


def newest(hall: Hall, line: Line) -> Message:
    (page,) = said(hall, line, History(limit=1))
    assert isinstance(page, Page)
    (message,) = page.messages
    return message


# Changing what was said.


def test_an_edit_is_heard_by_all() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    hall.now = 1000
    speak(hall, ann, "helo")
    hall.now = 1000
    bob.heard()
    edited = Edited(2, "lobby", 1, "hello", "text", ANN, NOW, "n")
    assert said(hall, ann, Edit(1, "hello", nonce="n")) == bob.heard() == [edited]
    message = newest(hall, bob)
    assert message == Message(1, "lobby", "hello", "text", ANN, NOW, None, edited=NOW, changed=2)


def test_an_edit_may_be_of_another_type() -> None:
    hall = Hall(types={"text": None, "markdown": str.upper})
    ann, _ = pair(hall)
    speak(hall, ann, "a")
    (first,) = said(hall, ann, Edit(1, "b", "markdown"))
    (second,) = said(hall, ann, Edit(1, "c"))
    (third,) = said(hall, ann, Edit(1, "d", "text"))
    assert [(e.type, e.html) for e in (first, second, third)] == [
        *(("markdown", "B"), ("markdown", "C"), ("text", None))
    ]


def test_a_deletion_leaves_nothing() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    ann.say(Talk("@bob", nonce="t"))
    hall.turn()
    bob.say(React(1, "👍"))
    hall.turn()
    bob.heard()
    deleted = Deleted(3, "lobby", 1, ANN, NOW, "n")
    assert said(hall, ann, Delete(1, nonce="n")) == bob.heard() == [deleted]
    assert newest(hall, bob) == Message(
        1, "lobby", "", "text", ANN, NOW, "t", deleted=True, changed=3
    )


def test_a_reaction_comes_and_goes() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    speak(hall, ann, "hello")
    hall.now = 1000
    bob.heard()
    given = Reacted(2, "lobby", 1, "👍", True, BOB, NOW, "n")
    ann.heard()
    assert said(hall, bob, React(1, "👍", nonce="n")) == ann.heard() == [given]
    assert newest(hall, ann).reactions == (Reaction("👍", (BOB,)),)
    said(hall, ann, React(1, "👍"))
    assert newest(hall, ann).reactions == (Reaction("👍", (BOB, ANN)),)
    (taken,) = said(hall, bob, React(1, "👍", on=False))
    assert taken.on is False
    assert newest(hall, ann).reactions == (Reaction("👍", (ANN,)),)


def test_a_message_has_so_many_reactions() -> None:
    hall = Hall(rate=0)
    ann, bob = pair(hall)
    speak(hall, ann, "hello")
    for n in range(REACTIONS):
        assert isinstance(said(hall, ann, React(1, chr(0x1F600 + n)))[0], Reacted)
    assert refused(hall, ann, React(1, "👍", nonce="n")) == "too_many_reactions"
    # What is there already can be given, and taken away.
    assert isinstance(said(hall, bob, React(1, chr(0x1F600)))[0], Reacted)
    assert isinstance(said(hall, bob, React(1, "👍", on=False))[0], Reacted)


@pytest.mark.parametrize(
    "emoji",
    [
        "👍",
        "👍🏽",
        "❤️",
        "ℹ️",
        "👩\u200d👩\u200d👧\u200d👦",
        "🏴\U000e0067\U000e007f",
        "1️⃣",
        "🇨🇭",
        "Ⓜ️",
        "‼️",
        "㊗️",
        "\U0001fae9",
        "+1",
        "↔",
        "🫱🏻\u200d🫲🏿",
        "👩🏽\u200d❤️\u200d💋\u200d👨🏿",
    ],
)
def test_what_can_be_given(emoji: str) -> None:
    assert is_emoji(emoji)


@pytest.mark.parametrize(
    "emoji",
    [
        "",
        " ",
        "a",
        "👍 ",
        "👍a",
        "\u200d",
        "\ufe0f",
        "\n",
        "\0",
        "é",
        "你",
        "\u202e👍",
        "👍" * 17,
        "\ue000",
        "\u0378",
        "\u2800",
        "\U000e0067",
        "\u200b",
        "<b>",
        "\u00a0",
    ],
)
def test_what_cannot_be_given(emoji: str) -> None:
    hall = Hall()
    ann, _ = pair(hall)
    speak(hall, ann, "hello")
    assert refused(hall, ann, React(1, emoji)) == "bad_emoji"


def test_a_topic_is_heard_by_all_and_by_who_comes() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    topic = Topic(1, "lobby", "all things", BOB, NOW, "n")
    assert said(hall, bob, SetTopic(" all things ", nonce="n")) == ann.heard() == [topic]
    cid, init = hall.enter(name="Cid")
    assert (init.topic, init.last, init.more, init.messages) == ("all things", 1, False, [])
    for empty in ("", "  \u200b"):
        (topic,) = said(hall, cid, SetTopic(empty))
        assert topic.topic == ""
    assert hall.enter()[1].topic == ""


def test_a_topic_stays() -> None:
    hall = Hall()
    ann, _ = hall.enter()
    ann.say(SetTopic("x" * 250))
    hall.turn()
    hall.start()
    assert hall.enter()[1].topic == "x" * 250


@pytest.mark.parametrize(
    ("topic", "code"),
    [
        ("x" * 251, "too_long"),
        ("a\nb", "bad_message"),
        ("a\0", "bad_message"),
        ("\u2028", "bad_message"),
    ],
)
def test_what_is_no_topic(topic: str, code: str) -> None:
    hall = Hall()
    ann, _ = pair(hall)
    assert refused(hall, ann, SetTopic(topic, nonce="n")) == code


def test_who_may_change_what() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    speak(hall, ann, "hello")
    bob.heard()
    for command in (Edit(1, "no", nonce="n"), Delete(1, nonce="n")):
        assert refused(hall, bob, command) == "forbidden"
    said(hall, ann, Rename("Anna"))
    (edited,) = said(hall, ann, Edit(1, "yes"))
    assert edited.sender == Who(1, "Anna")


@pytest.mark.parametrize("of", [0, 2, 3, 4, 99])
def test_what_is_no_message(of: int) -> None:
    hall = Hall()
    ann, _ = pair(hall)
    speak(hall, ann, "hello")
    said(hall, ann, React(1, "👍"), Talk("gone"))
    said(hall, ann, Delete(3))
    for command in (Edit(of, "a"), Delete(of), React(of, "👍"), Talk("a", reply=of)):
        assert refused(hall, ann, command) == "no_such_message"


@pytest.mark.parametrize(
    "command",
    [
        Edit(1, "a", room="dev"),
        Delete(1, room="dev"),
        React(1, "👍", room="dev"),
        SetTopic("a", room="dev"),
    ],
)
def test_a_room_where_one_is_not(command: Command) -> None:
    hall = Hall()
    ann, _ = pair(hall)
    speak(hall, ann, "hello")
    assert refused(hall, ann, command) == "not_in_room"


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (Edit(1, ""), "empty"),
        (Edit(1, " \n"), "empty"),
        (Edit(1, "x" * 4001), "too_long"),
        (Edit(1, "a", "image"), "bad_message"),
    ],
)
def test_a_text_that_cannot_be_said_instead(edit: Edit, code: str) -> None:
    hall = Hall()
    ann, _ = pair(hall)
    speak(hall, ann, "hello")
    assert refused(hall, ann, edit) == code


def test_all_that_is_said_costs_the_same() -> None:
    for command in (Edit(1, "a"), Delete(1), React(1, "👍"), SetTopic("a"), Rename("a")):
        hall = Hall(burst=1)
        ann, _ = pair(hall)
        speak(hall, ann, "hello")
        assert not isinstance(said(hall, ann, command)[-1], Error)
        ann.say(Talk("too fast"))
        assert ann.error().code == "rate_limited"
        hall.now += 1
        ann.say(Talk("a"))
        ann.heard()
        hall.turn()
        ann.heard()
        assert refused(hall, ann, SetTopic("b")) == "rate_limited"


def test_what_is_said_again_is_said_once() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    speak(hall, ann, "hello", "again")
    changes: list[Command] = [
        Edit(1, "a", nonce="1"),
        React(1, "👍", nonce="2"),
        SetTopic("t", nonce="3"),
        Delete(2, nonce="4"),
    ]
    first = said(hall, ann, *changes)
    bob.heard()
    assert len(first) == 4
    assert said(hall, ann, *changes[:3]) == first[:3]
    assert bob.heard() == []
    assert refused(hall, ann, Edit(1, "b", nonce="1")) == "nonce_reused"
    assert refused(hall, ann, React(1, "🎉", nonce="2")) == "nonce_reused"
    # The nonces of talk are others.
    assert isinstance(said(hall, ann, Talk("a", nonce="1"))[0], Message)


def test_what_was_said_can_be_said_again_whatever_became_of_what_it_is_about() -> None:
    folder = Folder()
    hall = Hall(files=folder, rate=0)
    ann, bob = pair(hall)
    said(hall, bob, Talk("why?"), Talk("look"), Talk("what?"))
    said(hall, ann, Talk("my own"), attached("file", nonce="f"))
    commands: list[Command] = [
        Talk("because", nonce="t", reply=1),
        React(2, "👍", nonce="r"),
        Edit(4, "mine", nonce="e"),
        Delete(4, nonce="d"),
    ]
    said(hall, ann, *commands)
    said(hall, bob, Delete(1), Delete(2))
    said(hall, ann, Delete(5))
    assert folder.removed == [CAT.id]
    bob.heard()
    hall.start()
    ann, bob = pair(hall)
    last = hall.chat.rooms["lobby"].last
    ann.session.close(clean=True)
    ann, _ = hall.enter(token=hall.chat._token(1))
    bob.heard()
    again = said(hall, ann, *commands, attached("file", nonce="f"))
    assert [(event.event, event.id) for event in again] == [
        *(("talk", 6), ("react", 7), ("edit", 8), ("delete", 9), ("talk", 5))
    ]
    assert again[2].message == ""
    assert bob.heard() == []
    assert hall.chat.rooms["lobby"].last == last
    assert hall.chat._attached == {}
    # What was not said is refused for what is wrong with it, or for its nonce.
    others: list[tuple[Command, str]] = [
        (Talk("no", nonce="x", reply=1), "no_such_message"),
        (React(2, "👍", nonce="x"), "no_such_message"),
        (Delete(2, nonce="x"), "no_such_message"),
        (Edit(3, "hers", nonce="x"), "forbidden"),
        (attached("file", nonce="x"), "no_such_file"),
        (React(2, "🎉", nonce="r"), "nonce_reused"),
        (Edit(2, "mine", nonce="e"), "nonce_reused"),
        (Delete(2, nonce="d"), "nonce_reused"),
        (Talk("because", nonce="t", reply=2), "nonce_reused"),
        (Edit(3, "hers", nonce="d"), "nonce_reused"),
    ]
    for command, code in others:
        assert refused(hall, ann, command) == code
    hall.log.broken = True
    assert refused(hall, ann, Delete(2, nonce="d")) == "unavailable"


def test_an_answer_with_a_file_can_be_said_again_when_one_of_both_is_gone() -> None:
    hall = Hall(files=Folder(), rate=0)
    ann, bob = pair(hall)
    said(hall, bob, Talk("why?"))
    (first,) = said(hall, ann, attached(nonce="n", reply=1))
    said(hall, bob, Delete(1))
    assert said(hall, ann, attached(nonce="n", reply=1)) == [first]
    other = Talk("", nonce="n", reply=1, file=Attach(CAT.id, "dog.png"))
    assert refused(hall, ann, other) == "nonce_reused"
    said(hall, ann, Delete(2))
    (gone,) = said(hall, ann, attached(nonce="n", reply=1))
    assert (gone.id, gone.deleted) == (2, True)


def test_a_reaction_that_was_given_can_be_given_again_where_there_is_no_room_left() -> None:
    hall = Hall(rate=0)
    ann, bob = pair(hall)
    said(hall, ann, Talk("hello"))
    said(hall, ann, React(1, "👍", nonce="n"), React(1, "👍", on=False))
    said(hall, bob, *(React(1, chr(0x1F600 + n)) for n in range(REACTIONS)))
    assert refused(hall, ann, React(1, "👍")) == "too_many_reactions"
    (again,) = said(hall, ann, React(1, "👍", nonce="n"))
    assert again.id == 2


def test_an_answer_that_nobody_has_heard_yet_comes_in_its_turn() -> None:
    hall = Hall()
    ann, _ = pair(hall)
    speak(hall, ann, "hello")
    ann.say(Delete(1, nonce="d"))
    hall.log.step()
    assert hall.log.message("lobby", 1).deleted  # type: ignore[union-attr]
    ann.heard()
    ann.say(Delete(1, nonce="d"))
    assert ann.heard() == []
    hall.turn()
    assert [(event.event, getattr(event, "id", 0)) for event in ann.heard()] == [
        *(("delete", 2), ("delete", 2))
    ]


def test_there_are_never_more_reactions_than_there_may_be() -> None:
    hall = Hall(rate=0)
    ann, _ = pair(hall)
    said(hall, ann, Talk("hello"))
    said(hall, ann, *(React(1, chr(0x1F600 + n)) for n in range(2 * REACTIONS)))
    assert len(newest(hall, ann).reactions) == REACTIONS


def test_a_message_has_so_many_reactions_in_all() -> None:
    hall = Hall(rate=0)
    ann, bob = pair(hall)
    said(hall, ann, Talk("hello"))
    for n in range(GIVEN - 1):
        hall.log.append(keep(Reacted(0, "lobby", 1, "👍", True, Who(100 + n, f"u{n}"), NOW)))
    hall.chat.rooms["lobby"].pending += GIVEN - 1
    hall.turn()
    assert isinstance(said(hall, ann, React(1, "👍"))[-1], Reacted)
    for emoji in ("👍", "🎉"):
        bob.heard()
        assert refused(hall, bob, React(1, emoji)) == "too_many_reactions"
    assert isinstance(said(hall, ann, React(1, "👍"))[-1], Reacted)


def test_an_edit_behind_a_deletion_leaves_no_text() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    speak(hall, ann, "secret")
    bob.heard()
    assert said(hall, ann, Delete(1), Edit(1, "secrets @Bob", nonce="n"))[1] == Edited(
        3, "lobby", 1, "", "text", ANN, "1970-01-01T00:16:41.000Z", "n"
    )
    assert [getattr(event, "id", 0) for event in bob.heard()] == [2, 3]


def test_what_the_store_cannot_take_is_not_changed() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    speak(hall, ann, "hello")
    bob.heard()
    hall.log.broken = True
    for command in (Edit(1, "a", nonce="n"), Delete(1, nonce="n"), React(1, "👍"), SetTopic("x")):
        assert refused(hall, ann, command) == "unavailable"
    assert bob.heard() == []
    hall.log.broken = False
    assert newest(hall, bob).changed is None


def test_an_answer_never_comes_before_what_precedes_it() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    ann.say(Talk("mine", nonce="n"))
    hall.turn()
    ann.heard()
    ann.say(React(1, "👍", nonce="r"), Talk("mine", nonce="n"), React(1, "👍", nonce="r"))
    bob.say(Talk("1"), React(1, "🎉"))
    hall.turn()
    assert [(event.event, getattr(event, "id", 0)) for event in ann.heard()] == [
        *(("react", 2), ("talk", 3), ("react", 4), ("talk", 1), ("react", 2))
    ]


def test_an_answer_to_who_is_slow_comes_last() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    speak(hall, ann, "0")
    ann.heard()
    ann.say(Talk("mine", nonce="n"), Talk("mine", nonce="n"))
    ann.session.pause()
    bob.say(Talk("1"))
    hall.turn()
    bob.say(Edit(3, "2"))
    hall.turn()
    ann.drain()
    assert [(event.event, getattr(event, "id", 0)) for event in ann.heard()] == [
        *(("talk", 2), ("talk", 3), ("edit", 4), ("talk", 2))
    ]


def test_who_comes_back_is_told_what_changed() -> None:
    hall = Hall()
    ann, init = hall.enter(name="Ann")
    speak(hall, ann, "1", "2")
    ann.session.close(clean=False)
    bob, _ = hall.enter(name="Bob")
    said(hall, bob, React(1, "👍"), Talk("3"), SetTopic("t"))
    _, back = hall.enter(token=init.self.token, after=2, epoch=init.epoch)
    assert (back.resumed, back.last, back.topic) == (True, 5, "t")
    assert [(told.event, told.data.id) for told in back.changes] == [("react", 3), ("topic", 5)]
    assert [message.id for message in back.messages] == [4]


# In reply to something.


def test_a_reply() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    speak(hall, ann, "why?")
    (message,) = said(hall, bob, Talk("because", reply=1))
    assert (message.id, message.reply) == (2, 1)
    assert newest(hall, ann).reply == 1


# HTML, which comes from somewhere else.


def test_a_message_is_rendered_once() -> None:
    rendered = []

    def render(text: str) -> str:
        rendered.append(text)
        return f"<p>{text}</p>"

    hall = Hall(types={"text": None, "markdown": render})
    ann, bob = pair(hall)
    assert hall.chat.limits.types == ("text", "markdown")
    (message,) = said(hall, ann, Talk("a", "markdown"))
    assert (message.type, message.message, message.html) == ("markdown", "a", "<p>a</p>")
    assert bob.heard() == [message]
    assert newest(hall, bob).html == "<p>a</p>"
    assert said(hall, ann, Talk("b"))[0].html is None
    assert rendered == ["a"]


def test_what_cannot_be_rendered_is_said_all_the_same() -> None:
    faults: list[Exception] = []
    hall = Hall(types={"text": None, "markdown": int}, fault=faults.append)
    ann, _ = pair(hall)
    (message,) = said(hall, ann, Talk("a", "markdown"))
    assert (message.message, message.html) == ("a", None)
    assert [type(fault) for fault in faults] == [ValueError]
    with pytest.raises(ValueError, match="invalid literal"):
        Hall(types={"text": int}).enter()[0].say(Talk("a"))


# Mentions.


def test_who_is_mentioned() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    hall.enter("dev", name="Cid")
    (message,) = said(hall, ann, Talk("@bob and @cid and ＠ANN"))
    assert message.mentions == (BOB, ANN)
    (edited,) = said(hall, ann, Edit(1, "@ann"))
    assert edited.mentions == (ANN,)
    assert newest(hall, bob).mentions == (ANN,)


def test_who_spoke_lately_can_be_mentioned() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    bob.say(Talk("1"), Rename("Rob"), Talk("2"), Exit("lobby"))
    hall.turn()
    cid, _ = hall.enter(name="bob")
    (message,) = said(hall, ann, Talk("@rob @bob"))
    assert message.mentions == (Who(2, "Rob"), Who(3, "bob"))
    cid.say(Exit("lobby"))
    hall.turn()
    (message,) = said(hall, ann, Talk("@bob"))
    assert message.mentions == (BOB,)


# Files.

CAT = File("ab" * 32, "", 70, "image/png", 3, 4)


class Folder:
    """Files that are there, and those that were let go."""

    limit = 1000

    def __init__(self) -> None:
        self.removed: list[str] = []

    def find(self, id: str, user: int) -> File | None:
        return CAT if id == CAT.id and id not in self.removed else None

    def clean(self, name: str) -> str:
        return name.replace("/", "")

    def remove(self, id: str) -> None:
        self.removed.append(id)


def attached(text: str = "", **more: Any) -> Talk:
    return Talk(text, file=Attach(CAT.id, "a/cat.png"), **more)


def test_a_file_goes_with_a_message() -> None:
    hall = Hall(files=Folder())
    ann, bob = pair(hall)
    assert hall.chat.limits.file == 1000
    (message,) = said(hall, ann, attached())
    assert message.file == File(CAT.id, "acat.png", 70, "image/png", 3, 4)
    assert message.message == ""
    assert bob.heard() == [message]
    (edited,) = said(hall, ann, Edit(1, ""))
    assert edited.message == ""
    assert newest(hall, bob).file == message.file


def test_a_file_that_is_not_there() -> None:
    hall = Hall(files=Folder())
    ann, _ = pair(hall)
    assert refused(hall, ann, Talk("a", file=Attach("cd" * 32, "a"), nonce="n")) == "no_such_file"
    other = Hall()
    assert other.chat.limits.file == 0
    ann, _ = pair(other)
    assert refused(other, ann, attached("a")) == "no_such_file"


def test_a_file_is_removed_with_its_last_message() -> None:
    folder = Folder()
    hall = Hall(files=folder)
    ann, bob = pair(hall)
    ann.say(attached("a"))
    bob.say(attached("b"))
    hall.turn()
    ann.say(Delete(1))
    hall.turn()
    assert folder.removed == []
    bob.say(Delete(2))
    hall.turn()
    assert folder.removed == [CAT.id]
    ann.heard()
    assert refused(hall, ann, attached("a")) == "no_such_file"


@pytest.mark.parametrize("steps", [0, 1])
def test_a_file_that_is_about_to_be_said_again_stays(steps: int) -> None:
    folder = Folder()
    hall = Hall(files=folder)
    ann, bob = pair(hall)
    ann.say(attached("a"))
    hall.turn()
    ann.say(Delete(1))
    for _ in range(steps):
        hall.log.step()
    bob.say(attached("b", nonce="n"))
    hall.turn()
    assert folder.removed == []
    bob.say(attached("b", nonce="n"), attached("b", nonce="n"))
    bob.say(Delete(3))
    hall.turn()
    # The answers to what was said again are no drafts any more.
    assert folder.removed == [CAT.id]
    assert hall.chat._attached == {}


def test_an_upload_costs_what_saying_something_does() -> None:
    hall = Hall(burst=2)
    ann, _ = pair(hall)
    assert [hall.chat.spend(1) for _ in range(3)] == [0, 0, pytest.approx(0.2)]
    ann.say(Talk("a"))
    assert ann.error().code == "rate_limited"
    assert hall.chat.spend(2) == 0
    # Those who are not here spend together.
    assert [hall.chat.spend(id) for id in (8, 9, 10)] == [0, 0, pytest.approx(0.2)]


def test_whose_token_it_is() -> None:
    hall = Hall()
    _, init = hall.enter()
    assert hall.chat.known(init.self.token) == 1
    assert [hall.chat.known(token) for token in (None, "", "x", init.self.token[:-1])] == [None] * 4
