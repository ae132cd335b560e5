"""Keras on JAX, trained by ``fit``."""

from __future__ import annotations

import json
import sys
import time

import keras
import numpy as np

from libraries import Network, load


class Times(keras.callbacks.Callback):
    """Record the seconds of each epoch's training, without its validation."""

    def on_train_begin(self, logs: object = None) -> None:
        """Begin without seconds."""
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        """Start the clock."""
        self.start = time.perf_counter()

    def on_test_begin(self, logs: object = None) -> None:
        """Stop the clock: the validation begins."""
        self.seconds.append(time.perf_counter() - self.start)


def main(network: Network) -> dict[str, object]:
    x, y, x_test, y_test = load()
    keras.utils.set_random_seed(network.seed)
    layers = keras.layers
    model = keras.Sequential([keras.Input((x.shape[1],))])
    for width, dropout in zip(network.hidden, network.dropout, strict=True):
        model.add(layers.Dense(width, activation="relu"))
        model.add(layers.BatchNormalization())  # momentum 0.99, epsilon 1e-3
        if dropout:
            model.add(layers.Dropout(dropout))
    model.add(layers.Dense(10))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(network.rate), loss, metrics=["accuracy"])
    times = Times()
    options = dict(epochs=network.epochs, batch_size=network.batch, callbacks=[times], verbose=0)
    history = model.fit(x, y, validation_data=(x_test, y_test), **options).history
    trainable = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    return dict(
        parameters=model.count_params(),
        trainable=trainable,
        accuracy=history["val_accuracy"],
        loss=history["loss"],
        val_loss=history["val_loss"],
        samples_per_second=len(x) / float(np.median(times.seconds[1:] or times.seconds)),
    )


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    print(json.dumps(main(Network(**given))))
