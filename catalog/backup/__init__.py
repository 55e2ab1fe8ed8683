"""Backup and restore of everything but the gallery, which can be rebuilt."""

from __future__ import annotations

from catalog.backup.creating import BackedUp, back_up
from catalog.backup.restoring import Restored, restore

__all__ = ["BackedUp", "Restored", "back_up", "restore"]
