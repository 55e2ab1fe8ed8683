"""What Prometheus reads of this process: /metrics. The names stand in docs/operating.md."""

from __future__ import annotations

from web.metrics import lookout
from web.metrics.catalog_state import CatalogState
from web.metrics.page import init_app, of
from web.metrics.recorder import Recorder
from web.metrics.till_state import TillState

__all__ = ["CatalogState", "Recorder", "TillState", "init_app", "lookout", "of"]
