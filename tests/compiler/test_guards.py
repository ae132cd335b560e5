"""What a compiled step notices: each change around it gives what the plain function gives."""

from __future__ import annotations

import copy
import threading
import types
import warnings
from collections import namedtuple

import numpy as np
import pytest

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tinygrad_mlp import nn, optim

SCALE = 2.0


def data(seed: int = 0, n: int = 12):
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((n, 5)).astype(np.float32)
    return tg.tensor(x), tg.tensor(generator.integers(0, 3, n))


class Training:
    """A model, an optimizer and a step, plain or compiled."""

    def __init__(self, compiled: bool, make=lambda p: optim.SGD(p, lr=0.1), model=None):
        tg.manual_seed(0)
        self.model = model or nn.Sequential(
            nn.Linear(5, 7), nn.BatchNorm1d(7), nn.ReLU(), nn.Dropout(0.3), nn.Linear(7, 3)
        )
        self.optimizer = make(self.model.parameters())
        model, optimizer = self.model, self.optimizer

        def step(x, y):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        self.step = tg.compile(step) if compiled else step

    def all_of_it(self):
        """Everything that a step can have changed."""
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        return (
            [v.tolist() for v in self.model.state_dict().values()],
            [None if p.grad is None else p.grad.tolist() for p in parameters],
            [[v.tolist() for v in self.optimizer.state[p].values()] for p in parameters],
            tg.get_rng_state().tolist(),
        )


def same(between, make=lambda p: optim.SGD(p, lr=0.1), steps=6, captures=None, model=None):
    """Train plain and compiled, with ``between(training, k)`` before each step; compare all."""
    runs = []
    for compiled in (False, True):
        t = Training(compiled, make, None if model is None else model())
        losses = []
        for k in range(steps):
            between(t, k)
            losses.append(t.step(*data(k)).item())
        runs.append((losses, t.all_of_it()))
    assert runs[0] == runs[1]
    if captures is not None:
        assert t.step.captures == captures
    return t


# --- optimizers -------------------------------------------------------------------------------


def test_numbers_of_groups_are_read_at_each_step():
    def between(t, k):
        group = t.optimizer.param_groups[0]
        group["lr"], group["betas"] = 0.1 / (k + 1), (0.5 + k / 20, 0.9)

    same(between, optim.Adam, captures=1)


def test_a_number_that_chooses_another_update_captures_anew():
    def between(t, k):
        t.optimizer.param_groups[0]["momentum"] = 0.9 if k > 2 else 0.0

    same(between, captures=2)


def test_schedules_run_between_the_steps():
    def between(t, k):
        if not hasattr(t, "schedule"):
            t.schedule = optim.lr_scheduler.ExponentialLR(t.optimizer, 0.7)
        elif k:
            t.schedule.step()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same(between, captures=1)


def test_a_state_dict_is_loaded():
    saved = {}

    def between(t, k):
        if k == 2:
            saved["model"] = copy.deepcopy(t.model.state_dict())
            saved["optimizer"] = copy.deepcopy(t.optimizer.state_dict())
        if k == 4:
            t.model.load_state_dict(saved["model"])
            t.optimizer.load_state_dict(saved["optimizer"])

    same(between, lambda p: optim.Adam(p, lr=0.05), captures=2)


def test_a_group_is_added():
    def between(t, k):
        if k == 3:
            t.optimizer.add_param_group({"params": [nn.Parameter(tg.ones(2))], "lr": 0.5})

    same(between, captures=2)


def test_two_optimizers():
    runs = []
    for compiled in (False, True):
        tg.manual_seed(0)
        body, head = nn.Linear(5, 4), nn.Linear(4, 3)
        one, two = optim.Adam(body.parameters()), optim.SGD(head.parameters(), 0.1, momentum=0.9)

        def step(x, y, body=body, head=head, one=one, two=two):
            for each in (one, two):
                each.zero_grad()
            F.cross_entropy(head(body(x).tanh()), y).backward()
            one.step()
            two.step()

        step = tg.compile(step) if compiled else step
        for k in range(5):
            step(*data(k))
        runs.append([p.tolist() for p in (*body.parameters(), *head.parameters())])
    assert runs[0] == runs[1]


