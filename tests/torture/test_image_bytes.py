from __future__ import annotations

from pathlib import Path

import pytest

from tests.torture.image_bytes import WHOLE, send

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells how much memory a process has"),
]


def test_damaged_pictures_are_answered_and_leave_nothing_behind(tmp_path: Path) -> None:
    statuses, wrong = send(tmp_path, examples=400, number=1)
    assert wrong == []
    assert statuses.total() >= 400 + 3 * len(WHOLE)
    assert statuses[200] > 50 and statuses[422] > 50 and statuses[415] > 5, "some are still pictures, most are not"
