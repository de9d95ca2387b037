"""Checkpoints under crashes, full disks, damage and malice: the last whole one is read, or none."""

import errno
import os
import pickle
import random
from pathlib import Path

import pytest
import torch

from lnlbench.errors import LnlbenchError
from lnlbench.training import checkpoint

CPU = torch.device("cpu")
INPUTS = {"job": "abc", "data": "def"}


def state(value: float = 1.0) -> dict:
    return {"inputs": INPUTS, "method": {"w": torch.full((64,), value)}, "records": [{"epoch": 0, "stage": "train"}]}


def read(path: Path) -> dict | None:
    return checkpoint.load(path, INPUTS, CPU)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "new" / "job.pt"
    checkpoint.save(path, state())
    return path


def write_half(error: BaseException):
    def save(value, file) -> None:
        file.write(b"half a checkpoint")
        raise error

    return save


def test_what_is_saved_is_read(saved: Path) -> None:
    found = read(saved)
    assert found is not None
    assert torch.equal(found["method"]["w"], torch.ones(64))
    assert found["records"] == state()["records"]
    assert os.listdir(saved.parent) == ["job.pt"]


def test_none_where_there_is_none_and_after_removal(saved: Path) -> None:
    assert read(saved.parent / "other.pt") is None
    checkpoint.remove(saved)
    checkpoint.remove(saved)
    assert read(saved) is None


def test_none_for_other_inputs_or_another_format(saved: Path, monkeypatch) -> None:
    assert checkpoint.load(saved, {**INPUTS, "data": "other"}, CPU) is None
    monkeypatch.setattr(checkpoint, "FORMAT", checkpoint.FORMAT + 1)
    assert read(saved) is None


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES])
def test_a_disk_that_refuses_is_told_and_leaves_the_old_one(saved: Path, monkeypatch, code: int) -> None:
    monkeypatch.setattr(torch, "save", write_half(OSError(code, os.strerror(code))))
    with pytest.raises(LnlbenchError, match=rf"(?s)job\.pt: .*{os.strerror(code)}.*Free some space"):
        checkpoint.save(saved, state(2.0))
    assert read(saved)["method"]["w"][0] == 1
    assert os.listdir(saved.parent) == ["job.pt"]


def test_torchs_own_write_error_is_told_too(saved: Path, monkeypatch) -> None:
    monkeypatch.setattr(torch, "save", write_half(RuntimeError("PytorchStreamWriter failed writing file")))
    with pytest.raises(LnlbenchError, match="PytorchStreamWriter"):
        checkpoint.save(saved, state(2.0))
    assert read(saved)["method"]["w"][0] == 1


def test_an_interrupt_in_the_middle_of_saving_leaves_the_old_one(saved: Path, monkeypatch) -> None:
    monkeypatch.setattr(torch, "save", write_half(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(saved, state(2.0))
    assert read(saved)["method"]["w"][0] == 1
    assert os.listdir(saved.parent) == ["job.pt"]


def test_a_process_that_dies_in_the_middle_of_saving_leaves_the_old_one(saved: Path) -> None:
    child = os.fork()
    if child == 0:

        def die(value, file) -> None:
            file.write(b"half a checkpoint")
            file.flush()
            os._exit(9)

        torch.save = die
        checkpoint.save(saved, state(2.0))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert read(saved)["method"]["w"][0] == 1
    checkpoint.save(saved, state(3.0))
    assert read(saved)["method"]["w"][0] == 3


def test_only_old_leftovers_are_cleared_away_since_young_ones_may_be_another_process_s(saved: Path) -> None:
    old, young = (saved.with_name(f"{saved.name}{name}.tmp") for name in ("old", "young"))
    old.write_bytes(b"half")
    young.write_bytes(b"half")
    os.utime(old, (0, 0))
    checkpoint.save(saved, state(2.0))
    assert sorted(os.listdir(saved.parent)) == [saved.name, young.name]


def test_two_processes_that_save_one_checkpoint_at_a_time_do_not_disturb_each_other(saved: Path, monkeypatch) -> None:
    write = torch.save

    def meanwhile(value, file) -> None:
        write(value, file)
        monkeypatch.setattr(torch, "save", write)
        checkpoint.save(saved, state(2.0))

    monkeypatch.setattr(torch, "save", meanwhile)
    checkpoint.save(saved, state(3.0))
    assert read(saved)["method"]["w"][0] == 3
    assert os.listdir(saved.parent) == [saved.name]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LnlbenchError, match="LNLBENCH_RUNS"):
        checkpoint.save(tmp_path / "file" / "runs" / "job.pt", state())


def test_a_truncated_file_is_no_checkpoint(saved: Path) -> None:
    whole = saved.read_bytes()
    for length in [*range(0, len(whole), 37), len(whole) - 1]:
        saved.write_bytes(whole[:length])
        assert read(saved) is None


def test_altered_numbers_are_noticed(saved: Path) -> None:
    whole = saved.read_bytes()
    numbers = torch.ones(64).numpy().tobytes()
    assert whole.count(numbers) == 1
    saved.write_bytes(whole.replace(numbers, torch.full((64,), 1.5).numpy().tobytes()))
    assert read(saved) is None


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_no_damage_raises(saved: Path) -> None:
    whole = saved.read_bytes()
    plain = pickle.dumps({"format": checkpoint.FORMAT, **{n: v for n, v in state().items() if n != "method"}})
    chance = random.Random(0)
    for original in (whole, plain):
        for _ in range(150):
            damaged = bytearray(original)
            for _ in range(chance.randint(1, 4)):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            saved.write_bytes(damaged)
            found = read(saved)
            assert found is None or torch.equal(found["method"]["w"], torch.ones(64))


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", pickle.dumps({"format": 1, "inputs": INPUTS})])
def test_a_foreign_file_is_no_checkpoint(saved: Path, content: bytes) -> None:
    saved.write_bytes(content)
    assert read(saved) is None


def test_a_torch_file_of_something_else_is_no_checkpoint(saved: Path) -> None:
    for other in ([1, 2], {"w": torch.ones(2)}, torch.nn.Linear(2, 2)):
        torch.save(other, saved)
        assert read(saved) is None


class Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("write", [torch.save, lambda value, path: Path(path).write_bytes(pickle.dumps(value))])
def test_a_malicious_pickle_does_not_run(saved: Path, tmp_path: Path, write) -> None:
    mark = tmp_path / "ran"
    write({"format": checkpoint.FORMAT, **state(), "extra": Evil(mark)}, saved)
    assert read(saved) is None
    assert not mark.exists()