# --- modules ----------------------------------------------------------------------------------


def test_modes_are_toggled_and_both_programs_kept():
    same(lambda t, k: t.model.train(k % 2 == 0), captures=2)


def test_a_parameter_is_replaced():
    def between(t, k):
        if k == 3:
            t.model[0].weight = nn.Parameter(tg.ones(7, 5))

    same(between, captures=3)  # the new one is not the optimizer's: its gradients add up


def test_parameters_are_frozen_and_thawed():
    def between(t, k):
        t.model[0].weight.requires_grad_(k not in (2, 3))

    same(between, captures=2)


def test_a_module_becomes_double():
    model = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))
    step = tg.compile(lambda x: model(x))
    x, _ = data()
    with tg.no_grad():
        assert step(x).tolist() == model(x).tolist()
        model.double()
        assert step(x.double()).tolist() == model(x.double()).tolist()
        model.float()
        model[0].weight.mul_(2)
        assert step(x).tolist() == model(x).tolist()


def test_a_module_among_the_arguments_is_watched():
    model = nn.Sequential(nn.Linear(5, 4), nn.Dropout(0.5))

    @tg.compile
    def forward(model, x):
        return model(x)

    x, _ = data()
    with tg.no_grad():
        forward(model, x)
        model.eval()
        assert forward(model, x).tolist() == model(x).tolist()
        model[0] = nn.Linear(5, 2)
        assert forward(model, x).tolist() == model(x).tolist()


def test_methods_are_compiled():
    class Trainer:
        def __init__(self):
            self.model, self.scale = nn.Linear(5, 2), 2.0

        @tg.compile
        def forward(self, x):
            return self.model(x) * self.scale

    trainer, x = Trainer(), data()[0]
    with tg.no_grad():
        for scale in (2.0, 3.0, 2.0):
            trainer.scale = scale
            assert trainer.forward(x).tolist() == (trainer.model(x) * scale).tolist()
        trainer.model = nn.Linear(5, 2)
        assert trainer.forward(x).tolist() == (trainer.model(x) * 2).tolist()
        bound = tg.compile(Trainer.forward.function.__get__(trainer))
        for scale in (5.0, 6.0):
            trainer.scale = scale
            assert bound(x).tolist() == (trainer.model(x) * scale).tolist()


def test_forward_hooks_are_captured_and_their_removal_noticed():
    model, seen = nn.Linear(5, 2), []
    handle = model.register_forward_hook(lambda m, a, out: seen.append(1) or out * 2)
    step = tg.compile(model)
    x, _ = data()
    with tg.no_grad():
        doubled = [step(x).tolist() for _ in range(3)]
        assert doubled[0] == doubled[2] == (model(x)).tolist()
        assert len(seen) == 2  # the hook itself ran once for the step, and once just now
        handle.remove()
        assert step(x).tolist() == model(x).tolist()


def test_what_a_variable_leads_to_is_found_when_it_is_there():
    @tg.compile
    def forward(x):
        return model(x)

    model = nn.Sequential(nn.Linear(5, 2), nn.Dropout(0.5))
    first, x = model, data()[0]
    second = nn.Sequential(nn.Linear(5, 3), nn.Dropout(0.5))
    with tg.no_grad():
        for model in (first, second, first, second):
            model.train()
            forward(x)
            model.eval()
            assert forward(x).tolist() == model(x).tolist()
    assert forward.captures == 4


# --- gradients --------------------------------------------------------------------------------


def accumulate(compiled: bool, forget):
    w = nn.Parameter(tg.ones(5))

    def micro(x):
        (x @ w).tanh().sum().backward()

    step = tg.compile(micro) if compiled else micro
    found = []
    for k in range(9):
        step(data(k)[0])
        found.append(w.grad.tolist())
        if k % 3 == 2:
            forget(w)
    return found, getattr(step, "captures", None)


def forget_by_hand(w):
    w.grad = None


