"""A whole training step (forward, loss, backward, update) of perceptrons, beside the peers.

    python benchmarks/step.py                       # every workload, every number of threads
    python benchmarks/step.py --only deep --threads 2 --json step.json

Same data, same first weights, same batch; a call ends when the loss and the new parameters are
there. Peers are measured where they are installed (``pip install ".[bench]"``) and for what they
can express: PyTorch eager and `torch.compile`, JAX `jit` with donated buffers, Keras on JAX,
scikit-learn, MyGrad, and NumPy by hand.

The rate counts matrix products only. The share is of the roofline: the products at measured peak;
parameters, gradients and optimizer state once each way and activations once at measured bandwidth;
whichever takes longer.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Collection, Iterator

from peers import jax, keras, mygrad, numpy, ours, pytorch, sklearn
from report import OURS, Case, main, peer
from workload import INFERENCE, Workload

Step = Callable[[], object]

DEEP = (784, 512, 128, 64, 10)
WORKLOADS = [
    Workload("spiral", (2, 100, 3), 300),
    Workload("small", (784, 256, 10), 128),
    Workload("deep", DEEP, 128, norm="BatchNorm1d", dropout=0.5),
    Workload("wide", (1024, 2048, 2048, 1024), 256, "Adam"),
    Workload("one image", DEEP, 1, INFERENCE),
    # Sizes for which libxsmm-dnn's rates are known: Georganas et al., arXiv 2104.05755.
    Workload("funnel", (784, 512, 128, 64), 128),
    Workload("single", (784, 256), 128),
    Workload("narrow", (64,) * 21, 128),
]


def candidates(workload: Workload, without: Collection[str] = ()) -> dict[str, Step]:
    """What can be measured here, by name, but for some."""
    steps: dict[str, Step | None] = {
        f"{OURS}, compiled": ours.step(workload, compiled=True),
        f"{OURS}, eager": ours.step(workload, compiled=False),
        "NumPy": numpy.step(workload),
    }
    if library := peer("torch"):
        steps["PyTorch"] = pytorch.step(workload, library)
        if "torch.compile" not in without and pytorch.compiler():
            steps["torch.compile"] = pytorch.step(workload, library, compiled=True)
    if library := peer("jax"):
        steps["JAX"] = jax.step(workload, library)
    if workload.training:
        steps |= frameworks(workload)
    return {name: step for name, step in steps.items() if step and name not in without}


def frameworks(workload: Workload) -> dict[str, Step | None]:
    """Those that train, and have no quicker way for one row."""
    steps: dict[str, Step | None] = {}
    keras.backend()
    if library := peer("keras"):
        steps["Keras"] = keras.step(workload, library)
    if peer("sklearn.neural_network") and (library := peer("sklearn")):
        steps["scikit-learn"] = sklearn.step(workload, library)
    if library := peer("mygrad"):
        steps["MyGrad"] = mygrad.step(workload, library)
    return steps


def cases(given: argparse.Namespace) -> Iterator[Case]:
    """Every workload."""
    for workload in WORKLOADS:
        name = f"{workload.name}: {workload}"
        make = functools.partial(candidates, workload, given.without)
        yield Case(name, make, workload.flops, workload.bytes, level=workload.level)


if __name__ == "__main__":
    leave_out = dict(nargs="+", default=[], metavar="PEER", help="peers to leave out")
    main(__doc__ or "", cases, without=leave_out)
