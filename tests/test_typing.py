"""A user's program passes ``mypy --strict``, with the types that it should see."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy", reason="mypy is not installed: pip install 'tinygrad-mlp[test]'")

TENSOR = "tinygrad_mlp._tensor.Tensor"
HEAD = """
import numpy as np
import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tinygrad_mlp import nn, optim

x: tg.Tensor = tg.tensor([[1.0, 2.0]], dtype=tg.float32, requires_grad=True)
y = tg.tensor([0])
model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
layer = nn.Linear(2, 3, bias=False)
optimizer = optim.SGD(model.parameters(), lr=0.1)

@tg.compile
def step(x: tg.Tensor, scale: float = 1.0) -> tg.Tensor:
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y) * scale
    loss.backward()
    optimizer.step()
    return loss
"""
# expression -> its type, as mypy prints it
EXPRESSIONS = {
    "x": TENSOR,
    "x + y": TENSOR,
    "2 * x": TENSOR,
    "x - np.ones(2)": TENSOR,
    "-x": TENSOR,
    "x ** 2": TENSOR,
    "x @ x.T": TENSOR,
    "x > 0": TENSOR,
    "x == y": TENSOR,
    "x[0]": TENSOR,
    "x[0, :1]": TENSOR,
    "x.T": TENSOR,
    "x.exp()": TENSOR,
    "x.add(1)": TENSOR,
    "x.mul_(2)": TENSOR,
    "x.sum()": TENSOR,
    "x.mean(0)": TENSOR,
    "x.reshape(2, 1)": TENSOR,
    "x.softmax(-1)": TENSOR,
    "x.sum_to_size(1)": TENSOR,
    "x.detach()": TENSOR,
    "x.clone()": TENSOR,
    "x.to(tg.float64)": TENSOR,
    "x.float()": TENSOR,
    "x.numpy()": "numpy.ndarray[tuple[Any, ...], numpy.dtype[Any]]",
    "x.shape": "tuple[int, ...]",
    "x.shape[0]": "int",
    "x.requires_grad": "bool",
    "x.grad": f"{TENSOR} | None",
    "x.backward()": "None",
    "float(x)": "float",
    "len(x)": "int",
    "[each for each in x]": f"list[{TENSOR}]",
    "tg.Tensor(2, 3)": TENSOR,
    "tg.zeros(2, 3)": TENSOR,
    "tg.randn(2)": TENSOR,
    "tg.from_numpy(np.ones(2))": TENSOR,
    "tg.exp(x)": TENSOR,
    "tg.where(x > 0, x, 0)": TENSOR,
    "tg.cat([x, x])": TENSOR,
    "tg.matmul(x, x)": TENSOR,
    "tg.sum(x)": TENSOR,
    "tg.grad(x.sum(), x)": f"tuple[{TENSOR}, ...]",
    "tg.autograd.backward(x.sum())": "None",
    "tg.load('x')": f"dict[str, {TENSOR}]",
    "F.cross_entropy(x, y)": TENSOR,
    "F.relu(x)": TENSOR,
    "F.linear(x, x)": TENSOR,
    "F.dropout(x, 0.5)": TENSOR,
    "F.mse_loss(x, x)": TENSOR,
    "model(x)": TENSOR,
    "layer(x)": TENSOR,
    "nn.CrossEntropyLoss()(x, y)": TENSOR,
    "layer.weight": "tinygrad_mlp.nn.parameter.Parameter",
    "model.state_dict()": f"dict[str, {TENSOR}]",
    "list(model.parameters())": "list[tinygrad_mlp.nn.parameter.Parameter]",
    "optimizer.step()": "None",
    "optimizer.zero_grad()": "None",
    "step(x)": TENSOR,
    "step(x, 0.5)": TENSOR,
    "tg.fit(model, optimizer, (x, y), epochs=1)": "tinygrad_mlp.train.history.History",
    "tg.gradcheck(F.relu, x)": "bool",
    "tg.autograd.gradcheck(F.relu, x)": "bool",
    "tg.get_num_threads()": "int",
}
# what mypy must refuse -> its error code
MISTAKES = {
    "step('x')": "arg-type",
    "step(x, 0.5, 1)": "call-arg",
    "tg.grad(x, 3)": "arg-type",
    "text: str = model(x)": "assignment",
    "number: int = x + y": "assignment",
    "word: str = x.exp()": "assignment",
    "optim.SGD(model.parameters(), rate=0.1)": "call-arg",
    "nn.Linear(2)": "call-arg",
}


def mypy(program: str, folder: Path) -> list[str]:
    """The lines that ``mypy --strict`` prints for a program."""
    (folder / "program.py").write_text(program, encoding="utf-8")
    options = ["--strict", "--no-error-summary", "--cache-dir", str(folder / "cache")]
    command = [sys.executable, "-m", "mypy", *options, "program.py"]
    checked = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    assert not checked.stderr, checked.stderr
    return checked.stdout.splitlines()


@pytest.fixture(scope="module")
def messages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What mypy says of each line of one program: the head, all expressions, all mistakes."""
    lines = [*(f"reveal_type({each})" for each in EXPRESSIONS), *MISTAKES]
    program = HEAD + "\n".join(lines) + "\n"
    found: dict[str, list[str]] = {line: [] for line in ("head", *lines)}
    start = HEAD.count("\n")
    for message in mypy(program, tmp_path_factory.mktemp("typing")):
        number = int(message.split(":")[1]) - 1
        found["head" if number < start else lines[number - start]].append(message)
    return found


def test_the_program_passes(messages: dict[str, list[str]]) -> None:
    assert messages["head"] == []


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_has_its_type(expression: str, messages: dict[str, list[str]]) -> None:
    (message,) = messages[f"reveal_type({expression})"]
    assert message.endswith(f'note: Revealed type is "{EXPRESSIONS[expression]}"'), message


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_refused(mistake: str, messages: dict[str, list[str]]) -> None:
    assert any(f"[{MISTAKES[mistake]}]" in message for message in messages[mistake])
