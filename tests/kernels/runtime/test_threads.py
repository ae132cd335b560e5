"""The workers: the same bits for any number of them, and no wait for one that never comes."""

from __future__ import annotations

import _thread
import os
import sys
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tests.kernels.scripts import finish, run, start
from tinygrad_mlp import nn, optim
from tinygrad_mlp.kernels.runtime import threads

COUNTS = (1, 2, 3, 8)

# A script's beginning: every kernel goes to the workers, however small, however busy the machine.
SHARE = """
import os, sys, time
import numpy as np
import tinygrad_mlp as tg
from tinygrad_mlp.kernels.runtime import threads
threads.SMALL = threads._BACK_OFF = 0

def work():
    a = np.arange(300.0 * 200).reshape(300, 200) % 7
    x = tg.tensor(a)
    assert ((x @ x.T).numpy() == a @ a.T).all()
    assert (x + x).sum().item() == 2 * a.sum()
"""

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
needs_affinity = pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="this system has no affinity mask"
)


def train() -> list[bytes]:
    """Return losses and parameters of three steps of a net with batch norm and dropout."""
    tg.manual_seed(0)
    draw = np.random.default_rng(0)
    x = tg.tensor(draw.standard_normal((48, 30)).astype(np.float32))
    y = tg.tensor(draw.integers(0, 10, 48))
    model = nn.Sequential(
        nn.Linear(30, 70), nn.ReLU(), nn.BatchNorm1d(70), nn.Dropout(0.5), nn.Linear(70, 10)
    )
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)
    kept = []
    for _ in range(3):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        kept.append(loss.detach().numpy().tobytes())
    return kept + [value.detach().numpy().tobytes() for value in model.state_dict().values()]


def reduce() -> list[bytes]:
    draw = np.random.default_rng(1)
    kept = []
    for shape in ((1,), (5, 3), (3, 700), (700, 3), (4, 5, 6)):
        x = tg.tensor(draw.standard_normal(shape).astype(np.float32))
        results = [x.sum(), x.mean(), x.sum(0), x.sum(-1), x.amax(0)]
        kept += [result.numpy().tobytes() for result in results]
    return kept


def reduce_in_parts() -> list[bytes]:
    """Sizes that are cut into parts, in every way."""
    draw = np.random.default_rng(2)
    kept = []
    shapes = [(400_000,), (150_000, 3), (2_000, 130), (300, 2_100), (3, 140_001), (20, 3_000, 5)]
    for shape in shapes:
        x = tg.tensor(draw.standard_normal(shape).astype(np.float32))
        for axis in (None, *range(x.ndim)):
            kept += [f(axis).numpy().tobytes() for f in (x.sum, x.mean, x.amax, x.var)]
    return kept


def rows() -> list[bytes]:
    """Short rows, which are grouped, and long ones; batches of several blocks."""
    draw = np.random.default_rng(3)
    kept = []
    for shape in ((300, 7), (133, 70), (70, 1_500)):
        x = tg.tensor(draw.standard_normal(shape).astype(np.float32), requires_grad=True)
        y = tg.tensor(draw.integers(0, shape[1], shape[0]))
        g = tg.tensor(draw.standard_normal(shape).astype(np.float32))
        for out in (
            F.softmax(x, -1),
            F.log_softmax(x, -1),
            F.batch_norm(x, training=True),
            F.layer_norm(x, shape[1:]),
        ):
            kept += [v.detach().numpy().tobytes() for v in (out, *tg.grad(out, x, g))]
        loss = F.cross_entropy(x, y, label_smoothing=0.1)
        folded = (loss, *tg.grad(loss, x), tg.logsumexp(x), x.argmax(1))
        kept += [v.detach().numpy().tobytes() for v in folded]
    return kept


@pytest.mark.parametrize("compute", [train, reduce, reduce_in_parts, rows])
def test_same_bits_on_any_number_of_threads(
    compute: Callable[[], list[bytes]], use_threads: Callable[[int], None]
) -> None:
    use_threads(1)
    alone = compute()
    for count in COUNTS[1:]:
        use_threads(count)
        assert compute() == alone, f"{count} threads"
        assert threads._pool is not None
        assert threads._pool.count == count


def test_set_num_threads_refuses_what_is_no_count() -> None:
    before = tg.get_num_threads()
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="1 or more"):
            tg.set_num_threads(wrong)
    most = 4 * (os.cpu_count() or 1)
    for wrong in (most + 1, 3000, 2**70):
        with pytest.raises(ValueError, match=rf"{most} or less, four times .* not {wrong}$"):
            tg.set_num_threads(wrong)
    for wrong in (2.0, "2", None, True):
        with pytest.raises(TypeError, match="integer"):
            tg.set_num_threads(wrong)  # type: ignore[arg-type]
    assert tg.get_num_threads() == before


