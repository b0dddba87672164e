"""Who is at the other end: the address that a connection comes from, or the one that a trusted proxy names."""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

MAX_REMEMBERED = 4096
MAX_FORWARDED_CHARACTERS = 1024
"""Of `X-Forwarded-For`, its end: a client may begin it with whatever it likes, and proxies add theirs."""

IPV6_PREFIX = 64
"""One customer has at least that much of IPv6, so that single addresses would limit nobody."""

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]


class ClientFinder:
    """Tells clients apart by address. `X-Forwarded-For` counts only as far as trusted proxies have written it.

    `find(peer, forwarded)` returns the client's address, or the network /64 of an IPv6 address, by the address of a
    connection and what `take_forwarded` has left of that header: whatever is given is remembered.
    """

    def __init__(self, trusted_proxies: Iterable[str]) -> None:
        self._trusted: Networks = tuple(ipaddress.ip_network(cidr) for cidr in trusted_proxies)
        self.find = lru_cache(MAX_REMEMBERED)(self._find)

    def take_forwarded(self, header: str | None) -> str | None:
        """Return what of `X-Forwarded-For` can make a difference: nothing where no proxy is trusted, else whole addresses at its end."""
        if not self._trusted or header is None or len(header) <= MAX_FORWARDED_CHARACTERS:
            return header if self._trusted else None
        return header[-MAX_FORWARDED_CHARACTERS:].partition(",")[2]

    def is_trusted(self, peer: str) -> bool:
        """Tell whether an address is a trusted proxy's."""
        address = parse_address(peer)
        return address is not None and self._is_trusted(address)

    def _find(self, peer: str, forwarded: str | None) -> str:
        """Go from the connection's end towards the client, as long as the one before is trusted to have told the truth."""
        address = parse_address(peer)
        if address is None:
            return peer
        for text in reversed((forwarded or "").split(",")):
            following = parse_address(text.strip()) if self._is_trusted(address) else None
            if following is None:
                break
            address = following
        return _describe(address)

    def _is_trusted(self, address: IpAddress) -> bool:
        return any(address in network for network in self._trusted)


def parse_address(text: str) -> IpAddress | None:
    """Return the address of a text, which may have a port behind it; IPv4 as such, also when mapped into IPv6."""
    host = text[1:].partition("]")[0] if text.startswith("[") else text
    if host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _describe(address: IpAddress) -> str:
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(ipaddress.IPv6Network((address, IPV6_PREFIX), strict=False))
