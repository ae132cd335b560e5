"""The work of a step: operations and bytes, against counts by hand."""

import pytest

from tests.benchmarks.speed.scripts import BENCHMARKS


@pytest.fixture
def workloads(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import step

    return {workload.name: workload for workload in step.WORKLOADS}


def test_flops_count_the_matrix_products(workloads):
    assert workloads["spiral"].flops == 2 * 300 * (2 * 2 * 100 + 3 * 100 * 3)
    assert workloads["funnel"].flops == 262_144_000  # 0.60 ms at libxsmm-dnn's 438 GFLOP/s
    assert workloads["single"].flops == 2 * 128 * 2 * 784 * 256
    assert workloads["narrow"].flops == 2 * 128 * 64 * 64 * 59
    assert workloads["one image"].flops == 2 * 475_776


def test_bytes_count_parameters_gradients_and_state_twice_and_activations_once(workloads):
    assert workloads["spiral"].parameters == 2 * 100 + 100 + 100 * 3 + 3
    assert workloads["spiral"].bytes == 4 * (4 * 603 + 300 * 105)
    assert workloads["deep"].parameters == 476_490 + 2 * 704
    assert workloads["wide"].parameters == 2_099_200 + 4_196_352 + 2_098_176
    assert workloads["wide"].bytes == 4 * (8 * 8_393_728 + 256 * 6144)
    assert workloads["one image"].bytes == 4 * (476_490 + 784 + 714)


def test_level_of_large_networks_is_memory(workloads):
    assert workloads["wide"].level == "memory"
    assert {each.level for name, each in workloads.items() if name != "wide"} == {"L3"}


def test_parameters_count_those_of_the_model(workloads):
    from tinygrad_mlp import nn

    for workload in workloads.values():
        model = workload.model(nn)
        assert sum(p.numel() for p in model.parameters()) == workload.parameters
        assert model.training is workload.training
        unmatched = model.load_state_dict(workload.state(lambda array: array), strict=False)
        assert not unmatched.unexpected_keys


def test_text_names_all_options(workloads):
    assert str(workloads["deep"]) == "784-512-128-64-10, BatchNorm1d, Dropout 0.5, batch 128, SGD"
    assert str(workloads["narrow"]) == "64-19x64-64, batch 128, SGD"
    assert str(workloads["one image"]) == "784-512-128-64-10, batch 1, inference"
