"""tinygrad_mlp, trained by `fit`, which runs each epoch natively."""

from __future__ import annotations

import numpy as np

import tinygrad_mlp as tg
from races.race import BATCH, DROPOUT, RATE, Race, run
from tinygrad_mlp import nn, optim
from tinygrad_mlp.train import Callback, Trainer


class StopAtGoal(Callback):
    """Stop the training when the race ends."""

    def __init__(self, race: Race):
        self.race = race

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Record the accuracy; stop if the race ends."""
        if self.race.record(trainer.history.last["val_accuracy"]):
            trainer.stop("the race is over")


def contestant(race: Race) -> None:
    tg.set_num_threads(race.threads)
    tg.manual_seed(race.seed)
    *hidden, last = race.weights()
    layers: list[nn.Module] = []
    for weight in hidden:
        layers += [layer(weight), nn.ReLU(), nn.Dropout(DROPOUT)]
    model = nn.Sequential(*layers, layer(last))
    tg.fit(
        model,
        optim.Adam(model.parameters(), lr=RATE),
        (race.x, race.y),
        validation=(race.x_test, race.y_test),
        epochs=race.epochs,
        batch_size=BATCH,
        drop_last=True,
        callbacks=[StopAtGoal(race)],
        seed=race.seed,
        progress=False,
    )
    race.save(lambda folder: tg.save(model.state_dict(), folder / "model.safetensors"))


def layer(weight: np.ndarray) -> nn.Linear:  # (inputs, outputs)
    """Return a layer with this weight and zero bias."""
    linear = nn.Linear(*weight.shape)
    linear.load_state_dict({"weight": tg.tensor(weight.T), "bias": tg.zeros(weight.shape[1])})
    return linear


if __name__ == "__main__":
    run(contestant)
