"""What the tests of data share: a web server that can fail, and no way to any other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.data.server import Server, serving


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A web server for one test, asked without a proxy."""
    monkeypatch.setenv("no_proxy", "*")
    with serving() as running:
        yield running