@pytest.mark.parametrize(
    "forget",
    [
        forget_by_hand,
        lambda w: w.grad.zero_(),
        lambda w: None,
        lambda w: optim.SGD([w], 0.1).zero_grad(),
    ],
    ids=["none", "zero_", "never", "zero_grad"],
)
def test_gradients_accumulate_over_calls(forget):
    plain, compiled = accumulate(False, forget), accumulate(True, forget)
    assert plain[0] == compiled[0]
    assert compiled[1] == 2  # without a gradient, and with one


def test_gradients_are_overwritten_by_zero():
    w = nn.Parameter(tg.ones(5))
    optimizer = optim.SGD([w], 0.1)

    @tg.compile
    def step(x):
        optimizer.zero_grad(set_to_none=False)
        (x @ w).tanh().sum().backward()
        optimizer.step()

    other = nn.Parameter(tg.ones(5))
    plain = optim.SGD([other], 0.1)
    for k in range(5):
        step(data(k)[0])
        plain.zero_grad()
        (data(k)[0] @ other).tanh().sum().backward()
        plain.step()
        assert w.tolist() == other.tolist()
        assert w.grad.tolist() == other.grad.tolist()
    assert step.captures == 2


def test_a_gradient_forgotten_by_hand_inside():
    w = nn.Parameter(tg.ones(5))

    @tg.compile
    def step(x):
        w.grad = None
        (x @ w).sum().backward()

    for k in range(4):
        x = data(k)[0]
        step(x)
        np.testing.assert_allclose(w.grad.numpy(), x.numpy().sum(0), rtol=1e-5)
    assert step.captures <= 2


def test_a_parameter_without_gradient_gets_one_by_hand():
    runs = []
    for compiled in (False, True):
        used, idle = nn.Parameter(tg.ones(3)), nn.Parameter(tg.ones(3))
        optimizer = optim.SGD([used, idle], 0.5)

        def step(used=used, optimizer=optimizer):
            used.grad = None
            (used * used).sum().backward()
            optimizer.step()

        step = tg.compile(step) if compiled else step
        for k in range(6):
            idle.grad = tg.ones(3) if k in (2, 3) else None
            step()
        runs.append((used.tolist(), idle.tolist()))
    assert runs[0] == runs[1]


def test_zero_grad_forgets_the_gradients_of_idle_parameters():
    used, idle = nn.Parameter(tg.ones(3)), nn.Parameter(tg.ones(3))
    optimizer = optim.SGD([used, idle], 0.5)

    @tg.compile
    def step():
        optimizer.zero_grad()
        used.sum().backward()
        optimizer.step()

    for _ in range(3):
        idle.grad = tg.ones(3)
        step()
        assert idle.grad is None
        assert idle.tolist() == [1, 1, 1]


def test_an_older_tape_notices_a_replay():
    t = Training(True)
    x, y = data()
    t.step(x, y)
    for run in (t.step, t.step.function):
        loss = F.cross_entropy(t.model(x), y)
        run(x, y)
        with pytest.raises(RuntimeError, match="was changed in place after it was recorded"):
            loss.backward()


def test_gradients_of_arguments():
    @tg.compile
    def step(x):
        (x * x).sum().backward()

    given = [tg.tensor([float(k)], requires_grad=True) for k in range(4)]
    for x in given:
        step(x)
    assert [x.grad.item() for x in given] == [0, 2, 4, 6]
    assert step.captures == 1
    with pytest.raises(tg.CaptureError, match=r"Set x.grad = None before the call"):
        step(given[0])


# --- Python's variables -----------------------------------------------------------------------


