"""`... removing_killed ID STEP`: a removal of a model that is killed before or in the middle of a step."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from typing import Any

from catalog import maintenance
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.maintenance import model_lifecycle


def die(*given: Any, **options: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    bundle_id, step = sys.argv[1:]
    catalog = Catalog.open(Settings.from_env())
    if step == "collection":
        catalog.gallery.drop = die  # type: ignore[method-assign]
    elif step == "sweep":  # in the middle of the removal of the collection
        shutil.rmtree = die  # type: ignore[assignment]
    elif step == "files":
        model_lifecycle.sync_folder = die
    elif step == "rows":
        model_lifecycle._remove_rows = die
    else:  # "commit": all is written, but for the end of the transaction
        model_lifecycle.audit_log.record = die  # type: ignore[assignment]
    maintenance.remove_model(catalog, bundle_id, actor="anna")
