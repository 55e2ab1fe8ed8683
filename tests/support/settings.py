"""The names of all settings."""

from __future__ import annotations

import re

from tests.support.deployed import ROOT

SETTINGS = set(re.findall(r'"(CATALOG_[A-Z_]+)"', (ROOT / "catalog" / "config.py").read_text()))
