"""Optimizers and schedules against numbers that were worked out from the papers' equations.

Each optimizer takes twelve steps from 1 along the gradients `GRADIENTS`. The numbers were computed
from the recurrences below in decimal arithmetic of 60 digits, and equal PyTorch 2.13's to 2e-14.
With g the gradient plus weight_decay w, or its negative first for ``maximize``:

SGD         b = mu b + (1 - dampening) g, at first b = g;  w -= lr b;  Nesterov: w -= lr (g + mu b)
Adagrad     s = s + g^2;  w -= lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps)
Adadelta    E[g^2] = rho E[g^2] + (1 - rho) g^2;  d = -sqrt(E[d^2] + eps) / sqrt(E[g^2] + eps) g;
            E[d^2] = rho E[d^2] + (1 - rho) d^2;  w += lr d
RMSprop     v = alpha v + (1 - alpha) g^2;  centered: less m^2, for m = alpha m + (1 - alpha) g;
            d = g / (sqrt(v) + eps);  b = mu b + d;  w -= lr b
Adam        m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;  amsgrad: the largest v;
            w -= lr m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)
AdamW       g without decay;  w -= lr weight_decay w before the step
"""

from __future__ import annotations

from typing import Any

import pytest

import tinygrad_mlp as tg
from tinygrad_mlp import optim
from tinygrad_mlp.optim import lr_scheduler as lrs

GRADIENTS = [0.5, -0.25, 1, 0.125, -0.75, 0.25, 0.5, -1, 0.0625, 0.375, -0.5, 2]
STEPS: list[tuple[str, dict[str, Any], str]] = [
    (
        "SGD",
        dict(lr=0.1),
        """
        0.95 0.975 0.875 0.8625 0.9375 0.9125 0.8625 0.9625 0.95625 0.91875 0.96875 0.76875
        """,
    ),
    (
        "SGD",
        dict(lr=0.1, weight_decay=0.02, maximize=True),
        """
        1.048 1.020904 1.118862192 1.129124467616 1.05186621868077 1.07476248624341
        1.12261296127092 1.02036773534838 1.02457699987768 1.06002784587793 1.00790779018617
        1.2058919746058
        """,
    ),
    (
        "SGD",
        dict(lr=0.1, momentum=0.9),
        """
        0.95 0.93 0.812 0.6933 0.66147 0.607823 0.5095407 0.52108663 0.525227967
        0.4914551703 0.51105965327 0.328703687943
        """,
    ),
    (
        "SGD",
        dict(lr=0.1, momentum=0.9, dampening=0.25, weight_decay=0.02),
        """
        0.948 0.918528 0.815625408 0.712414637088 0.674706321311568 0.621006777630812
        0.534245678151685 0.530359320103243 0.521378558879491 0.484388805939795
        0.487871445085159 0.340274013148358
        """,
    ),
    (
        "SGD",
        dict(lr=0.1, momentum=0.9, nesterov=True),
        """
        0.905 0.912 0.7058 0.58647 0.632823 0.5595407 0.42108663 0.531477967 0.5289551703
        0.46105965327 0.528703687943 0.1645833191487
        """,
    ),
    (
        "Adagrad",
        dict(lr=0.5),
        """
        0.5000000001 0.723606797809979 0.287171017376089 0.232938402926131 0.505665675633569
        0.416222956539978 0.247792572338021 0.527164690630243 0.509714570312223
        0.407236522465051 0.539041003721889 0.176246933669036
        """,
    ),
    (
        "Adagrad",
        dict(lr=0.5, lr_decay=0.1, weight_decay=0.02, initial_accumulator_value=0.3, eps=0.01),
        """
        0.660240997860088 0.7945319492988 0.468381519746507 0.42877465155782
        0.605061106526626 0.547768032252326 0.448515656394321 0.602655486715126
        0.591712614125754 0.539016903512491 0.600380818041415 0.431406766846173
        """,
    ),
    (
        "Adadelta",
        dict(lr=1.0),
        """
        0.996837785583488 0.998922872611279 0.994616156999081 0.993873320514759
        0.997535461654018 0.99611107946546 0.993405484072019 0.997953867214125
        0.997608628116176 0.995588616399735 0.998234802342064 0.991753671951113
        """,
    ),
    (
        "Adadelta",
        dict(lr=0.5, rho=0.8, eps=0.01, weight_decay=0.02),
        """
        0.897290149653005 0.959552954626128 0.819001224844072 0.791005778991025
        0.909966607181684 0.857510557749788 0.762230566728845 0.91147403740228
        0.895685808083858 0.821349885174232 0.912193252034178 0.713915808752733
        """,
    ),
    (
        "RMSprop",
        dict(lr=0.1),
        """
        1.99999960000008e-07 0.44901337442175 -0.425726216071405 -0.534961896961564
        0.0151331343762764 -0.166103716328139 -0.508397259139504 0.0584313194849695
        0.0228486073009668 -0.186947937894449 0.0836976745687991 -0.652568185074115
        """,
    ),
    (
        "RMSprop",
        dict(lr=0.1, alpha=0.8, eps=0.01, weight_decay=0.02, momentum=0.5),
        """
        0.785612159645816 0.774872868517509 0.570245659793943 0.438345474432558
        0.511687702711481 0.495390475738031 0.384676996910367 0.486349245074723
        0.524451510727876 0.471764188204256 0.537944322142987 0.374379699809981
        """,
    ),
    (
        "RMSprop",
        dict(lr=0.1, alpha=0.8, eps=0.01, centered=True),
        """
        0.761904761904762 0.867320457939719 0.644094795865748 0.613133903983731
        0.754823004780336 0.703175173578649 0.596559169206201 0.756275485188944
        0.745194978619784 0.674999787161513 0.770222340329964 0.561624733461937
        """,
    ),
    (
        "RMSprop",
        dict(lr=0.1, alpha=0.8, eps=0.01, centered=True, momentum=0.5),
        """
        0.761904761904762 0.7482728388921 0.518231215311798 0.37224951163963
        0.440947760600151 0.423649053878725 0.308383696145564 0.410467333261726
        0.450428645250647 0.400214109786837 0.470329395223382 0.296789431073628
        """,
    ),
    (
        "Adam",
        dict(lr=0.1),
        """
        0.900000002 0.873366298707846 0.80755513967709 0.747657466500141 0.735019184933873
        0.714950665400643 0.681367270590546 0.684570110022959 0.685702568913491
        0.676739845756303 0.681736274007275 0.649838709564362
        """,
    ),
    (
        "Adam",
        dict(lr=0.1, betas=(0.8, 0.9), eps=0.01, weight_decay=0.02),
        """
        0.90188679245283 0.876671366364636 0.808802463328173 0.748106936028913
        0.742352777897061 0.72536347282265 0.689594080072097 0.701950126421259
        0.70941090913813 0.700506597203645 0.712031757960373 0.670827043428368
        """,
    ),
    (
        "Adam",
        dict(lr=0.1, betas=(0.8, 0.9), eps=0.01, amsgrad=True),
        """
        0.901960784313726 0.881074886533316 0.814697973053863 0.758459183329739
        0.755326441304781 0.741471695623706 0.708122487833739 0.722799786158957
        0.73224648206103 0.726292087495807 0.739565534725375 0.699746687951084
        """,
    ),
    (
        "AdamW",
        dict(lr=0.1),
        """
        0.899000002 0.871467298705846 0.804784672376384 0.744082214527059 0.730699850746264
        0.709900631362288 0.675607335920829 0.67813456801732 0.678588892339835
        0.668947580290307 0.673275060960989 0.640704221457115
        """,
    ),
    (
        "AdamW",
        dict(lr=0.1, betas=(0.8, 0.9), eps=0.01, weight_decay=0.05, amsgrad=True, maximize=True),
        """
        1.09303921568627 1.10845991738825 1.16929453128076 1.21968684834848 1.2167211561317
        1.22449229603212 1.25171904234192 1.230783148805 1.2151825371589 1.21506101903833
        1.19571226671357 1.22955255215429
        """,
    ),
]


