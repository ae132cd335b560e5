"""How each dataset is trained by default: one entry each; digits and spiral over seeds 0 to 4.

What an entry does not say is as :class:`Settings` has it: that is how files are trained.
"""

from __future__ import annotations

from typing import Any

RECIPES: dict[str, dict[str, Any]] = {
    "digits": dict(hidden=(128, 64), batch_norm=True, lr=0.003, epochs=40, batch_size=64),
    "spiral": dict(hidden=(100,), lr=0.03, epochs=200, batch_size=50),
    "moons": dict(hidden=(32, 32), lr=0.01, epochs=100, batch_size=32),
    "circles": dict(hidden=(32, 32), lr=0.01, epochs=100, batch_size=32),
    "xor": dict(hidden=(32, 32), lr=0.01, epochs=100, batch_size=32),
    "mnist": dict(hidden=(256, 128), dropout=0.2, lr=0.003, epochs=6, batch_size=128),
    "fashion_mnist": dict(hidden=(256, 128), dropout=0.2, lr=0.003, epochs=12, batch_size=128),
}

DATA: dict[str, dict[str, Any]] = {
    # 600 points, so that the half which it learns from is the classic 3 x 100.
    "spiral": dict(arms=3, points=200, test=0.5)
}
