"""A whole training step (forward, loss, backward, update) of perceptrons, compared with the peers.

    python benchmarks/speed/step.py                 # every workload, every number of threads
    python benchmarks/speed/step.py --only deep --threads 2 --json step.json

All use the same data, first weights and batch. A call ends when the loss and the new parameters
have been computed. Peers are measured where they are installed (``pip install ".[bench]"``), each
on the workloads that it can express: PyTorch eager and `torch.compile`, JAX `jit` with donated
buffers, Keras on JAX, scikit-learn, MyGrad, and NumPy written by hand.

The rate counts matrix products only. The share is that of the roofline, the longer of two times:
the products at measured peak; parameters, gradients and optimizer state once in each direction and
activations once, at measured bandwidth.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Collection, Iterator

from peers import jax, keras, mygrad, numpy, ours, pytorch, sklearn
from report import OURS, Case, import_peer, main
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
    """Return the steps that can be measured here, by name, except those in ``without``."""
    steps: dict[str, Step | None] = {
        f"{OURS}, compiled": ours.step(workload, compiled=True),
        f"{OURS}, eager": ours.step(workload, compiled=False),
        "NumPy": numpy.step(workload),
    }
    if library := import_peer("torch"):
        steps["PyTorch"] = pytorch.step(workload, library)
        if "torch.compile" not in without and pytorch.has_compiler():
            steps["torch.compile"] = pytorch.step(workload, library, compiled=True)
    if library := import_peer("jax"):
        steps["JAX"] = jax.step(workload, library)
    if workload.training:
        steps |= training_only(workload)
    return {name: step for name, step in steps.items() if step and name not in without}


def training_only(workload: Workload) -> dict[str, Step | None]:
    """Return the steps of peers that are measured in training only."""
    steps: dict[str, Step | None] = {}
    keras.select_backend()
    if library := import_peer("keras"):
        steps["Keras"] = keras.step(workload, library)
    if import_peer("sklearn.neural_network") and (library := import_peer("sklearn")):
        steps["scikit-learn"] = sklearn.step(workload, library)
    if library := import_peer("mygrad"):
        steps["MyGrad"] = mygrad.step(workload, library)
    return steps


def cases(args: argparse.Namespace) -> Iterator[Case]:
    """Yield a case for each workload."""
    for workload in WORKLOADS:
        name = f"{workload.name}: {workload}"
        make = functools.partial(candidates, workload, args.without)
        yield Case(name, make, workload.flops, workload.bytes, level=workload.level)


if __name__ == "__main__":
    without = dict(nargs="+", default=[], metavar="PEER", help="peers that are not measured")
    main(__doc__ or "", cases, without=without)
