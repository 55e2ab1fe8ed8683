"""Offline tills: signed archives of all that recognition needs, and tills that recognize from one without a server."""

from __future__ import annotations

from catalog.offline import archive, signing
from catalog.offline.building import Built, OfflineBundles
from catalog.offline.errors import BundleRefusedError, ServerUnreachableError
from catalog.offline.installing import install
from catalog.offline.opening import TILL_SCOPES, Till, TillOptions, prepare_folder
from catalog.offline.receiving import Refused, TillAnswer, TillFeedback, receive
from catalog.offline.server_link import ServerLink, send_waiting
from catalog.offline.till_folder import TillFolder
from catalog.offline.till_worker import TillWorker

__all__ = [
    "TILL_SCOPES",
    "Built",
    "BundleRefusedError",
    "OfflineBundles",
    "Refused",
    "ServerLink",
    "ServerUnreachableError",
    "Till",
    "TillAnswer",
    "TillFeedback",
    "TillFolder",
    "TillOptions",
    "TillWorker",
    "archive",
    "install",
    "prepare_folder",
    "receive",
    "send_waiting",
    "signing",
]
