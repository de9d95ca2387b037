"""Trained networks on their way from one job to another: kept in a file, checked, handed over without the rest."""

from __future__ import annotations

import pytest
import torch

from lnlbench.contract.synthetic import quick_job, synthetic
from lnlbench.errors import DataError
from lnlbench.training.devices import place
from lnlbench.training.networks import load_model, save_model, with_networks
from lnlbench.training.trainer import open_run

CPU = place("cpu")


@pytest.fixture
def trained(tmp_path):
    job = quick_job("coteaching")
    method = open_run(job, synthetic(), CPU).method
    path = tmp_path / "model.pt"
    return job, method, path, save_model(path, job, method)


def test_a_model_comes_back_whole_and_hands_on_its_networks_alone(trained):
    job, method, path, (sha256, size) = trained
    model = load_model(path, sha256, CPU.device)
    assert model.job == job.canonical_text
    assert size == path.stat().st_size
    assert set(model.state) == set(method.state_dict())
    parts = model.parts()
    assert set(parts) == set(method.backbones())
    for name, net in method.backbones().items():
        assert all(torch.equal(parts[name][key], value) for key, value in net.state_dict().items())


def test_an_altered_or_foreign_file_is_refused(trained):
    _, _, path, (sha256, _) = trained
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"x")
    with pytest.raises(DataError, match="altered"):
        load_model(path, sha256, CPU.device)
    path.write_bytes(b"not a model")
    with pytest.raises(DataError, match="cannot be read"):
        load_model(path, None, CPU.device)
    path.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        load_model(path, sha256, CPU.device)


def test_networks_are_granted_beside_what_the_data_grants(trained):
    _, method, _, _ = trained
    data = synthetic()
    networks = {"pretrained_encoder": {name: net.state_dict() for name, net in method.backbones().items()}}
    assert with_networks(data, networks).granted == {**data.granted, **networks}
    assert with_networks(data, {}) is data
