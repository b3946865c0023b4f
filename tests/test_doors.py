"""The contract of all doors (`tests.doors.contract`), at each of them."""

from __future__ import annotations

from tests.doors import contract
from tests.doors.hooks import HookPerson, HooksDoorCase
from tests.doors.irc import IrcPerson, IrcSocketPerson
from tests.doors.listening import PollPerson, SsePerson
from tests.doors.rest import RestPerson
from tests.doors.socketio import (
    OldIoPerson,
    OldPollingIoPerson,
    PollingIoPerson,
    RecoveringIoPerson,
    SocketIoPerson,
    UpgradingIoPerson,
)
from tests.doors.websocket import DeflatedPerson, WebSocketPerson


class WebSocketDoor(contract.Contract, contract.SendsAway):
    door = WebSocketPerson


class DeflatedDoor(contract.Carries):
    door = DeflatedPerson


class SseDoor(contract.Contract):
    door = SsePerson


class PollDoor(contract.Contract):
    door = PollPerson


class RestDoor(
    contract.Talks,
    contract.TalksAtLength,
    contract.Refuses,
    contract.Survives,
    contract.Orders,
    contract.Returns,
    contract.SaysOnce,
    contract.SaysOnceAtAnyDoor,
    contract.IsCalled,
    contract.Floods,
    contract.FloodsThroughDoors,
    contract.KnowsPages,
    contract.KnowsRooms,
    contract.MissesNothing,
):
    """Who asks is not in the room: nobody sees them, and they see no changes."""

    door = RestPerson


class SocketIoDoor(contract.Contract, contract.SendsAway):
    door = SocketIoPerson


class SocketIoPollingDoor(contract.Contract, contract.SendsAway):
    door = PollingIoPerson


class SocketIoUpgradingDoor(contract.Carries):
    door = UpgradingIoPerson


class SocketIoRecoveringDoor(contract.Carries):
    door = RecoveringIoPerson


class OldSocketIoDoor(contract.Carries):
    door = OldIoPerson


class OldSocketIoPollingDoor(contract.Contract, contract.SendsAway):
    door = OldPollingIoPerson


class Irc(
    contract.Talks,
    contract.Refuses,
    contract.Survives,
    contract.Stops,
    contract.KnowsTrouble,
    contract.SendsAway,
    contract.Orders,
    contract.Changes,
    contract.Returns,
    contract.BeginsAfresh,
    contract.IsCalled,
    contract.IsSeen,
    contract.Floods,
    contract.FloodsThroughDoors,
    contract.ReadsSlowly,
    contract.KnowsRooms,
    contract.MissesNothing,
):
    """IRC has no nonces, its history has no changes, and its lines have no line breaks."""


class IrcDoor(Irc):
    door = IrcPerson


class IrcSocketDoor(Irc, contract.KnowsPages):
    door = IrcSocketPerson


del Irc


class HookDoor(
    HooksDoorCase,
    contract.Talks,
    contract.Refuses,
    contract.Survives,
    contract.Orders,
    contract.Floods,
    contract.KnowsPages,
):
    """A hook is a name and a room; what comes of a post is said in Slack's words."""

    door = HookPerson


class WebSocketPlaces(contract.HasPlaces):
    door = WebSocketPerson


class SsePlaces(contract.HasPlaces):
    door = SsePerson


class PollPlaces(contract.HasPlaces):
    door = PollPerson


class SocketIoPlaces(contract.HasPlaces):
    door = SocketIoPerson


class SocketIoPollingPlaces(contract.HasPlaces):
    door = PollingIoPerson


class IrcSocketPlaces(contract.HasPlaces):
    door = IrcSocketPerson


class WithoutSse(contract.IsClosed):
    door = SsePerson
    closed = "sse"


class WithoutPolling(contract.IsClosed):
    door = PollPerson
    closed = "poll"


class WithoutRest(contract.IsClosed):
    door = RestPerson
    closed = "rest"


class WithoutSocketIo(contract.IsClosed):
    door = PollingIoPerson
    closed = "socketio"


class WithoutIrc(contract.IsClosed):
    door = IrcSocketPerson
    closed = "irc"
