"""A fork while another thread is inside the package: the child works, and never waits for it."""

from __future__ import annotations

import os

import pytest

from tests.kernels.scripts import run

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

SCRIPT = """
import itertools, os, signal, threading, time
import tinygrad_mlp as tg
from numba import int64
from tinygrad_mlp import nn, optim
from tinygrad_mlp.kernels.runtime.launch import compiled
from tinygrad_mlp.kernels.runtime.memory import pointer

tg.set_num_threads(2)
x, labels = tg.ones(64, 30), tg.randint(0, 3, (64,))
model = nn.Sequential(nn.Linear(30, 20), nn.Dropout(0.5), nn.Linear(20, 3))
optimizer = optim.SGD(model.parameters(), lr=0.1)
numbers = itertools.count()

@tg.compile
def step(x):
    return (x @ x.T).exp().sum()

def draw():
    tg.rand(2000)

def run_compiled():
    step(x)

def compile():
    number = next(numbers)
    def kernel(arguments, thread, threads):
        pointer(arguments, int64)[0] = number
    compiled(kernel)

def train():
    tg.fit(model, optimizer, (x, labels), epochs=1, batch_size=16, progress=False)

def share():
    (x @ x.T).sum()

act = {act}
act()
stop = threading.Event()

def repeat():
    while not stop.is_set():
        act()

thread = threading.Thread(target=repeat)
thread.start()
codes = []
for _ in range({times}):
    time.sleep(0.002)
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # kills a child that hangs
        act()
        os._exit(0)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
stop.set()
thread.join()
print(codes == [0] * {times}, codes)
"""


@pytest.mark.parametrize(
    ("act", "times"),
    [("draw", 12), ("run_compiled", 12), ("compile", 3), ("train", 6), ("share", 12)],
)
def test_a_child_of_a_busy_process_finishes(act: str, times: int) -> None:
    assert run(SCRIPT.format(act=act, times=times)).startswith("True")
