"""`embedder`: train, evaluate and release models."""

from __future__ import annotations

from embedder.cli.main import main

__all__ = ["main"]
