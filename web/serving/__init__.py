"""The HTTP server: waitress with bounded queues, limits of time and size, and an orderly end. Knows no page and no API.

Why waitress, and what was measured: docs/operating.md and docs/measurements.md.
"""

from __future__ import annotations

from web.serving.lanes import Load
from web.serving.server import Server
from web.serving.verdicts import Head, Refused, Verdict

__all__ = ["Head", "Load", "Refused", "Server", "Verdict"]
