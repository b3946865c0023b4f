"""One post of an outgoing hook: where it goes, and what comes of it."""

from __future__ import annotations

import gzip
import os
import time
from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from standardwebhooks import Webhook, WebhookVerificationError
from twisted.internet import reactor as _reactor
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.error import ConnectionRefusedError, TCPTimedOutError
from twisted.internet.interfaces import IHostnameResolver, IResolutionReceiver
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import DefaultOpenSSLContextFactory
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.test import iosim
from twisted.trial.unittest import TestCase
from twisted.web.client import BrowserLikePolicyForHTTPS
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site
from zope.interface import implementer

from chatroom import __version__
from chatroom.hooks.address import public
from chatroom.hooks.file import Outgoing
from chatroom.hooks.posting import ANSWER, IDLE, LOST, REST, Answer, Receiver
from chatroom.hooks.signing import new_key, shown
from chatroom.hooks.ways import CONNECT, MOST
from tests.rig import Transport

PUBLIC, OTHER = "93.184.216.34", "2606:2800:220:1::1"
BODY = '{"event":"talk","data":{"message":"grün"}}'.encode()
UNPROVED = "TLS fails: is its certificate good for its name?"
reactor: Any = _reactor


@pytest.mark.parametrize(
    "address",
    [
        *("93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "::ffff:8.8.8.8", "64:ff9b::808:808"),
        *("2002:808:808::1",),
    ],
)
def test_public(address: str) -> None:
    assert public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1"),
        *("169.254.169.254", "100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1"),
        *("255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254"),
        *("fec0::1", "ff02::1", "ff0e::1", "2001:db8::1", "2001::1", "100::1", "5f00::1"),
        # Ways to an IPv4 address that is not public.
        *("::ffff:127.0.0.1", "::ffff:7f00:1", "::127.0.0.1", "64:ff9b::7f00:1"),
        *("64:ff9b::10.0.0.1", "64:ff9b:1::808:808", "2002:7f00:1::", "2002:a00:1::1"),
        *("", "localhost", "127.1", "0x7f.1", "2130706433", "1.2.3"),
    ],
)
def test_not_public(address: str) -> None:
    assert not public(address)


