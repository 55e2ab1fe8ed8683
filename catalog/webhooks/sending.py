"""Send one message to an address that a member of the staff has typed: what it may reach is limited.

The name is looked up once, all its addresses are judged, and one of them is connected to: a name that means another
address a moment later leads nowhere else. No redirect is followed, no proxy of the environment is asked, and of the
answer only the beginning is read.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from catalog.errors import InvalidInputError

#: Seconds to connect, to send or read each part, and for all of it.
CONNECT, PART, ALL = 5.0, 10.0, 20.0
#: Bytes of an answer that are read and kept.
KEPT = 300
#: Characters of an address.
LONGEST = 500


@dataclass(frozen=True)
class Sent:
    """What came of it. `status`: HTTP, None without an answer. `said`: the beginning of the answer, or what went wrong.

    `wait`: seconds that the receiver asks to be left alone for.
    """

    status: int | None
    milliseconds: int
    said: str
    wait: int = 0

    @property
    def ok(self) -> bool:
        """Whether it was taken."""
        return self.status is not None and 200 <= self.status < 300


class _RefusedError(Exception):
    """The address may not be reached."""


def checked_url(url: str) -> str:
    """An address as it is stored. Raises InvalidInputError for anything but http or https to a host, without a name and
    password in it.
    """
    url = url.strip()
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        good &= parts.username is None and parts.password is None and not parts.fragment
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        good = False
    if not good or len(url) > LONGEST or not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidInputError("url", "The address is https://HOST/PATH or http://HOST/PATH, with no password in it.")
    return url


def send(url: str, headers: Mapping[str, str], body: bytes, *, private: bool) -> Sent:
    """POST a body; `private`: to addresses of the own network and machine, too. Raises nothing."""
    began = time.monotonic()

    def sent(status: int | None, said: str, wait: int = 0) -> Sent:
        return Sent(status, round((time.monotonic() - began) * 1000), said, wait)

    streams: list[Any] = []
    watch = threading.Timer(ALL, _hang_up, (streams,))
    watch.daemon = True
    watch.start()
    try:
        target, address = httpx.URL(url), _address(url, private=private)
        timeout = httpx.Timeout(PART, connect=CONNECT)
        with httpx.Client(timeout=timeout, trust_env=False, follow_redirects=False) as client:
            request = client.build_request(
                "POST",
                target.copy_with(host=address),
                headers={**headers, "Host": _host(target), "Content-Type": "application/json"},
                content=body,
                extensions={"sni_hostname": target.host, "trace": _noting(streams)},
            )
            response = client.send(request, stream=True)
            watch.cancel()
            try:
                text = _beginning(response, began + ALL)
            finally:
                response.close()
        return sent(response.status_code, text, _wait(response))
    except _RefusedError as error:
        return sent(None, str(error))
    except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError, ValueError) as error:
        return sent(None, f"{type(error).__name__}: {error}"[:KEPT])
    finally:
        watch.cancel()


def _noting(streams: list[Any]) -> Callable[[str, Mapping[str, Any]], None]:
    """Keeps the stream of the connection that is made (an extension of httpx that is told each step)."""

    def note(step: str, told: Mapping[str, Any]) -> None:
        if step in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            streams.append(told["return_value"])

    return note


def _hang_up(streams: list[Any]) -> None:
    """End the connection under whoever reads it: one that sends a byte now and then keeps within every timeout."""
    for stream in streams:
        with suppress(OSError):  # what TLS has wrapped is no socket any more
            socket.socket.shutdown(stream.get_extra_info("socket"), socket.SHUT_RDWR)


def _host(url: httpx.URL) -> str:
    return url.netloc.decode("ascii")


def _address(url: str, *, private: bool) -> str:
    """The address to connect to. Raises _RefusedError if one of the host's addresses may not be reached, or OSError."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    addresses = [str(entry[4][0]).partition("%")[0] for entry in found]
    for address in addresses:
        _judge(ipaddress.ip_address(address), private=private)
    return addresses[0]


def _judge(address: ipaddress.IPv4Address | ipaddress.IPv6Address, *, private: bool) -> None:
    """Raises _RefusedError. What tells a cloud's machine its secrets (link-local) is never reached."""
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None:
        address = mapped
    if address.is_link_local or address.is_multicast or address.is_unspecified or address == _BROADCAST:
        raise _RefusedError(f"{address} is no address of a server.")
    if not address.is_global and not private:
        raise _RefusedError(
            f"{address} is an address of a private network: the operator allows these by CATALOG_WEBHOOK_PRIVATE=on."
        )


_BROADCAST = ipaddress.IPv4Address("255.255.255.255")


def _beginning(response: httpx.Response, ends: float) -> str:
    """The first bytes of an answer, as text of one line."""
    data = b""
    for chunk in response.iter_raw():  # as it comes: asked for KEPT bytes, it would wait for all of them
        data += chunk
        if len(data) >= KEPT or time.monotonic() > ends:
            break
    text = data[:KEPT].decode("utf-8", "replace")
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())


def _wait(response: httpx.Response) -> int:
    text = response.headers.get("Retry-After", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 6 else 0
