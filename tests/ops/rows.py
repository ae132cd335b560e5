"""All rows of the table of ops, by name."""

from __future__ import annotations

import importlib
from pathlib import Path

from tests.ops.table import Row

TABLE: dict[str, Row] = {}
for path in sorted(Path(__file__).parent.glob("rows_*.py")):
    for row in importlib.import_module(f"tests.ops.{path.stem}").ROWS:
        assert row.op not in TABLE, f"two rows for {row.op}"
        TABLE[row.op] = row