class Book(Resource):
    """A receiver: keeps what comes, and answers as it is told."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.paths: list[bytes] = []
        self.answer: Callable[[Request], bytes | int] = lambda request: b""

    def render(self, request: Any) -> Any:
        headers = {
            name.decode().lower(): values[0].decode()
            for name, values in request.requestHeaders.getAllRawHeaders()
        }
        self.requests.append((headers, request.content.read()))
        self.paths.append(request.method + b" " + request.uri)
        return self.answer(request)


class Raw(Protocol):
    """A receiver that says what it is told to."""

    def __init__(self) -> None:
        self.data = b""
        self.lost = False

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = True


@implementer(IHostnameResolver)
class Names:
    """What names stand for."""

    def __init__(self, names: dict[str, list[str]]) -> None:
        self.names = names
        self.asked = 0

    def resolveHostName(
        self, receiver: IResolutionReceiver, hostName: str, portNumber: int = 0, *_: object
    ) -> Any:
        self.asked += 1
        receiver.resolutionBegan(None)  # type: ignore[arg-type]
        for host in self.names.get(hostName, [hostName] if public(hostName) else []):
            kind = IPv6Address if ":" in host else IPv4Address
            receiver.addressResolved(kind("TCP", host, portNumber))
        receiver.resolutionComplete()


class Net(MemoryReactorClock):
    """A network in memory: *sites* by address."""

    def __init__(self, names: dict[str, list[str]], sites: dict[str, Any]) -> None:
        super().__init__()
        self.nameResolver = Names(names)
        self.sites = sites
        self.dialled: list[tuple[str, int]] = []
        self.pumps: list[iosim.IOPump] = []
        self.clients: list[Transport] = []

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: Any,
        timeout: float = 30,
        bindAddress: Any = None,
    ) -> Any:
        self.dialled.append((host, port))
        connector = super().connectTCP(host, port, factory, timeout, bindAddress)
        site, failed = self.sites.get(host), factory.clientConnectionFailed
        if site is None:
            self.callLater(0, failed, connector, Failure(ConnectionRefusedError()))
        elif site == "silent":
            self.callLater(timeout, failed, connector, Failure(TCPTimedOutError()))
        else:
            self.callLater(0, self._connect, factory, site, IPv4Address("TCP", host, port))
        return connector

    def _connect(self, factory: Any, site: Any, there: IPv4Address) -> None:
        here = IPv4Address("TCP", "198.51.100.1", 40_000)
        client, server = factory.buildProtocol(there), site.buildProtocol(here)
        self.clients.append(Transport(client, False, here, there))
        self.pumps.append(
            iosim.connect(
                server, iosim.FakeTransport(server, True, there, here), client, self.clients[-1]
            )
        )

    def settle(self, seconds: float = 0) -> None:
        for _ in range(4):
            self.advance(0)
            while sum(pump.pump() for pump in self.pumps):
                pass
        if seconds:
            self.pump([0.5] * int(seconds * 2))
            self.settle()


class PostingCase(TestCase):
    """A test that has a receiver at `PUBLIC`, called ``a.example``, and a hook that leads there."""

    private = False
    url = "http://a.example/in?key=5"

    def setUp(self) -> None:
        self.book = Book()
        self.net = Net({"a.example": [PUBLIC]}, {})
        self.net.sites[PUBLIC] = Site(self.book, reactor=self.net)
        self.hook = Outgoing("hook", "lobby", self.url, self.private, new_key())
        self.receiver = self.made(self.hook)

    def made(self, hook: Outgoing) -> Receiver:
        policy = BrowserLikePolicyForHTTPS()
        return Receiver(hook, self.net, time.time, policy)

    def begin(self, id: str = "hook-e-1", url: str | None = None) -> Deferred[Answer]:
        receiver = self.receiver
        if url is not None:
            receiver = self.made(self.hook._replace(url=url))
        posted = Deferred.fromCoroutine(receiver.post(id, BODY))
        self.net.settle()
        return posted

    def post(self, id: str = "hook-e-1", url: str | None = None) -> Answer:
        return self.successResultOf(self.begin(id, url))

    def answers(self, status: int, body: bytes = b"", **headers: str | bytes) -> None:
        """Have the receiver answer so from now on."""

        def answer(request: Request) -> bytes:
            request.setResponseCode(status)
            for name, value in headers.items():
                data = value if isinstance(value, bytes) else value.encode()
                request.setHeader(name.replace("_", "-").encode(), data)
            return body

        self.book.answer = answer

    def raws(self) -> list[Raw]:
        """Have nothing but connections at `PUBLIC` from now on, and return them as they come."""
        raws: list[Raw] = []

        def build(address: object) -> Raw:
            raws.append(Raw())
            return raws[-1]

        factory = Factory()
        factory.buildProtocol = build  # type: ignore[assignment,method-assign]
        self.net.sites[PUBLIC] = factory
        return raws


class Posting(PostingCase):
    def test_signed(self) -> None:
        self.assertEqual(self.post("hook-e-7"), Answer())
        ((headers, body),) = self.book.requests
        self.assertEqual(self.book.paths, [b"POST /in?key=5"])
        self.assertEqual(body, BODY)
        self.assertEqual(headers["webhook-id"], "hook-e-7")
        self.assertEqual(headers["host"], "a.example")
        self.assertEqual(headers["content-type"], "application/json")
        self.assertEqual(headers["user-agent"], f"chatroom/{__version__}")
        self.assertNotIn("transfer-encoding", headers)
        # By what receivers use (https://www.standardwebhooks.com).
        verified = Webhook(shown(self.hook.key)).verify(body, headers)
        self.assertEqual(verified["data"]["message"], "grün")
        for wrong in (
            lambda: Webhook(shown(new_key())).verify(body, headers),
            lambda: Webhook(shown(self.hook.key)).verify(body + b" ", headers),
            lambda: Webhook(shown(self.hook.key)).verify(body, headers | {"webhook-id": "x"}),
        ):
            self.assertRaises(WebhookVerificationError, wrong)

    def test_what_counts_as_taken(self) -> None:
        for status in (200, 201, 202, 204):
            self.answers(status)
            self.assertEqual(self.post(), Answer())
        for status in (301, 307, 400, 404, 429, 500, 503):
            self.answers(status)
            self.assertEqual(self.post(), Answer(f"the answer is {status}"))
        self.answers(410)
        self.assertEqual(self.post(), Answer("the answer is 410", gone=True))

    def test_when_it_wishes_to_be_asked_again(self) -> None:
        for value, retry in (
            ("120", 120.0),
            ("x", 0.0),
            ("-5", 0.0),
            ("9" * 9, 0.0),
            ("", 0.0),
            (b"\xff", 0.0),
        ):
            self.answers(503, Retry_After=value)
            self.assertEqual(self.post().retry, retry)

    def test_no_redirects(self) -> None:
        self.net.nameResolver.names["b.example"] = [OTHER]  # type: ignore[attr-defined]
        self.answers(307, Location="http://b.example/")
        self.assertEqual(self.post(), Answer("the answer is 307"))
        self.assertEqual(self.net.dialled, [(PUBLIC, 80)])

    def test_no_cookies(self) -> None:
        self.answers(200, Set_Cookie="a=b")
        self.post()
        self.post()
        self.assertNotIn("cookie", self.book.requests[1][0])

    def test_one_connection_for_several(self) -> None:
        for number in range(3):
            self.post(str(number))
        self.assertEqual(len(self.net.dialled), 1)
        self.net.settle(IDLE)
        self.post()
        self.assertEqual(len(self.net.dialled), 2)

    def test_a_connection_that_was_not_kept_there(self) -> None:
        servers = self.raws()
        for number in range(4):
            posted = self.begin(str(number))
            # As it is with HTTP/1.0, which need not say that the connection is closed.
            servers[-1].transport.write(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n")  # type: ignore[union-attr]
            servers[-1].transport.loseConnection()  # type: ignore[union-attr]
            self.net.settle()
            self.assertEqual(self.successResultOf(posted), Answer())
        self.assertEqual([server.data.count(b"POST") for server in servers], [1] * 4)
        self.assertEqual(
            [b"webhook-id: 3" in server.data.lower() for server in servers][-1:], [True]
        )

    def test_a_connection_that_is_closed_just_then(self) -> None:
        servers = self.raws()
        posted = self.begin("1")
        servers[0].transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")  # type: ignore[union-attr]
        self.net.settle()
        self.assertEqual(self.successResultOf(posted), Answer())
        posted = self.begin("2")
        self.assertEqual(servers[0].data.count(b"POST"), 2)
        servers[0].transport.loseConnection()  # type: ignore[union-attr]
        self.net.settle()
        self.assertNoResult(posted)
        self.assertEqual(servers[1].data.count(b"POST"), 1)
        # Of a new one it is told.
        servers[1].transport.loseConnection()  # type: ignore[union-attr]
        self.net.settle()
        self.assertEqual(self.successResultOf(posted), Answer(LOST))

    def test_closed(self) -> None:
        self.post()
        self.receiver.close()
        self.assertTrue(self.net.clients[0].aborted)

    def test_given_up(self) -> None:
        self.book.answer = lambda request: NOT_DONE_YET
        posted = self.begin()
        posted.cancel()
        self.assertNotEqual(self.successResultOf(posted), Answer())
        self.net.settle()
        self.assertTrue(self.net.clients[0].aborted)
        self.receiver.close()


class Troubled(PostingCase):
    def test_nobody_there(self) -> None:
        self.net.sites.clear()
        posted = self.begin()
        self.net.settle(1)
        self.assertEqual(self.successResultOf(posted), Answer("the connection is refused"))

    def test_no_connection_in_time(self) -> None:
        self.net.sites[PUBLIC] = "silent"
        posted = self.begin()
        self.net.settle(CONNECT + 1)
        self.assertEqual(self.successResultOf(posted), Answer("there is no connection"))

    def test_no_such_name(self) -> None:
        trouble = self.post(url="http://b.example/").trouble
        self.assertEqual(trouble, "its name has no public address")

    def test_no_answer_in_time(self) -> None:
        self.book.answer = lambda request: NOT_DONE_YET
        posted = self.begin()
        self.net.settle(ANSWER - 1)
        self.assertNoResult(posted)
        self.net.settle(1)
        self.assertEqual(self.successResultOf(posted), Answer("there is no answer in time"))
        self.assertTrue(self.net.clients[0].aborted)

    def test_an_answer_that_never_ends(self) -> None:
        raws = self.raws()
        posted = self.begin()
        raws[0].transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")  # type: ignore[union-attr]
        self.net.settle(REST - 1)
        self.assertNoResult(posted)
        self.net.settle(1)
        # It was taken all the same.
        self.assertEqual(self.successResultOf(posted), Answer())
        self.assertTrue(self.net.clients[0].aborted)

    def test_an_answer_that_is_too_long(self) -> None:
        self.answers(200, b"x" * MOST)
        self.assertEqual(self.post(), Answer())
        self.assertTrue(self.net.clients[0].aborted)
        # It is so many for each answer.
        self.answers(200, b"x" * (MOST // 2))
        for _ in range(4):
            self.assertEqual(self.post(), Answer())
        self.assertFalse(self.net.clients[1].aborted)
        self.assertEqual(len(self.net.clients), 2)

    def test_heads_that_never_end(self) -> None:
        for head in (b"HTTP/1.1 200 OK\r\n", b""):
            raws = self.raws()
            posted = self.begin()
            more = b"X: y\r\n" if head else b"HTTP/1.1 102 Processing\r\n\r\n"
            raws[-1].transport.write(head + more * (MOST // len(more) + 1))  # type: ignore[union-attr]
            self.net.settle()
            trouble = self.successResultOf(posted).trouble
            self.assertEqual(trouble, LOST)
            self.assertTrue(self.net.clients[-1].aborted)

    def test_what_says_that_it_is_packed(self) -> None:
        for body in (gzip.compress(bytes(10**6)), b"and is not"):
            self.answers(200, body, Content_Encoding="gzip")
            self.assertEqual(self.post(), Answer())
        self.assertNotIn("accept-encoding", self.book.requests[0][0])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_no_http(self) -> None:
        raws = self.raws()
        posted = self.begin()
        raws[0].transport.write(b"220 mail.example ESMTP\r\n")  # type: ignore[union-attr]
        self.net.settle()
        trouble = self.successResultOf(posted).trouble
        self.assertEqual(trouble, LOST)

    def test_a_connection_that_is_lost(self) -> None:
        raws = self.raws()
        posted = self.begin()
        raws[0].transport.loseConnection()  # type: ignore[union-attr]
        self.net.settle()
        trouble = self.successResultOf(posted).trouble
        self.assertEqual(trouble, LOST)


class Leading(PostingCase):
    """Where a hook may lead."""

    def names(self, *hosts: str) -> None:
        self.net.nameResolver.names["a.example"] = list(hosts)  # type: ignore[attr-defined]

    def test_not_within(self) -> None:
        for host in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1"):
            self.net.sites[host] = self.net.sites[PUBLIC]
            self.names(host)
            self.assertEqual(self.post(), Answer("its name has no public address"))
            self.net.nameResolver.names[host] = [host]  # type: ignore[attr-defined]
            if ":" not in host:
                trouble = self.post(url=f"http://{host}/").trouble
                self.assertEqual(trouble, "its name has no public address")
        self.assertEqual(self.net.dialled, [])
        self.assertEqual(self.book.requests, [])

    def test_public_ones_of_several(self) -> None:
        self.names("127.0.0.1", OTHER, "10.0.0.1", PUBLIC)
        posted = self.begin()
        self.net.settle(1)
        self.assertEqual(self.successResultOf(posted), Answer())
        self.assertEqual(self.net.dialled, [(OTHER, 80), (PUBLIC, 80)])

    def test_the_address_that_was_looked_at_is_the_one(self) -> None:
        asked = self.net.nameResolver
        assert isinstance(asked, Names)
        self.post()
        # It is an address that was connected to, and no name that could be asked for again.
        self.assertEqual(self.net.dialled, [(PUBLIC, 80)])
        self.assertEqual(asked.asked, 1)
        # What it stands for later is looked at like at first.
        self.names("127.0.0.1")
        self.net.settle(IDLE)
        self.assertEqual(self.post(), Answer("its name has no public address"))

    def test_an_address_instead_of_a_name(self) -> None:
        self.assertEqual(self.post(url=f"http://{PUBLIC}"), Answer())
        self.assertEqual(self.net.dialled, [(PUBLIC, 80)])
        self.assertEqual(self.book.requests[0][0]["host"], PUBLIC)

    def test_what_cannot_be_asked_for(self) -> None:
        # treq takes no such address, so that `chatroom-admin` takes none either.
        trouble = self.post(url=f"http://[{OTHER}]/").trouble
        self.assertRegex(str(trouble), r"a \w+")

    def test_ports(self) -> None:
        self.assertEqual(self.post(url="http://a.example:8080/"), Answer())
        self.assertEqual(self.net.dialled, [(PUBLIC, 8080)])
        self.assertEqual(self.book.requests[0][0]["host"], "a.example:8080")


class LeadingWithin(PostingCase):
    private = True

    def test_where_it_is_allowed(self) -> None:
        self.net.sites["127.0.0.1"] = self.net.sites[PUBLIC]
        self.net.nameResolver.names["a.example"] = ["127.0.0.1"]  # type: ignore[attr-defined]
        self.assertEqual(self.post(), Answer())
        self.assertEqual(self.net.dialled, [("127.0.0.1", 80)])
        trouble = self.post(url="http://b.example/").trouble
        self.assertEqual(trouble, "its name has no address")


def certificate(name: str, folder: Path) -> Path:
    """Return a file with a certificate for *name*, by nobody else, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    other: x509.GeneralName = x509.DNSName(name)
    if name[0].isdigit():
        other = x509.IPAddress(ip_address(name))
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectAlternativeName([other]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    path.write_bytes(
        made.public_bytes(Encoding.PEM)
        + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return path


class Within(TestCase):
    """A real socket, for it is what the system takes for an address that is tried."""

    @inlineCallbacks
    def test_however_it_is_written(self) -> Generator[Any, Any, None]:
        book = Book()
        port = reactor.listenTCP(0, Site(book), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        hosts = ("127.0.0.1", "localhost", "127.1", "0x7f000001", "2130706433", "0177.0.0.1", "0")
        for private in (False, True):
            for host in hosts:
                url = f"http://{host}:{port.getHost().port}/"
                hook = Outgoing("hook", "lobby", url, private, new_key())
                receiver = Receiver(hook, reactor, time.time, BrowserLikePolicyForHTTPS())
                answer = yield Deferred.fromCoroutine(receiver.post("hook-e-1", BODY))
                receiver.close()
                if not private:
                    self.assertEqual(answer, Answer("its name has no public address"))
            # They do lead there, where it is allowed; some systems know fewer ways to write it.
            self.assertEqual(len(book.requests) >= 2, private)


class OverTls(TestCase):
    """Real sockets, for it is TLS that is tried."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(TemporaryDirectory()))
        self.book = Book()
        self.mine = certificate("localhost", self.folder)

    def listen(self, certificate: Path | None) -> int:
        """Have the receiver listen, with TLS if it has a *certificate*, and return its port."""
        site = Site(self.book)
        if certificate is None:
            port = reactor.listenTCP(0, site, interface="127.0.0.1")
        else:
            context = DefaultOpenSSLContextFactory(certificate, certificate)
            port = reactor.listenSSL(0, site, context, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        number: int = port.getHost().port
        return number

    def post(self, port: int, trusted: Path | None, host: str = "localhost") -> Deferred[Answer]:
        """Post to *port*, while the system trusts in *trusted* in place of what it does."""
        environment = {"SSL_CERT_FILE": str(trusted)} if trusted else {}
        self.enterContext(mock.patch.dict(os.environ, environment))
        hook = Outgoing("hook", "lobby", f"https://{host}:{port}/", True, new_key())
        receiver = Receiver(hook, reactor, time.time, BrowserLikePolicyForHTTPS())
        posted = Deferred.fromCoroutine(receiver.post("hook-e-1", BODY))

        def close(answer: Answer) -> Answer:
            receiver.close()
            return answer

        return posted.addCallback(close)

    @inlineCallbacks
    def test_a_name_that_is_proved(self) -> Generator[Any, Any, None]:
        answer = yield self.post(self.listen(self.mine), self.mine)
        self.assertEqual(answer, Answer())
        self.assertEqual([body for _, body in self.book.requests], [BODY])

    @inlineCallbacks
    def test_an_address_that_is_proved(self) -> Generator[Any, Any, None]:
        mine = certificate("127.0.0.1", self.folder)
        answer = yield self.post(self.listen(mine), mine, "127.0.0.1")
        self.assertEqual(answer, Answer())

    @inlineCallbacks
    def test_a_name_that_is_not_proved(self) -> Generator[Any, Any, None]:
        mine = certificate("other.example", self.folder)
        answer = yield self.post(self.listen(mine), mine)
        self.assertEqual(answer, Answer(UNPROVED))
        self.assertEqual(self.book.requests, [])

    @inlineCallbacks
    def test_a_certificate_of_nobody_known(self) -> Generator[Any, Any, None]:
        other = Path(self.folder / "other")
        other.mkdir()
        for trusted in (None, certificate("localhost", other)):
            answer = yield self.post(self.listen(self.mine), trusted)
            self.assertEqual(answer, Answer(UNPROVED))
        self.assertEqual(self.book.requests, [])

    @inlineCallbacks
    def test_no_tls_there(self) -> Generator[Any, Any, None]:
        factory = Factory.forProtocol(Parrot)
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        answer = yield self.post(port.getHost().port, self.mine)
        self.assertEqual(answer, Answer(UNPROVED))


class Parrot(Protocol):
    """What speaks no TLS."""

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(b"HTTP/1.0 400 Bad Request\r\n\r\n")
