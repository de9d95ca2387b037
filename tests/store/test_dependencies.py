"""Jobs that start from what another job has trained: queued after it, handed out when it has ended."""

import pytest

from lnlbench.job import Job, Noise
from lnlbench.methods import registry
from lnlbench.methods.base import Method
from lnlbench.methods.spec import MethodSpec, Requires
from lnlbench.resolve import required_jobs


class Encoder(Method):
    spec = MethodSpec(slug="toy_encoder", title="E", summary="Trains an encoder.", paper="None")


class Starts(Method):
    spec = MethodSpec(
        slug="toy_starts",
        title="S",
        summary="Starts from one.",
        paper="None",
        requires=(Requires("encoder", "toy_encoder", given={"on": True}),),
    )


@pytest.fixture
def linked(monkeypatch):
    """Two jobs of different noise that start from the same encoder, and one that starts from nothing."""
    monkeypatch.setitem(registry._plugins, "toy_encoder", Encoder)
    monkeypatch.setitem(registry._plugins, "toy_starts", Starts)
    made = [
        Job("toy_starts", {"on": on}, noise=Noise("symmetric", rate), scale="smoke")
        for on, rate in ((True, 0.2), (True, 0.5), (False, 0.5))
    ]
    encoder = required_jobs(made[0])["encoder"]
    assert required_jobs(made[1]) == {"encoder": encoder}
    assert required_jobs(made[2]) == {}
    return encoder, made


def test_what_a_job_starts_from_is_queued_before_it_and_once(store, linked):
    encoder, made = linked
    assert store.add_jobs(made) == 4
    assert [view.key for view in store.jobs()] == [encoder.key, *(job.key for job in made)]
    assert store.add_jobs(made) == 0


@pytest.mark.parametrize("ending", ["done", "diverged", "failed"])
def test_a_job_waits_until_what_it_starts_from_has_ended(store, linked, result, ending):
    encoder, made = linked
    store.add_jobs(made)
    keys = [*(job.key for job in made[:2]), encoder.key, made[2].key]
    first = store.claim(keys, "a", 60, retry_limit=1)
    assert first.job_key == encoder.key
    assert store.claim(keys, "b", 60, retry_limit=1).job_key == made[2].key
    assert store.claim(keys, "c", 60, retry_limit=1) is None
    store.finish(first.run_uid, ending, result if ending == "done" else None, retry=False)
    assert store.claim(keys, "c", 60, retry_limit=1).job_key == made[0].key
    assert store.claim(None, "d", 60, retry_limit=1).job_key == made[1].key


def test_jobs_that_came_by_an_import_are_linked_when_they_are_queued_again(store, other, linked, tmp_path):
    encoder, made = linked
    store.add_jobs(made[:1])
    store.export(tmp_path / "jobs.jsonl")
    other.import_(tmp_path / "jobs.jsonl")
    other.add_jobs(made[:1])
    assert other.claim([made[0].key], "w", 60, retry_limit=1) is None
    assert other.claim([made[0].key, encoder.key], "w", 60, retry_limit=1).job_key == encoder.key