def test_numbers_in_closure_globals_and_arguments():
    global SCALE
    flag, offset = True, 1

    @tg.compile
    def step(x, power=2, *, negative=False):
        out = x**power * SCALE + offset
        return -out if negative else (out if flag else out * 0)

    x = tg.tensor([1.0, 2.0])
    assert step(x).tolist() == [3, 9]
    SCALE = 3.0
    assert step(x).tolist() == [4, 13]
    offset = 0
    assert step(x).tolist() == [3, 12]
    flag = False
    assert step(x).tolist() == [0, 0]
    flag = True
    assert step(x, 1).tolist() == [3, 6]
    assert step(x, power=1).tolist() == [3, 6]
    assert step(x, negative=True).tolist() == [-3, -12]
    SCALE, offset = 2.0, 1
    before = step.captures
    assert step(x).tolist() == [3, 9]
    assert step.captures == before


def test_equal_numbers_of_two_types_are_two_kinds():
    step = tg.compile(lambda x, k: x * k)
    x = tg.tensor([2])
    assert str(step(x, 1).dtype) == "int64"
    assert str(step(x, 1.0).dtype) == "float32"
    y = tg.tensor([2.0])
    assert str(step(y, 0.0).item()) == "0.0"
    assert str(step(y, -0.0).item()) == "-0.0"


def test_a_global_tensor_is_rebound_and_written_to():
    w = tg.tensor([1.0, 2.0])

    @tg.compile
    def step(x):
        return x * w

    x = tg.ones(2)
    assert step(x).tolist() == [1, 2]
    w.add_(1)
    assert step(x).tolist() == [2, 3]
    w = tg.tensor([5.0, 6.0])
    assert step(x).tolist() == [5, 6]


def test_an_attribute_is_no_global_of_its_name(monkeypatch):
    training = Training(compiled=True)
    x, y = data()
    for k in range(12):  # as in a script: `for step in range(12): train_step(x, y)`
        monkeypatch.setitem(globals(), "step", k)
        training.step(x, y)
    assert training.step.captures == 1


def test_functions_that_it_calls():
    factor = 2.0

    def scaled(x):
        return x * factor

    @tg.compile
    def step(x):
        return scaled(x)

    x = tg.ones(2)
    assert step(x).tolist() == [2, 2]
    factor = 4.0
    assert step(x).tolist() == [4, 4]

    other = scaled
    scaled = tg.neg
    assert step(x).tolist() == [-1, -1]
    scaled = other
    assert step(x).tolist() == [4, 4]


def test_numbers_in_containers_objects_and_modules():
    config, rates, settings = {"scale": 2.0}, [1.0, 3.0], types.SimpleNamespace(power=1)
    constants = types.ModuleType("constants")
    constants.OFFSET = 0.0

    @tg.compile
    def step(x):
        return x**settings.power * config["scale"] * rates[1] + constants.OFFSET

    x = tg.tensor([2.0])
    step.function.__globals__["constants"] = constants
    try:
        step = tg.compile(step.function)
        assert step(x).item() == 12
        config["scale"] = 1.0
        assert step(x).item() == 6
        rates[1] = 5.0
        assert step(x).item() == 10
        settings.power = 2
        assert step(x).item() == 20
        constants.OFFSET = 1.0
        assert step(x).item() == 21
        rates.pop()
        with pytest.raises(IndexError):
            step(x)
    finally:
        del step.function.__globals__["constants"]


def test_containers_grow_and_shrink():
    factors, shifts = [2.0], {"a": 1.0}

    @tg.compile
    def step(x):
        for factor in factors:
            x = x * factor
        for shift in shifts.values():
            x = x + shift
        return x

    x = tg.ones(3)
    assert step(x).tolist() == step(x).tolist() == [3.0] * 3
    factors.append(3.0)
    assert step(x).tolist() == step(x).tolist() == [7.0] * 3
    shifts["b"] = 2.0
    assert step(x).tolist() == step(x).tolist() == [9.0] * 3
    factors.clear()
    assert step(x).tolist() == step(x).tolist() == [4.0] * 3


def test_a_variable_that_the_step_changes_is_told():
    count = 0

    @tg.compile
    def step(x):
        nonlocal count
        count += 1
        return x + 1

    with pytest.warns(UserWarning, match="step changes count"):
        step(tg.ones(1))
    assert step(tg.ones(1)).item() == 2


