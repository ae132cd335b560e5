"""Prints the losses of everyone's first steps as JSON, a line for each workload.

In a process of its own: JAX and Keras warn of what other tests do.
"""

import json

import numpy as np
from peers import jax, keras, mygrad, numpy, ours, pytorch, sklearn
from report import peer
from workload import Workload

STEPS = 10
WORKLOADS = [
    Workload("by hand", (5, 7, 6, 3), 16, norm="BatchNorm1d"),
    Workload("everyone", (5, 7, 6, 3), 16),
    Workload("Adam", (5, 7, 6, 3), 16, "Adam"),
    Workload("RMSprop", (5, 7, 3), 16, "RMSprop", "GELU", "LayerNorm", loss="squared error"),
    Workload("AdamW", (5, 7, 3), 16, "AdamW", "Softplus", loss="binary cross-entropy"),
    Workload("momentum", (5, 7, 3), 16, "momentum", "ELU", "LayerNorm"),
]


def everyone(workload):
    """Each one's step that is here and can express the workload."""
    keras.backend()
    libraries = {
        "PyTorch": (pytorch, peer("torch")),
        "JAX": (jax, peer("jax")),
        "Keras": (keras, peer("keras")),
        "scikit-learn": (sklearn, peer("sklearn.neural_network") and peer("sklearn")),
        "MyGrad": (mygrad, peer("mygrad")),
    }
    steps = {name: module.step(workload, it) for name, (module, it) in libraries.items() if it}
    steps["NumPy"] = numpy.step(workload)
    steps["ours, eager"] = ours.step(workload, compiled=False)
    return {"ours, compiled": ours.step(workload, compiled=True)} | steps


def number(loss):
    """What is in it, off every tape."""
    loss = getattr(loss, "detach", lambda: loss)()
    return float(np.asarray(getattr(loss, "data", loss) if "mygrad" in str(type(loss)) else loss))


if __name__ == "__main__":
    for each in WORKLOADS:
        steps = {name: step for name, step in everyone(each).items() if step}
        losses = {name: [number(step()) for _ in range(STEPS)] for name, step in steps.items()}
        print(json.dumps({"name": each.name, "losses": losses}))
