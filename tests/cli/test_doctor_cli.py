"""`lnlbench doctor` and `lnlbench check-method`: verdicts, advice and exit codes."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace

import pytest

from lnlbench.cli import diagnosis


def findings(ended):
    return {finding["name"]: finding for finding in ended.json["findings"]}


def test_a_working_machine_is_ready(lnlbench):
    ended = lnlbench("doctor", "--json")
    found = findings(ended)
    assert ended.code == 0
    assert ended.json["ready"] is True
    assert {"python", "torch", "CPU", "memory", "disk", "data digits", "database", "runs folder", "pdflatex"} <= set(
        found
    )
    assert found["torch"]["status"] == "ok"
    assert found["data cifar10"]["status"] == "note"
    assert "lnlbench data download cifar10" in found["data cifar10"]["advice"]


def test_looking_changes_nothing(lnlbench, tmp_path):
    lnlbench("doctor")
    assert list(tmp_path.iterdir()) == []


def test_the_database_is_described(lnlbench, filled):
    assert "2 jobs" in findings(lnlbench("doctor", "--json", "--db", filled.path))["database"]["value"]


def test_a_file_that_is_no_database_keeps_jobs_from_running(lnlbench, tmp_path):
    (tmp_path / "lnlbench.sqlite").write_text("no database at all" * 100)
    ended = lnlbench("doctor")
    assert ended.code == 1
    assert "FAIL  database" in ended.out
    assert "1 problem: jobs cannot run" in ended.out


def test_a_server_without_its_driver_or_address_fails_with_advice(lnlbench):
    ended = lnlbench("doctor", "--json", "--db", "nosuchdatabase://host/name")
    assert ended.code == 1
    assert findings(ended)["database"]["advice"]


def test_a_folder_that_cannot_be_written_fails(lnlbench, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LNLBENCH_RUNS", str(tmp_path / "file" / "runs"))
    ended = lnlbench("doctor", "--json")
    assert ended.code == 1
    assert findings(ended)["runs folder"]["status"] == "fail"


def test_a_missing_and_an_old_package_fail_with_the_command_that_helps(lnlbench, monkeypatch):
    def version(name: str) -> str:
        if name == "psutil":
            raise PackageNotFoundError(name)
        return "1.0" if name == "rich" else "99.0"

    monkeypatch.setattr(diagnosis, "version", version)
    found = findings(lnlbench("doctor", "--json"))
    assert found["psutil"]["status"] == found["rich"]["status"] == "fail"
    assert "pip install 'rich>=" in found["rich"]["advice"]


def test_a_torch_that_breaks_on_import_fails_and_the_rest_is_still_looked_at(lnlbench, monkeypatch):
    def broken(name: str) -> object:
        if name == "torch":
            raise OSError("libcudart.so.12: cannot open shared object file")
        return sys.modules[name]

    monkeypatch.setattr(diagnosis.importlib, "import_module", broken)
    ended = lnlbench("doctor", "--json")
    assert ended.code == 1
    assert "libcudart" in findings(ended)["torch"]["value"]
    assert "runs folder" in findings(ended)


def test_little_disk_is_noted_and_hardly_any_fails(monkeypatch, tmp_path):
    def status(free: float) -> str:
        monkeypatch.setattr(diagnosis.shutil, "disk_usage", lambda _: SimpleNamespace(free=int(free)))
        return next(diagnosis._disk(tmp_path / "runs")).status

    assert [status(10 * diagnosis.GIB), status(diagnosis.GIB), status(1000)] == ["ok", "note", "fail"]


class Cuda:
    """torch.cuda of a machine with one device."""

    def __init__(self, free: float) -> None:
        self.free = free

    def is_available(self) -> bool:
        return True

    def device_count(self) -> int:
        return 1

    def get_device_properties(self, index: int) -> SimpleNamespace:
        return SimpleNamespace(name="NVIDIA H200")

    def mem_get_info(self, index: int) -> tuple[float, float]:
        return self.free * diagnosis.GIB, 140 * diagnosis.GIB

    def is_bf16_supported(self) -> bool:
        return True


class Computes:
    """A tensor on the device, whose convolution works."""

    def sum(self) -> Computes:
        return self

    def item(self) -> float:
        return 3.0


@pytest.mark.parametrize(("free", "status"), [(139, "ok"), (2, "note")])
def test_a_gpu_is_named_with_its_memory_and_precision(monkeypatch, free, status):
    import torch

    monkeypatch.setattr(torch, "cuda", Cuda(free))
    monkeypatch.setattr(torch, "ones", lambda *_, **__: Computes())
    monkeypatch.setattr(torch.nn.functional, "conv2d", lambda *_: Computes())
    found = list(diagnosis._devices())
    assert [f.status for f in found] == [status]
    assert found[0].value == f"NVIDIA H200, {free:.1f} of 140.0 GiB free, bf16"


def test_a_gpu_that_cannot_compute_is_noted_with_the_first_line_of_why(monkeypatch):
    import torch

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA error: no kernel image is available\nCompile with ...")

    monkeypatch.setattr(torch, "cuda", Cuda(100))
    monkeypatch.setattr(torch, "ones", fail)
    found = next(diagnosis._devices())
    assert found.status == "note"
    assert found.value == "cannot be used: CUDA error: no kernel image is available"


@pytest.fixture
def run_checks(monkeypatch):
    """A stand-in for the contract, whose own tests are elsewhere: method `ce` keeps it, `gce` breaks a check."""
    from lnlbench import contract

    def run(expression, on_result, *, device):
        passed = expression == "ce"
        on_result(contract.CheckResult(expression, "trains", True, "", 0.1))
        on_result(contract.CheckResult(expression, "resumes", passed, "" if passed else "[lost]\nits queue", 0.2))
        return passed

    monkeypatch.setattr(contract, "run_checks", run)


def test_checks_are_a_line_each_and_failures_decide_the_exit_code(lnlbench, run_checks):
    kept, broken = lnlbench("check-method", "ce"), lnlbench("check-method", "ce", "gce")
    assert kept.code == 0
    assert "All 2 checks passed." in kept.out
    assert broken.code == 1
    assert "FAIL  gce  resumes  (0.2 s)\n      [lost]\n      its queue\n" in broken.out
    assert "1 of 4 checks failed." in broken.out


def test_checks_in_json(lnlbench, run_checks):
    ended = lnlbench("check-method", "gce", "--json")
    assert ended.code == 1
    assert [result["passed"] for result in ended.json] == [True, False]


def test_nothing_to_check_is_said(lnlbench):
    ended = lnlbench("check-method")
    assert ended.code == 2
    assert "--plugin" in ended.err


def test_a_typo_among_the_methods_to_check_is_answered_with_the_nearest(lnlbench):
    ended = lnlbench("check-method", "gcee")
    assert ended.code == 2
    assert "'gce'" in ended.err


def test_a_plugin_files_methods_are_all_checked(lnlbench, run_checks, tmp_path):
    from lnlbench.methods import registry

    (tmp_path / "two.py").write_text(
        "from lnlbench.methods.base import Method\nfrom lnlbench.methods.spec import MethodSpec\n"
        "class One(Method):\n    spec = MethodSpec('one', 'One', '', '')\n"
        "class Two(Method):\n    spec = MethodSpec('two', 'Two', '', '')\n"
    )
    try:
        ended = lnlbench("check-method", "--plugin", tmp_path / "two.py", "--json")
    finally:
        for slug in ("one", "two"):
            registry._plugins.pop(slug, None)
    assert {result["method"] for result in ended.json} == {"one", "two"}


def test_a_database_on_a_network_file_system_is_noted(lnlbench, filled, monkeypatch):
    from lnlbench.store import location

    monkeypatch.setattr(location, "network_filesystem", lambda *_: "nfs")
    ended = lnlbench("doctor", "--json", "--db", filled.path)
    notes = [f for f in ended.json["findings"] if f["name"] == "database" and f["status"] == "note"]
    assert ended.code == 0
    assert "nfs" in notes[0]["advice"]
