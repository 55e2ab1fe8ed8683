"""The table of photos that are sent before their form."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from catalog.storage.table_base import Base, now


class EarlyUpload(Base):
    """A photo that a person has sent while the form was still typed (see enrollment/early_uploads.py).

    `user`: who, by name. `data`: the file, of `size` bytes, read only where it is needed.
    """

    __tablename__ = "early_upload"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    at: Mapped[datetime] = mapped_column(default=now, index=True)
    user: Mapped[str] = mapped_column(String(100), index=True)
    filename: Mapped[str] = mapped_column(Text)
    size: Mapped[int]
    data: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