def test_grad_mode_default_dtype_and_threads():
    model = nn.Linear(5, 2)
    step = tg.compile(lambda x: model(x) + tg.zeros(2))
    x, _ = data()
    expected = step(x).tolist()
    with tg.no_grad():
        assert step(x).tolist() == expected
    threads = tg.get_num_threads()
    tg.set_num_threads(threads + 1)
    assert step(x).tolist() == expected
    tg.set_num_threads(threads)
    tg.set_default_dtype("float64")
    try:
        assert str(step(x).dtype) == "float64"
    finally:
        tg.set_default_dtype("float32")
    assert str(step(x).dtype) == "float32"


def test_the_eighth_capture_warns():
    step = tg.compile(lambda x: x + 1)
    for n in range(1, 8):
        assert step(tg.ones(n)).tolist() == [2] * n
    with pytest.warns(UserWarning, match="was captured 8 times"):
        step(tg.ones(8))
    for n in range(1, 9):
        assert step(tg.ones(n)).shape == (n,)
    assert step.captures == 8


# --- arguments --------------------------------------------------------------------------------


def test_arrays_of_all_kinds():
    base = np.arange(24, dtype=np.float32).reshape(4, 6)
    readonly = base.copy()
    readonly.flags.writeable = False
    for array in (base, base.T, base[::2, ::-1], readonly, np.asfortranarray(base), base[:, 1]):
        step = tg.compile(lambda x: x * 2 + 1)
        for value in (array, array.copy(), array):
            assert step(value).tolist() == (array * 2 + 1).tolist()
        for shift in (1, 2):
            other = np.array(array + shift, order="K")
            assert step(other).tolist() == (other * 2 + 1).tolist()


def test_views_and_tensors_that_share_memory():
    step = tg.compile(lambda x, y: x * 10 + y)
    base = tg.tensor(np.arange(12, dtype=np.float32))
    pairs = [
        (base[0:4], base[4:8]),
        (base[4:8], base[8:12]),
        (base[0:4], base[0:4]),
        (base[2:6], base[2:6]),
        (base[8:12], base[0:4]),
        (base[0:4].clone(), base[4:8]),
    ]
    x = base[0:4]
    for one, two in (*pairs, (x, x), *pairs):
        assert step(one, two).tolist() == (one.numpy() * 10 + two.numpy()).tolist()


def test_arguments_in_containers():
    Pair = namedtuple("Pair", "x y")

    @tg.compile
    def step(pair, more):
        return pair.x - pair.y + more["z"][0]

    for k in range(3):
        x, y, z = (tg.tensor([float(k + j)]) for j in (1, 10, 100))
        assert step(Pair(x, y), {"z": [z]}).item() == k - 9 + 100
        assert step(Pair(x.numpy(), y), {"z": [z]}).item() == k - 9 + 100
    assert step.captures == 2


def test_an_argument_that_the_function_knows_by_name():
    w = nn.Parameter(tg.ones(2))

    @tg.compile
    def step(p):
        return p * w

    other = nn.Parameter(tg.ones(2) * 3)
    assert step(w).tolist() == [1, 1]
    assert step(other).tolist() == [3, 3]
    with tg.no_grad():
        w.mul_(2)
    assert step(w).tolist() == [4, 4]
    assert step(other).tolist() == [6, 6]


def test_an_argument_reached_by_another_way_is_refused():
    base = tg.ones(4)
    view = base[:2]
    kept = [view]

    @tg.compile
    def step(x):
        return x + kept[0].sum()

    with pytest.raises(tg.CaptureError, match="through another tensor too"):
        step(base)


def test_an_argument_in_memory_that_the_step_changes_is_refused_later_too():
    weight = tg.ones(4)

    @tg.compile
    def step(x):
        weight.sub_(x)
        return x * 2

    @tg.compile
    def look(x):
        return x - weight

    x = tg.ones(4)
    for expected in (0, -1, -2):
        assert step(x).tolist() == [2] * 4
        assert weight.tolist() == [expected] * 4
        assert look(x).tolist() == [1 - expected] * 4
    for view in (weight[:], weight.detach()):
        with pytest.raises(tg.CaptureError, match="through another tensor too"):
            step(view)
    assert look(weight[:]).tolist() == [0] * 4  # nothing is written: no harm is done


