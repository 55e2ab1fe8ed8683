"""All but the gallery, out and in again."""

from __future__ import annotations

from catalog.backup.creating import BackedUp, backup
from catalog.backup.restoring import Restored, restore

__all__ = ["BackedUp", "Restored", "backup", "restore"]
