"""A server of predictions runs for minutes with right answers and flat memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.soak.processes import run
from tests.soak.runs import count

pytestmark = pytest.mark.soak


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_a_server_answers_right_with_flat_memory(figure: Callable[[str], None]) -> None:
    figure(f"server: {run('server', '--seconds', count('SERVER_SECONDS', 600))}")
