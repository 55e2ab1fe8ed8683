"""Long-running jobs, in this process or by a worker: CATALOG_JOBS names the broker (Celery, extra `celery`).

A job is idempotent: if its worker is killed, the next one gets it, and continues where it ended.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.errors import CatalogError, ConfigError
from catalog.maintenance import reembedding
from catalog.maintenance.reembedding import Switched
from catalog.progress import Progress, no_progress
from embedder.bundle import load_bundle
from embedder.errors import EmbedderError

TASK = "catalog.reembed"
#: Timeout of broker and worker before a job is sent, in seconds.
ANSWER = 5
#: Seconds after which Redis delivers an unfinished job to another worker: longer than any job takes.
REDELIVER = 24 * 3600


class JobFailedError(CatalogError):
    """The job failed; the message is the worker's."""

    code = "job_failed"


def run_reembed(
    settings: Settings,
    bundle: Path | None,
    *,
    rollback: bool,
    actor: str,
    progress: Progress,
) -> Switched:
    """Re-embed with a bundle (CATALOG_MODEL when None) or roll back: in this process, or wait for a worker to do it.

    Raises what `reembed` raises, ConfigError when no worker answers, JobFailedError when the worker failed.
    """
    if settings.jobs == "local":
        return _reembed(settings, bundle, rollback, actor, progress)
    app = make_app(settings)
    from kombu.exceptions import OperationalError

    try:
        if not app.control.ping(timeout=ANSWER, limit=1):
            raise ConfigError("No worker answers at the broker of CATALOG_JOBS: start one by `catalog worker`.")
        path = str(bundle.absolute()) if bundle else None
        answer: dict[str, Any] = app.send_task(TASK, (path, rollback, actor)).get()
    except (OperationalError, *app.connection().connection_errors) as error:
        raise ConfigError(f"The broker of CATALOG_JOBS does not answer: {error}") from error
    if "error" in answer:
        raise JobFailedError(answer["error"])
    return Switched(**answer)


def _reembed(settings: Settings, bundle: Path | None, rollback: bool, actor: str, progress: Progress) -> Switched:
    catalog = Catalog.open(settings)
    try:
        if rollback:
            return reembedding.rollback(catalog, progress, actor=actor)
        return reembedding.reembed(catalog, load_bundle(bundle or settings.model), progress, actor=actor)
    finally:
        catalog.close()


def make_app(settings: Settings) -> Any:
    """The Celery app of the configured broker. Raises ConfigError without the extra `celery`."""
    try:
        from celery import Celery
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"CATALOG_JOBS={settings.jobs.split(':')[0]} needs {error.name}: install photo-catalog[celery]."
        ) from None
    app = Celery(
        "catalog", broker=settings.jobs, backend=settings.jobs if settings.jobs.startswith("redis") else "rpc://"
    )
    app.conf.update(
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        broker_transport_options={"visibility_timeout": REDELIVER} if settings.jobs.startswith("redis") else {},
        broker_connection_timeout=ANSWER,
        broker_connection_retry_on_startup=True,
        worker_hijack_root_logger=False,
    )

    @app.task(name=TASK)  # type: ignore[untyped-decorator]
    def task(bundle: str | None, rollback: bool, actor: str) -> dict[str, Any]:
        try:
            return asdict(_reembed(settings, Path(bundle) if bundle else None, rollback, actor, no_progress))
        except (CatalogError, EmbedderError, OSError) as error:
            return {"error": str(error)}

    return app


def work(settings: Settings) -> None:
    """Run jobs, one at a time, until interrupted. Raises ConfigError when CATALOG_JOBS names no broker."""
    if settings.jobs == "local":
        raise ConfigError("CATALOG_JOBS is local: jobs run in the process that asks for them, and there is no worker.")
    make_app(settings).worker_main(["worker", "--pool=solo", "--loglevel=INFO", "--without-gossip", "--without-mingle"])
