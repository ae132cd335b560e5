"""Print the losses of every library's first steps as JSON, one line per workload.

Run in a process of its own, since JAX and Keras raise warnings about what other tests do.
"""

import json

import numpy as np
from peers import jax, keras, mygrad, numpy, ours, pytorch, sklearn
from report import import_peer
from workload import Workload

STEPS = 10
WORKLOADS = [
    Workload("norm", (5, 7, 6, 3), 16, norm="BatchNorm1d"),
    Workload("plain", (5, 7, 6, 3), 16),
    Workload("Adam", (5, 7, 6, 3), 16, "Adam"),
    Workload("RMSprop", (5, 7, 3), 16, "RMSprop", "GELU", "LayerNorm", loss="squared error"),
    Workload("AdamW", (5, 7, 3), 16, "AdamW", "Softplus", loss="binary cross-entropy"),
    Workload("momentum", (5, 7, 3), 16, "momentum", "ELU", "LayerNorm"),
]


def all_steps(workload):
    """Return the steps of our two modes, of NumPy, and of every library that is installed."""
    keras.select_backend()
    libraries = {
        "PyTorch": (pytorch, import_peer("torch")),
        "JAX": (jax, import_peer("jax")),
        "Keras": (keras, import_peer("keras")),
        "scikit-learn": (sklearn, import_peer("sklearn.neural_network") and import_peer("sklearn")),
        "MyGrad": (mygrad, import_peer("mygrad")),
    }
    steps = {
        name: module.step(workload, library)
        for name, (module, library) in libraries.items()
        if library
    }
    steps["NumPy"] = numpy.step(workload)
    steps["ours, eager"] = ours.step(workload, compiled=False)
    return {"ours, compiled": ours.step(workload, compiled=True)} | steps


def as_float(loss):
    """Return the value of a scalar of any library, detached from its graph."""
    loss = getattr(loss, "detach", lambda: loss)()
    return float(np.asarray(getattr(loss, "data", loss) if "mygrad" in str(type(loss)) else loss))


if __name__ == "__main__":
    for workload in WORKLOADS:
        steps = {name: step for name, step in all_steps(workload).items() if step}
        losses = {name: [as_float(step()) for _ in range(STEPS)] for name, step in steps.items()}
        print(json.dumps({"name": workload.name, "losses": losses}))
