"""Every kernel that folds gives the bits recorded here, on any vector unit.

Each unit that this machine has is forced by Numba's settings in a separate process. Inputs are made
of integers, exactly. Of NaNs only the positions are compared.

    python -c "from tests.kernels.test_bits import *; print(digests())"    # to record digests
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numba import njit

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tests.kernels.numbers import numbers, words
from tests.kernels.scripts import finish, run, start
from tests.kernels.units import EXPECTED, UNITS, missing
from tinygrad_mlp import nn
from tinygrad_mlp.kernels import gemm, vmath
from tinygrad_mlp.kernels.codegen import expression
from tinygrad_mlp.kernels.codegen.elementwise import Formula, Operand, address
from tinygrad_mlp.kernels.runtime.launch import Launch
from tinygrad_mlp.kernels.runtime.memory import address_of
from tinygrad_mlp.kernels.vmath.bits import multiply_add
from tinygrad_mlp.ops.random import dropout_mask
from tinygrad_mlp.ops.reduce import sum_of_squares

Arrays = Iterator[np.ndarray]
LENGTHS = (3, 7, 10, 17, 64, 100, 784, 1301)  # short, ragged, whole blocks, more than one block


def special(rows: int, columns: int, dtype: str) -> np.ndarray:
    """Return rows of zeros of both signs, with an infinity, with a NaN."""
    x = np.zeros((rows, columns), dtype)
    x[:, ::3] = -0.0
    x[0] = -0.0
    x[-1, columns // 2], x[-2, columns // 3] = np.inf, np.nan
    return x


def rows(dtype: str) -> Iterator[tg.Tensor]:
    for columns in LENGTHS:
        yield tg.tensor(numbers(5, columns, dtype=dtype))
        yield tg.tensor(special(5, columns, dtype))


ALL = ("along", "across", "apart")


def folded(fold: Callable[..., tg.Tensor], layouts: tuple[str, ...] = ALL[:1]) -> Callable:
    """Along rows; across them; along rows with a step. Each is a kernel to compile."""

    def case(dtype: str) -> Arrays:
        long = tg.tensor(numbers(70_001, dtype=dtype))
        for x in (*rows(dtype), long.reshape(1, -1)):
            if "along" in layouts:
                yield fold(x, 1).numpy()
            if "across" in layouts:
                yield fold(x, 0).numpy()
            if "apart" in layouts:
                yield fold(x[:, ::2], 1).numpy()
        if "across" in layouts:
            yield fold(long[:70_000].reshape(7000, 10), 0).numpy()

    return case


def of_rows(function: Callable[[tg.Tensor], tg.Tensor]) -> Callable:
    return lambda dtype: (function(x).numpy() for x in rows(dtype))


def with_gradients(function: Callable[..., tg.Tensor]) -> Callable:
    """Yield the result of a function of (x, weight, bias), and the three gradients."""

    def case(dtype: str) -> Arrays:
        for columns in LENGTHS:
            operands = [
                tg.tensor(numbers(*shape, dtype=dtype, seed=seed), requires_grad=True)
                for seed, shape in enumerate(((70, columns), (columns,), (columns,)))
            ]
            out = function(*operands)
            out.backward(tg.tensor(numbers(*out.shape, dtype=dtype, seed=3)))
            yield out.detach().numpy()
            yield from (x.grad.numpy() for x in operands if x.grad is not None)

    return case


def cross_entropy(x: tg.Tensor, weight: tg.Tensor, _: tg.Tensor) -> tg.Tensor:
    labels = tg.tensor(np.arange(x.shape[0]) % x.shape[1])
    weights = weight.detach() * weight.detach() + 1
    losses = F.cross_entropy(x, labels, weights, label_smoothing=0.25, reduction="none")
    return losses + F.cross_entropy(x, labels)


def products(dtype: str) -> Arrays:
    """All forms: tiles, dot products, rows, chunks; B in both orders."""
    for m, n, k in (
        (13, 33, 1100),
        (6, 11, 37),
        (1, 70, 530),
        (9, 7, 784),
        (10, 10, 4096),
        (1, 1, 5),
        (40, 3, 100),
    ):
        a, b = numbers(m, k, dtype=dtype), numbers(k, n, dtype=dtype, seed=1)
        turned = np.ascontiguousarray(b.T).T
        yield from (gemm.product(a, b), gemm.product(a, turned), gemm.product(a.T.copy().T, b))
        yield from (
            (tg.tensor(a) @ tg.tensor(b)).numpy(),
            (tg.tensor(a) @ tg.tensor(b.T).T).numpy(),
        )


PLAIN = ("exp", "expm1", "log", "log1p", "tanh", "sigmoid", "softplus", "erf", "sin", "rsqrt")


@njit
def _multiply_add(a, b, c, out):
    for i in range(out.size):
        out[i] = multiply_add(a[i], b[i], c[i])


def fused(dtype: str) -> Arrays:
    """a b + c of any bits: c of all sizes, or the rounded a b and its neighbours."""
    word = np.dtype(dtype.replace("float", "int"))
    a, b, c = (words(30_000, seed).astype(word).view(dtype) for seed in range(3))
    with np.errstate(all="ignore"):
        c[::2] = -(a * b)[::2]
    c[::4] = np.nextafter(c[::4], np.asarray(0, dtype))
    out = np.empty_like(a)
    _multiply_add(a, b, c, out)
    yield out


PAIRS = ("atan2", "pow")
OTHERS = tuple(sorted({*vmath.UNARY, "atan2", "pow"}.difference(PLAIN)))


def functions(names: tuple[str, ...]) -> Callable[[str], Arrays]:
    """Vector functions, all in one kernel; those of two numbers of x and 0.75 x."""

    def case(dtype: str) -> Arrays:
        x = np.abs(numbers(4001, dtype=dtype)) + np.asarray(2.0**-20, dtype)
        if "asin" in names:
            x = x / 8
            x[::2] = -x[::2] * 3
        node = expression.Expression("input", value="x")
        results = [
            (name, expression.Expression(name, [node, node * 0.75][: 1 + (name in PAIRS)]))
            for name in names
        ]
        formula = Formula("functions", ("x",), tuple(results))
        operands = tuple(Operand(name, dtype, "c") for name in ("x", *names))
        found = [np.empty_like(x) for _ in names]
        constants = [0, 1, x.size, *[1] * len(operands)]
        launch = Launch(address(formula, operands, dtype), len(operands), constants, 0)
        launch(*map(address_of, (x, *found)))
        yield from found

    return case


def drawn(dtype: str) -> Arrays:
    """Random numbers of each distribution, and orthogonal weights."""
    before = tg.get_rng_state()
    tg.manual_seed(7)
    yield tg.rand(1001, dtype=dtype).numpy()
    yield tg.randn(1001, dtype=dtype).numpy()
    yield dropout_mask((1001,), 0.3).numpy()
    yield tg.randint(-5, 1000, (1001,)).numpy()
    yield nn.init.orthogonal_(tg.empty(60, 30, dtype=dtype)).numpy()
    tg.set_rng_state(before)


CASES: dict[str, Callable[[str], Arrays]] = {
    "sum": folded(lambda x, dim: x.sum(dim), ALL),
    "mean": folded(lambda x, dim: x.mean(dim)),
    "sum of squares": folded(sum_of_squares),
    "prod": folded(lambda x, dim: (x * 2**-9 + 1).prod(dim), ALL[:2]),
    "amax": folded(lambda x, dim: x.amax(dim), ALL),
    "amin": folded(lambda x, dim: x.amin(dim)),
    "argmax": folded(lambda x, dim: x.argmax(dim)),
    "softmax": of_rows(tg.softmax),
    "log_softmax": of_rows(tg.log_softmax),
    "logsumexp": of_rows(tg.logsumexp),
    "cross_entropy": with_gradients(cross_entropy),
    "layer_norm": with_gradients(lambda x, w, b: F.layer_norm(x, x.shape[1:], w, b)),
    "batch_norm": with_gradients(lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True)),
    "products": products,
    "functions": functions(PLAIN),
    "other functions": functions(OTHERS),
    "drawn": drawn,
    "multiply_add": fused,
}
RECORDED = {  # case -> its digests, in float32 and float64
    "sum": ("d6c03877be895008", "da215b841e923a49"),
    "mean": ("e4b47493dc63c5e3", "859ec60da6192af8"),
    "sum of squares": ("4b1faf87d59c7a77", "90586aeae774d9fa"),
    "prod": ("786f18ec033588e7", "732b9482563ee5f0"),
    "amax": ("ce1c21dcce6a5369", "e513b9959ec44146"),
    "amin": ("5f5a5af859a70c9f", "f44677afd55c7d02"),
    "argmax": ("3f2a96e5fb7bef87", "3f2a96e5fb7bef87"),
    "softmax": ("eba8c46b3d8f0472", "c9b0384f3a3cc2d4"),
    "log_softmax": ("6346720fb28970f6", "5cf1d85be2ad04f1"),
    "logsumexp": ("1f29e84b3f3a0978", "498489047df03e5b"),
    "cross_entropy": ("5a526a3375c1fb97", "98bda3ba7c781a32"),
    "layer_norm": ("ef3bd73738d2f6fa", "a3f305ce63cfdd10"),
    "batch_norm": ("5479a8cff5e9cc83", "03cd4cc936e24e48"),
    "products": ("34c015a83254bfa8", "ed78a0c6be5396a6"),
    "functions": ("d06523c668d333a1", "d40eef112d59216e"),
    "other functions": ("122c8d7a3e03aa40", "a802f48ea85fbcf0"),
    "drawn": ("778f927a1c2b9b61", "bbe28361da9b5c14"),
    "multiply_add": ("82d198ebde4dc8e3", "6bb3e910b79b2d00"),
}


def digest(case: str, dtype: str) -> str:
    """Return the first 16 digits of the SHA-256 of all results of a case."""
    found = hashlib.sha256()
    for array in CASES[case](dtype):
        array = np.array(array, order="C")
        if array.dtype.kind == "f":
            array[np.isnan(array)] = np.nan  # whose sign and payload IEEE 754 leaves open
        found.update(array.tobytes())
    return found.hexdigest()[:16]


def digests(*cases: str) -> dict[str, list[str]]:
    """Return the digests of some cases, or all, in float32 and float64."""
    return {
        case: [digest(case, dtype) for dtype in ("float32", "float64")] for case in cases or CASES
    }


RUN = """
import json
from tests.kernels.test_bits import digests
from tinygrad_mlp import nn
from tinygrad_mlp.kernels import gemm, vmath
print(json.dumps([gemm.host(), digests()]))
"""


@pytest.fixture(scope="module")
def processes() -> Iterator[dict[str, subprocess.Popen[str]]]:
    """Start a process for each unit that this machine has, all at once."""
    started = {
        name: start(RUN, **settings) for name, (settings, _) in UNITS.items() if not missing(name)
    }
    yield started
    for process in started.values():
        process.kill()
        process.communicate()


@pytest.mark.parametrize("case", CASES)
def test_this_machine(processes: dict, case: str) -> None:
    assert digests(case)[case] == list(RECORDED[case])


@pytest.mark.parametrize("unit", UNITS)
def test_every_vector_unit(processes: dict, unit: str) -> None:
    if unit not in processes:
        pytest.skip(f"this machine has no {unit}: {sorted(missing(unit))} missing")
    host, found = json.loads(finish(processes[unit], timeout=900))
    assert host == EXPECTED.get(unit, "avx512"), "forced in vain"
    wrong = [case for case in CASES if found[case] != list(RECORDED[case])]
    assert not wrong


def test_the_mean_that_lost_its_digits_in_256_bits(processes: dict) -> None:
    for unit in processes:
        printed = run(
            "import tinygrad_mlp as tg\nprint(tg.full((3_000_000,), 0.1).mean().item())",
            **UNITS[unit][0],
        )
        assert float(printed) == np.float32(0.1), unit


@pytest.mark.parametrize(
    ("case", "change"),
    [
        ("sum", "from tinygrad_mlp.kernels.codegen import reduction\nreduction.TOGETHER = 128"),
        ("softmax", "from tinygrad_mlp.kernels.fused import softmax\nsoftmax.SHORT = 4"),
        ("layer_norm", "from tinygrad_mlp.kernels.codegen import lanes\nlanes.SHORT = 24"),
    ],
)
def test_another_order_has_another_digest(case: str, change: str, tmp_path: Path) -> None:
    read = f"from tests.kernels.test_bits import digests\nprint(*digests({case!r})[{case!r}])"
    found = run(f"{change}\n{read}", TINYGRAD_MLP_CACHE=str(tmp_path)).split()
    assert all(one != other for one, other in zip(found, RECORDED[case], strict=True))


def test_a_cache_keeps_units_apart(tmp_path: Path) -> None:
    """In one folder: each unit loads its own code, and only that."""
    if missing("AVX2"):
        pytest.skip("needs a second unit: AVX2")
    script = """
from numba.core import event
with event.install_recorder("numba:run_pass") as passes:
    import tinygrad_mlp as tg
    total = tg.full((1000,), 0.1).sum().item()
print(len(passes.buffer), total)
"""
    totals = set()
    for passes in (True, False):
        for unit in ("SSE2", "AVX2"):
            counted, total = run(script, TINYGRAD_MLP_CACHE=str(tmp_path), **UNITS[unit][0]).split()
            assert (int(counted) > 0) == passes
            totals.add(total)
    assert len(totals) == 1
