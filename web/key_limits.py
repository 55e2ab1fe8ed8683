"""How often a key may ask: counted by windows of the clock, over Redis where processes share it, else in memory.

The counting is that of `limits`, the library below Flask-Limiter, which itself decides before a view runs: only after
the key was looked up is it known what its limit is. A window is a period of the clock (this minute, this hour), so one
call counts a request and no call need ask when the window ends.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from dataclasses import dataclass
from typing import Any

from limits.errors import ConfigurationError, StorageError
from limits.storage import storage_from_string

from catalog import rates
from catalog.errors import ConfigError
from catalog.rates import Rate
from catalog.storage.tables import ApiKey

log = logging.getLogger(__name__)

MEMORY = "memory"
#: Seconds that a request waits for Redis, at most, and after which it is asked again once it did not answer.
ANSWER, ASK_AGAIN = 0.2, 5.0


@dataclass(frozen=True, slots=True)
class Spent:
    """What a key has left: `remaining` of `limit` requests, and in `reset` whole seconds all of them again."""

    limit: int
    remaining: int
    reset: int
    is_over: bool

    @property
    def headers(self) -> dict[str, str]:
        """The fields of draft-ietf-httpapi-ratelimit-headers up to 06: three numbers, which clients know.

        Later drafts have put them into one structured field, and changed its syntax from draft to draft.
        """
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset),
        }


class KeyLimits:
    """Counts the requests of each key. Thread-safe.

    `url`: MEMORY, or redis://...; `usual`: the limit of keys that have none of their own, None for none. While Redis
    does not answer each process counts for itself: no request waits for it or fails.
    """

    def __init__(self, url: str, usual: Rate | None) -> None:
        self._usual = usual
        self._memory: Any = storage_from_string("memory://")
        self._shared: Any = None if url == MEMORY else _redis(url)
        self._is_away = False
        self._lock = threading.Lock()

    def spend(self, key: ApiKey, cost: int = 1) -> Spent | None:
        """Count `cost` requests of this key; None if nothing limits it."""
        rate = rates.parse(key.rate) if key.rate else self._usual
        if rate is None:
            return None
        at = time.time()
        window = int(at // rate.seconds)
        # Not of the number alone: catalogs may share a Redis, and each has a key 1.
        name = f"{key.id}/{key.created_at.timestamp():.6f}/{rate.seconds}/{window}"
        count = self._count(name, rate.seconds, cost)
        reset = max(1, math.ceil((window + 1) * rate.seconds - at))
        return Spent(rate.amount, max(0, rate.amount - count), reset, count > rate.amount)

    def _count(self, name: str, seconds: int, cost: int) -> int:
        if self._shared is not None and not self._is_away:
            try:
                return int(self._shared.incr(name, seconds, cost))
            except (StorageError, OSError) as error:
                self._fall_back(error)
        return int(self._memory.incr(name, seconds, cost))

    def _fall_back(self, error: Exception) -> None:
        with self._lock:
            if self._is_away:
                return
            self._is_away = True
        log.warning("Redis of the keys' limits does not answer: until it does, each process counts alone. %s", error)
        threading.Thread(target=self._wait_for_redis, name="key-limits", daemon=True).start()

    def _wait_for_redis(self) -> None:
        """Ask until it answers, beside the requests."""
        while not self._shared.check():
            time.sleep(ASK_AGAIN)
        self._is_away = False
        log.info("Redis of the keys' limits answers again.")


def _redis(url: str) -> Any:
    """A storage that connects when it is first used, and tries once. Raises ConfigError."""
    try:
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ModuleNotFoundError as error:
        raise ConfigError(f"CATALOG_LIMITS=redis://... needs {error.name}: install photo-catalog[celery].") from None
    options: dict[str, Any] = {
        "socket_timeout": ANSWER,
        "socket_connect_timeout": ANSWER,
        "retry": Retry(NoBackoff(), 0),  # by default it would try for seconds
        "key_prefix": "catalog-key",
        "wrap_exceptions": True,
    }
    try:
        return storage_from_string(url, **options)
    except (ConfigurationError, ValueError) as error:
        raise ConfigError("CATALOG_LIMITS (or CATALOG_JOBS) is no address of a Redis: redis://HOST/NUMBER.") from error
