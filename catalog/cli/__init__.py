"""`catalog`: the command line of the staff and the operator."""

from __future__ import annotations

try:
    from catalog.cli.main import main
except KeyboardInterrupt:  # while it loads; later, click handles it
    raise SystemExit(130) from None

__all__ = ["main"]
