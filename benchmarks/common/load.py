"""Load on the server: tills that don't wait for each other, and connections that only stay open."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

#: Seconds after which a till gives up.
PATIENCE = 30.0


@dataclass(frozen=True)
class Reply:
    """What came back: status 0 where nothing did; milliseconds from connecting to the last byte."""

    status: int
    milliseconds: float
    retry_after: bool = False


@dataclass(frozen=True)
class Target:
    """A server and a till's key."""

    url: str
    key: str

    def head(self, method: str, path: str, length: int = 0) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {urlsplit(self.url).netloc}", f"Authorization: Bearer {self.key}"]
        if length:
            lines += [f"Content-Length: {length}", "Content-Type: image/jpeg"]
        return "\r\n".join([*lines, "", ""]).encode()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = urlsplit(self.url)
        return await asyncio.open_connection(parts.hostname, parts.port)


async def exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: Target, photo: bytes = b"", path: str = ""
) -> Reply:
    """One request on an open connection: the photo to recognize, or a GET of `path`."""
    began = time.perf_counter()
    status, retry = 0, False
    try:
        async with asyncio.timeout(PATIENCE):
            head = target.head("GET", path) if path else target.head("POST", "/api/v1/recognize", len(photo))
            writer.write(head + photo)
            lines = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
            status = int(lines[0].split()[1])
            fields = dict(line.split(b": ", 1) for line in lines[1:] if line)
            retry = b"retry-after" in fields
            await reader.readexactly(int(fields[b"content-length"]))
    except (TimeoutError, OSError, asyncio.IncompleteReadError):
        status = 0
    return Reply(status, (time.perf_counter() - began) * 1000, retry)


async def once(target: Target, photo: bytes = b"", path: str = "") -> Reply:
    """One request on a connection of its own."""
    began = time.perf_counter()
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await target.connect()
    except (TimeoutError, OSError):
        return Reply(0, (time.perf_counter() - began) * 1000)
    reply = await exchange(reader, writer, target, photo, path)
    writer.close()
    return reply


async def one_after_another(target: Target, photos: list[bytes], tills: int, rounds: int) -> list[Reply]:
    """So many tills, each asking `rounds` times without a pause."""

    async def till(number: int) -> list[Reply]:
        return [await once(target, photos[(number + i) % len(photos)]) for i in range(rounds)]

    return [reply for replies in await asyncio.gather(*map(till, range(tills))) for reply in replies]


async def at_rate(target: Target, photos: list[bytes], rate: float, seconds: float) -> tuple[list[Reply], list[Reply]]:
    """So many requests a second, whether or not they are answered; and what /health said every 100 ms meanwhile."""
    asked: list[asyncio.Task[Reply]] = []
    health: list[asyncio.Task[Reply]] = []
    began = time.perf_counter()
    while (now := time.perf_counter() - began) < seconds:
        if len(asked) < now * rate:
            asked.append(asyncio.create_task(once(target, photos[len(asked) % len(photos)])))
        if len(health) < now * 10:
            health.append(asyncio.create_task(once(target, path="/health")))
        await asyncio.sleep(min(0.005, 1 / rate))
    return list(await asyncio.gather(*asked)), list(await asyncio.gather(*health))


async def beside_idle(target: Target, photos: list[bytes], idle: int, tills: int) -> list[Reply]:
    """So many tills with a connection each, asking one by one, beside so many connections that say nothing."""
    silent = [await target.connect() for _ in range(idle)]
    open_tills = [await target.connect() for _ in range(tills)]
    replies = [
        await exchange(reader, writer, target, photos[number % len(photos)])
        for number, (reader, writer) in enumerate(open_tills)
    ]
    for _, writer in [*silent, *open_tills]:
        writer.close()
    return replies
