"""The terminal: what the commands print, whatever its encoding."""

from __future__ import annotations

import io
import sys


def escape_what_can_not_be_shown() -> None:
    """Let stdout and stderr write `\\xe9` for a character that their encoding lacks, instead of raising.

    A terminal may be set to Latin-1 or ASCII, and the name of a file may be no text at all (a lone surrogate).
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # else a program has put something of its own there, or there is none
            stream.reconfigure(errors="backslashreplace")
