"""A photo before it is accepted."""

from __future__ import annotations

from catalog.admission.checking import Checked, check, refuse
from catalog.admission.lookalikes import LookAlike
from catalog.admission.photo_warnings import MEANING

__all__ = ["MEANING", "Checked", "LookAlike", "check", "refuse"]
