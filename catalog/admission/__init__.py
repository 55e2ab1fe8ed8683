"""Admission: checks of a photo before it is accepted."""

from __future__ import annotations

from catalog.admission.checking import PhotoCheck, check_photos, refuse
from catalog.admission.lookalikes import LookAlike
from catalog.admission.photo_warnings import WARNING_LABELS
from catalog.admission.resemblance import Resemblance, StoredPhotos

__all__ = ["WARNING_LABELS", "LookAlike", "PhotoCheck", "Resemblance", "StoredPhotos", "check_photos", "refuse"]