def test_workers_of_the_time_before_do_not_pile_up(use_threads: Callable[[int], None]) -> None:
    """Each polls until it is stopped: hundreds of them would leave no processor time."""
    x = tg.ones(256, 256)
    most = 0
    for count in (8, 3) * 30:
        use_threads(count)
        x + x
        most = max(most, _thread._count())
    assert most < 100


def test_set_num_threads_takes_integers_of_numpy(use_threads: Callable[[int], None]) -> None:
    use_threads(np.int64(3))
    assert tg.get_num_threads() == 3
    assert type(tg.get_num_threads()) is int


@pytest.mark.parametrize(
    ("failure", "reason"),
    [(RuntimeError("can't start new thread"), "can't start"), (MemoryError(), "out of memory")],
)
def test_workers_that_cannot_be_started_are_done_without(
    use_threads: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
    failure: Exception,
    reason: str,
) -> None:
    begin, begun = _thread.start_new_thread, []

    def begin_one(work: Callable[..., None], arguments: tuple[object, ...]) -> int:
        if begun:
            raise failure
        begun.append(work)
        return begin(work, arguments)

    use_threads(4)
    running = _thread._count()
    monkeypatch.setattr(_thread, "start_new_thread", begin_one)
    with pytest.warns(RuntimeWarning, match=rf"on one thread, as 4 .* started: {reason}"):
        assert (tg.ones(300) + 1).sum().item() == 600
    assert tg.get_num_threads() == 1
    assert threads_end(running)


def threads_end(running: int) -> bool:
    """Wait until no more than ``running`` threads of Python are left."""
    deadline = time.monotonic() + 60
    while _thread._count() > running and time.monotonic() < deadline:
        time.sleep(0.01)
    return _thread._count() <= running


