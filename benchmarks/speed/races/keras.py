"""Keras on JAX, trained by `fit`."""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np

from races.race import BATCH, DROPOUT, RATE, Race, run


def contestant(race: Race) -> None:
    keras.utils.set_random_seed(race.seed)
    inputs, *hidden, outputs = race.sizes
    model = keras.Sequential([keras.Input((inputs,))])
    for size in hidden:
        model.add(keras.layers.Dense(size, activation="relu"))
        model.add(keras.layers.Dropout(DROPOUT))
    model.add(keras.layers.Dense(outputs))
    model.set_weights([array for w in race.weights() for array in (w, np.zeros(w.shape[1]))])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(RATE), loss=loss)
    count = len(race.x) // BATCH * BATCH

    def train_epoch() -> None:
        model.fit(race.x[:count], race.y[:count], batch_size=BATCH, epochs=1, verbose=0)

    def classify() -> np.ndarray:
        return model.predict(race.x_test, batch_size=1000, verbose=0).argmax(1)

    race.train(train_epoch, classify, lambda folder: model.save(folder / "model.keras"))


if __name__ == "__main__":
    run(contestant)