def test_an_argument_on_the_tape_is_refused():
    w = nn.Parameter(tg.ones(2))
    step = tg.compile(lambda x: (x * x).sum())
    with pytest.raises(tg.CaptureError, match=r"result of `mul` on the tape.*x.detach\(\)"):
        step(w * 2)
    assert step((w * 2).detach()).item() == 8
    with tg.no_grad():
        assert step(w * 2).item() == 8


def test_an_input_is_changed_in_place():
    @tg.compile
    def step(x):
        x.add_(1)
        return x * 2

    for k in range(3):
        x = tg.tensor([float(k)])
        y = x * 1
        version = x.storage.version
        assert step(x).tolist() == [2 * k + 2]
        assert x.tolist() == [k + 1]
        assert x.storage.version > version
        assert y.tolist() == [k]
        array = np.array([float(k)])
        assert step(array).tolist() == [2 * k + 2]
        assert array.tolist() == [k]


# --- results ----------------------------------------------------------------------------------


def test_results_are_fresh_and_off_the_tape():
    w = nn.Parameter(tg.ones(2))
    step = tg.compile(lambda x: (x * w).sum())
    losses = [step(tg.ones(2) * k) for k in range(4)]
    assert [loss.item() for loss in losses] == [0, 2, 4, 6]
    assert not any(loss.requires_grad for loss in losses)


def test_results_of_all_kinds():
    Pair = namedtuple("Pair", "a b")
    w = nn.Parameter(tg.ones(2))

    def function(x, how):
        out = x + w
        return {
            "none": None,
            "tuple": (out, 1),
            "list": [out, [out]],
            "pair": Pair(out, "b"),
            "dict": {"out": out, "w": w},
            "same": x,
            "view": (out.reshape(2, 1), out[1]),
            "parameter": w,
            "number": 3,
        }[how]

    for how in ("none", "tuple", "list", "pair", "dict", "same", "view", "parameter", "number"):
        step = tg.compile(function)
        for k in range(3):
            x = tg.tensor([float(k), 0.0])
            got = step(x, how)
            with tg.no_grad():
                wanted = step.function(x, how)
            assert type(got) is type(wanted)
            assert str(got) == str(wanted)
            assert how != "dict" or got["w"] is w
            assert how != "parameter" or got is w


def test_tensors_hidden_in_a_result_are_refused():
    class Box:
        def __init__(self, x):
            self.x = x

    step = tg.compile(lambda x: Box(x + 1))
    with pytest.raises(tg.CaptureError, match="returns a Box with tensors in it"):
        step(tg.ones(1))


# --- several threads --------------------------------------------------------------------------


def test_threads_call_one_compiled_function():
    model = nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 3))
    step = tg.compile(model)
    failures = []

    def work(seed):
        x, _ = data(seed)
        with tg.no_grad():
            expected = model(x).tolist()
            for _ in range(200):
                if step(x).tolist() != expected:
                    failures.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_inference_for_several_batch_sizes():
    model = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3)).eval()
    step = tg.compile(model)
    with tg.no_grad():
        for n in (1, 4, 1, 7, 4):
            x, _ = data(n, n)
            assert step(x).tolist() == model(x).tolist()
            assert step(x.numpy()).tolist() == model(x).tolist()
    assert step.captures == 6


def test_a_compiled_function_inside_another():
    model = nn.Linear(5, 3)
    inner = tg.compile(model)
    x, y = data()
    with tg.no_grad():
        inner(x)

    @tg.compile
    def step(x, y):
        model.zero_grad()
        loss = F.cross_entropy(inner(x), y)
        loss.backward()
        return loss

    for k in range(3):
        x, y = data(k)
        assert step(x, y).item() == F.cross_entropy(model(x), y).item()
        expected = tg.grad(F.cross_entropy(model(x), y), [model.weight])[0]
        assert model.weight.grad.tolist() == expected.tolist()