@pytest.mark.parametrize(("name", "options", "expected"), STEPS)
def test_twelve_steps(name: str, options: dict[str, Any], expected: str) -> None:
    for dtype, tolerance in ((tg.float64, 1e-13), (tg.float32, 3e-6)):
        parameter = tg.tensor([1.0], dtype=dtype, requires_grad=True)
        optimizer = getattr(optim, name)([parameter], **options)
        found = []
        for gradient in GRADIENTS:
            parameter.grad = tg.tensor([gradient], dtype=dtype)
            optimizer.step()
            found.append(parameter.item())
        numbers = list(map(float, expected.split()))
        assert found == pytest.approx(numbers, rel=tolerance, abs=tolerance)


# The rate of an SGD with lr=0.8 before each step, and after the last. In a schedule of cosines
# cos(pi / 4) = sqrt(1 / 2) and cos(pi / 7) = 0.900968867902419.
SCHEDULES: dict[str, tuple[Any, list[float]]] = {
    "StepLR": (lambda o: lrs.StepLR(o, 3, 0.5), [0.8, 0.8, 0.8, 0.4, 0.4, 0.4, 0.2, 0.2]),
    "MultiStepLR": (lambda o: lrs.MultiStepLR(o, [2, 5], 0.5), [0.8, 0.8, 0.4, 0.4, 0.4, 0.2, 0.2]),
    "ConstantLR": (lambda o: lrs.ConstantLR(o, 0.25, 3), [0.2, 0.2, 0.2, 0.8, 0.8]),
    "LinearLR": (lambda o: lrs.LinearLR(o, 0.25, 1.0, 4), [0.2, 0.35, 0.5, 0.65, 0.8, 0.8]),
    "ExponentialLR": (lambda o: lrs.ExponentialLR(o, 0.5), [0.8, 0.4, 0.2, 0.1, 0.05, 0.025]),
    "CosineAnnealingLR": (
        lambda o: lrs.CosineAnnealingLR(o, 4, eta_min=0.2),
        [
            *(0.8, 0.712132034355964, 0.5, 0.287867965644036, 0.2),
            *(0.287867965644036, 0.5, 0.712132034355964, 0.8, 0.712132034355964),
        ],
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_rates(name: str) -> None:
    build, expected = SCHEDULES[name]
    optimizer = optim.SGD([tg.ones(1, requires_grad=True)], lr=0.8)
    schedule, found = build(optimizer), []
    for _ in expected:
        found += schedule.get_last_lr()
        schedule.step()
    assert found == pytest.approx(expected, rel=1e-14)


FALL = {  # from 0.1 to 0.001 in seven steps
    "linear": [0.1 - 0.099 * k / 7 for k in range(1, 8)],
    "cos": [
        *(0.0950979589611698, 0.0813627451920073, 0.0615147862308376, 0.0394852137691624),
        *(0.0196372548079927, 0.00590204103883026, 0.001),
    ],
}


@pytest.mark.parametrize("strategy", FALL)
def test_one_cycle_of_three_phases(strategy: str) -> None:
    """Two steps up, two down, as long as up, and the seven that are left far down."""
    optimizer = optim.SGD([tg.ones(1, requires_grad=True)], lr=0.8, momentum=0.5)
    schedule = lrs.OneCycleLR(
        optimizer,
        1.0,
        total_steps=12,
        pct_start=0.25,
        anneal_strategy=strategy,
        base_momentum=0.8,
        max_momentum=0.9,
        div_factor=10,
        final_div_factor=100,
        three_phase=True,
    )
    rates, momenta = [], []
    for _ in range(12):
        rates += schedule.get_last_lr()
        momenta.append(optimizer.param_groups[0]["momentum"])
        schedule.step()
    assert rates == pytest.approx([0.1, 0.55, 1, 0.55, 0.1, *FALL[strategy]], rel=1e-12)
    assert momenta == pytest.approx([0.9, 0.85, 0.8, 0.85] + [0.9] * 8, rel=1e-12)


METRICS = [10, 9.95, 9.5, 8.9, 8.9, 8.9, 9.9, 11.2, 12, 12, 12, 12.5]
# Better than the best 10 by a tenth is below 9 or above 11, by 0.1 below 9.9 or above 10.1. Two
# metrics without progress halve the rate; the one after that is not counted.
PLATEAUS = {
    ("min", "rel"): [0.8, 0.8, 0.4, 0.4, 0.4, 0.2, 0.2, 0.2, 0.1, 0.1, 0.1, 0.05],
    ("max", "rel"): [0.8, 0.8, 0.4, 0.4, 0.4, 0.2, 0.2, 0.2, 0.2, 0.1, 0.1, 0.1],
    ("min", "abs"): [0.8, 0.8, 0.8, 0.8, 0.8, 0.4, 0.4, 0.4, 0.2, 0.2, 0.2, 0.1],
    ("max", "abs"): [0.8, 0.8, 0.4, 0.4, 0.4, 0.2, 0.2, 0.2, 0.2, 0.2, 0.1, 0.1],
}


@pytest.mark.parametrize(("mode", "threshold_mode"), PLATEAUS)
def test_plateau(mode: Any, threshold_mode: Any) -> None:
    optimizer = optim.SGD([tg.ones(1, requires_grad=True)], lr=0.8)
    schedule = lrs.ReduceLROnPlateau(
        optimizer, mode, 0.5, 1, threshold=0.1, threshold_mode=threshold_mode, cooldown=1
    )
    found = []
    for metric in METRICS:
        schedule.step(metric)
        found += schedule.get_last_lr()
    assert found == pytest.approx(PLATEAUS[mode, threshold_mode], rel=1e-14)


@pytest.mark.parametrize(
    ("eps", "expected"), [(0.0, 0.05), (0.15, 0.2), (0.2, 0.4), (0.3, 0.4), (0.4, 0.8)]
)
def test_plateau_leaves_out_a_change_of_eps_or_less(eps: float, expected: float) -> None:
    """0.8 halves to 0.4, 0.2, 0.1, 0.05: by 0.4, 0.2, 0.1, 0.05."""
    optimizer = optim.SGD([tg.ones(1, requires_grad=True)], lr=0.8)
    schedule = lrs.ReduceLROnPlateau(optimizer, factor=0.5, patience=0, threshold=0.0, eps=eps)
    for _ in range(5):
        schedule.step(1.0)
    assert schedule.get_last_lr() == pytest.approx([expected], rel=1e-14)