def test_workers_that_never_report_are_done_without(
    use_threads: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread may end before it runs a line of Python, if there is no memory for a frame."""
    use_threads(3)
    monkeypatch.setattr(threads, "_LONGEST_START", 0.2)
    monkeypatch.setattr(_thread, "start_new_thread", lambda work, arguments: 0)
    with pytest.warns(RuntimeWarning, match="out of memory"):
        assert (tg.ones(300) + 1).sum().item() == 600


def test_a_worker_survives_a_lack_of_memory(
    use_threads: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails before, after and between kernels; each kernel runs once all the same."""
    use_threads(3)
    loop, calls = threads._worker_loop(), []

    def fails_at_times(control: int, thread: int) -> None:
        calls.append(thread)
        if len(calls) % 3 == 1:
            raise MemoryError
        loop(control, thread)
        if len(calls) % 3 == 2:
            raise MemoryError

    monkeypatch.setattr(threads, "_worker_loop", lambda: fails_at_times)
    x = tg.tensor(np.arange(10_000.0))
    for _ in range(8):
        assert (x + x).sum().item() == 99_990_000
        deadline = time.monotonic() + 60
        while threads._pool.asleep < 2 and time.monotonic() < deadline:
            time.sleep(0.001)
    assert len(calls) > 16
    use_threads(1)


def test_workers_come_and_go(use_threads: Callable[[int], None]) -> None:
    """A new number ends the old workers; threads do not accumulate."""
    use_threads(1)
    x = tg.tensor(np.ones((200, 100)))
    running = _thread._count()
    for count in (2, 5, 2, 3, 1, 4, 1):
        use_threads(count)
        assert tg.get_num_threads() == count
        assert x.sum().item() == 20_000
    assert threads_end(running)


def test_every_thread_takes_part(use_threads: Callable[[int], None]) -> None:
    """Threads of the first tasks, the last, and none: fewer elements than threads, and more."""
    for count in COUNTS:
        use_threads(count)
        for size in (1, 2, 7, 8, 9, 1000):
            values = np.arange(float(size))
            np.testing.assert_array_equal((tg.tensor(values) * 2).numpy(), values * 2)


def test_many_python_threads_at_once(use_threads: Callable[[int], None]) -> None:
    use_threads(2)
    draw = np.random.default_rng(2)
    wrong: list[object] = []

    def compute(a: np.ndarray) -> None:
        try:
            x = tg.tensor(a)
            for _ in range(40):
                if (
                    not ((x @ x.T).numpy() == a @ a.T).all()
                    or (x * x).sum().item() != (a * a).sum()
                ):
                    wrong.append("a wrong result")
        except Exception as error:
            wrong.append(error)

    arrays = [draw.integers(-5, 6, (20 + i, 30)).astype(float) for i in range(8)]
    callers = [threading.Thread(target=compute, args=(a,)) for a in arrays]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert not any(caller.is_alive() for caller in callers)
    assert not wrong


@needs_fork
def test_a_forked_child_computes_with_threads_of_its_own() -> None:
    printed = run(
        SHARE
        + """
tg.set_num_threads(3)
work()
child = os.fork()
work()
if child == 0:
    assert threads._pool.count == 3
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    )
    assert printed.split() == ["7"]


def test_under_a_thread_limit_of_one() -> None:
    assert (
        run(
            SHARE + "for n in (1, 2, 4):\n    tg.set_num_threads(n); work()\nprint('done')",
            OMP_THREAD_LIMIT="1",
        )
        == "done\n"
    )


@needs_affinity
def test_on_one_processor() -> None:
    """By default no worker is started there; with a number set, they alternate with the caller."""
    printed = run(
        "import os\nos.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        + SHARE
        + "print(tg.get_num_threads())\nfor n in (1, 2, 4):\n    tg.set_num_threads(n); work()"
    )
    assert printed == "1\n"


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="this system lists no threads")
def test_never_more_threads_than_asked_for() -> None:
    """NumPy's BLAS starts threads too: ours are the difference."""
    printed = run(
        SHARE
        + """
def count():
    return len(os.listdir("/proc/self/task"))

tg.set_num_threads(1)
work()
before = count()
for n in (3, 2, 5, 1):
    tg.set_num_threads(n)
    work()
    deadline = time.monotonic() + 60  # the old workers end when they see the flag
    while count() != before + n - 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    print(count() - before + 1)
"""
    )
    assert printed.split() == ["3", "2", "5", "1"]


def test_a_wait_that_cost_more_than_sharing_saves_is_followed_by_a_rest(
    use_threads: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    use_threads(2)
    monkeypatch.setattr(threads, "_BACK_OFF", 25)
    x = tg.tensor(np.ones((50, 40)))
    shared: list[bool] = []
    share = threads.run_on_all

    def watched(kernel: int, words: tuple[int, ...], work: float) -> bool:
        shared.append(share(kernel, words, work))
        return shared[-1]

    monkeypatch.setattr(threads, "run_on_all", watched)

    def was_shared() -> bool:
        shared.clear()
        assert x.sum().item() == 2000
        return all(shared)

    x.sum()
    pool = threads._pool
    assert pool is not None
    pool.single_until = 0.0
    pool.back_off(waited=400_000, work=1_000_000)  # less than the half that two threads save
    assert pool.single_until == 0.0
    assert was_shared()
    pool.back_off(waited=10_000_000, work=1_000_000)
    assert time.monotonic() < pool.single_until <= time.monotonic() + 0.25
    assert not was_shared()
    pool.single_until = time.monotonic() - 1e-3
    assert was_shared()
    pool.back_off(waited=10**12, work=1_000_000)
    assert pool.single_until <= time.monotonic() + 1, "but never for long"


def test_a_process_ends_quickly_with_workers_alive() -> None:
    process = start(
        SHARE + "tg.set_num_threads(4)\nwork()\nprint(threads._pool.count, time.time(), flush=True)"
    )
    count, worked = finish(process).split()
    assert count == "4"
    assert time.time() - float(worked) < 10


def test_idle_workers_sleep() -> None:
    """Four of them, spinning, would burn half a second or more of processor time here."""
    printed = run(
        SHARE
        + """
tg.set_num_threads(4)
work()
deadline = time.monotonic() + 60  # on a busy machine each poll may take a time slice
while threads._pool.asleep < 3 and time.monotonic() < deadline:
    time.sleep(0.1)
before = os.times()
time.sleep(0.5)
after = os.times()
print(after.user + after.system - before.user - before.system, threads._pool.asleep)
"""
    )
    used, asleep = printed.split()
    assert float(used) < 0.1
    assert asleep == "3"


@pytest.mark.skipif(sys.platform == "win32", reason="no interval timer there")
def test_an_interrupt_leaves_no_kernel_running() -> None:
    """Ctrl-C arrives while workers write: they must be done when the exception is raised."""
    printed = run(
        SHARE
        + """
import signal

def interrupt(*_):
    raise KeyboardInterrupt

signal.signal(signal.SIGALRM, interrupt)
tg.set_num_threads(3)
work()
x = tg.tensor(np.ones((400, 400)))
interrupted = 0
for i in range(60):
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.001 + i % 7 * 0.0004)
        for _ in range(1000):
            x @ x
    except KeyboardInterrupt:
        interrupted += 1
        pool = threads._pool
        done = pool.word(threads._DONE)[0]
        assert done == pool.count - 1, f"{done} of {pool.count - 1} workers are done"
        assert pool.word(threads._OWNER)[0] == 0, "and anyone may have them"
    work()
print(interrupted)
"""
    )
    assert printed == "60\n"
