"""`... serving_killed MOMENT`: the real server, which kills itself in the first request that it does under a name.

MOMENT: `written`, what the request changes is written, and not committed; `committed`, before the photos are in the
gallery; `done`, before the answer is kept; `kept`, before it is sent.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from catalog.products import adding
from catalog.storage import named_requests
from web.__main__ import main


def killed(*args: Any, **kwargs: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def then_killed(real: Any) -> Any:
    def call(*args: Any, **kwargs: Any) -> None:
        real(*args, **kwargs)
        killed()

    return call


if __name__ == "__main__":
    moment = sys.argv[1]
    if moment == "written":
        named_requests.tell = then_killed(named_requests.tell)
    elif moment == "committed":
        adding._enroll = killed  # type: ignore[assignment]
    elif moment == "done":
        named_requests.finish = killed  # type: ignore[assignment]
    else:
        named_requests.finish = then_killed(named_requests.finish)
    sys.argv = ["catalog serve", "--port", "0"]
    main()
