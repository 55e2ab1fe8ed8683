"""An offline till's server: the API's recognition and feedback on this machine, without pages (`catalog till`)."""

from __future__ import annotations
