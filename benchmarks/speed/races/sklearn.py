"""scikit-learn's MLPClassifier, without dropout, which it does not have."""

from __future__ import annotations

import joblib
import numpy as np
from sklearn.neural_network import MLPClassifier

from races.race import BATCH, RATE, Race, run


def contestant(race: Race) -> None:
    model = MLPClassifier(
        race.sizes[1:-1],
        solver="adam",
        learning_rate_init=RATE,
        alpha=0,
        batch_size=BATCH,
        random_state=race.seed,
    )
    classes = np.arange(race.sizes[-1])
    race.train(
        lambda: model.partial_fit(race.x, race.y, classes=classes),  # one epoch
        lambda: model.predict(race.x_test),
        lambda folder: joblib.dump(model, folder / "model.joblib"),
    )


if __name__ == "__main__":
    run(contestant)
