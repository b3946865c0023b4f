"""Which addresses are public, and names that stand for no others."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IReactorPluggableNameResolver,
    IResolutionReceiver,
)
from zope.interface import implementer

NAT64 = IPv6Network("64:ff9b::/96")
"""By these one reaches IPv4 addresses, the last 32 bits (RFC 6052)."""
UNICAST = IPv6Network("2000::/3")
"""Of these are all IPv6 addresses that may be public (RFC 4291, section 2.4, and IANA)."""


def public(address: str) -> bool:
    """Return whether the IP *address*, or the one that it stands for, is for all the world."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, IPv6Address):
        ip = _embedded(ip) or ip
    if isinstance(ip, IPv6Address) and ip not in UNICAST:
        return False
    return ip.is_global and not ip.is_multicast


def _embedded(ip: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that *ip* is a way to (also RFC 3056 and RFC 4291), if it is one."""
    if ip in NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour


@implementer(IResolutionReceiver)
class _PublicOnly:
    """Passes on to *receiver* the addresses that are public."""

    def __init__(self, receiver: IResolutionReceiver) -> None:
        self._receiver = receiver

    def resolutionBegan(self, resolution: IHostResolution) -> None:
        self._receiver.resolutionBegan(resolution)

    def addressResolved(self, address: IAddress) -> None:
        if public(getattr(address, "host", "")):
            self._receiver.addressResolved(address)

    def resolutionComplete(self) -> None:
        self._receiver.resolutionComplete()


@implementer(IReactorPluggableNameResolver, IHostnameResolver)
class PublicReactor:
    """*reactor* as it is for connections, but that no name stands for an address within."""

    def __init__(self, reactor: Any) -> None:
        self.connectTCP = reactor.connectTCP
        self.callLater = reactor.callLater
        self.seconds = reactor.seconds
        self.nameResolver = self
        self._reactor = reactor

    def installNameResolver(self, resolver: IHostnameResolver) -> IHostnameResolver:
        """Do as the real one does."""
        return self._reactor.installNameResolver(resolver)  # type: ignore[no-any-return]

    def resolveHostName(
        self,
        receiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        """Tell *receiver* of the public addresses of *hostName*."""
        resolved: IHostResolution = self._reactor.nameResolver.resolveHostName(
            _PublicOnly(receiver), hostName, portNumber, addressTypes, transportSemantics
        )
        return resolved
