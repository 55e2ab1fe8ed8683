"""Is all there that a catalog needs to answer? What is missing is found, and what can be made again is.

Here the photos and what is kept beside them; doctor_gallery.py compares SQL with the gallery.
"""

from __future__ import annotations

from datetime import timedelta

#: Photos that are asked of SQL at a time.
PAGE = 500
#: A photo that is being added has its bytes before its row, and one that was deleted by mistake may be wanted back.
ORPHAN_AGE = timedelta(days=1)
