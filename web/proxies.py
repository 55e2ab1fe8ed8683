"""Who asks, and by which scheme, when a reverse proxy asks for them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: What proxies add. Removed once read, so that nothing behind can mistake them for facts.
HEADERS = ("FORWARDED", *(f"X_FORWARDED_{name}" for name in ("FOR", "PROTO", "HOST", "PORT", "BY", "PREFIX")))
#: In the WSGI environment: a proxy that is not trusted has forwarded the request, so the address is not the client's.
UNKNOWN_CLIENT = "catalog.unknown_client"


class TrustedProxies:
    """WSGI middleware: the address and the scheme that trusted proxies forward replace those of the connection.

    `X-Forwarded-For` is read from its end, where the nearest proxy wrote: the first address that is no trusted proxy's
    is the client's. What a client itself put before it is not read, nor any such header from another peer.
    """

    def __init__(self, application: WSGIApplication, trusted: Sequence[Network]) -> None:
        self._application, self._trusted = application, trusted

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Replace, then call the application."""
        said = {name: environ.pop(f"HTTP_{name}", "") for name in HEADERS}
        peer = _address(environ.get("REMOTE_ADDR", ""))
        environ[UNKNOWN_CLIENT] = any(said.values()) and not (peer is not None and self._is_trusted(peer))
        if peer is not None and self._is_trusted(peer):
            environ["REMOTE_ADDR"] = str(self._client(peer, said["X_FORWARDED_FOR"]))
            scheme = said["X_FORWARDED_PROTO"].rpartition(",")[2].strip().lower()
            if scheme in ("http", "https"):
                environ["wsgi.url_scheme"] = scheme
        return self._application(environ, start_response)

    def _client(self, peer: Address, forwarded: str) -> Address:
        for text in reversed(forwarded.split(",")):
            address = _address(text.strip())
            if address is None:  # none, or not an address: the last that was understood
                return peer
            peer = address
            if not self._is_trusted(address):
                break
        return peer

    def _is_trusted(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def _address(text: str) -> Address | None:
    """An address, also with a port (`192.0.2.1:80`, `[2001:db8::1]:80`); an IPv4 one in IPv6 is the IPv4 one."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
