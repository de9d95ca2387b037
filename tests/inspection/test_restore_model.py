"""A kept model put back into its job is the method that was trained, and nothing else is taken for it."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from trained_jobs import state_of

from lnlbench.contract.reach import Truth, find_truth
from lnlbench.errors import LnlbenchError
from lnlbench.inspection.restore import restore


@pytest.mark.parametrize(
    "name", ["ce", "coteaching", "sanm(ce)", "sanm(dividemix)", "frozen masks", "rfl", "rfl without decoder"]
)
def test_the_restored_method_predicts_exactly_as_the_trained_one_did(kept, restored, name):
    back = restored(name)
    assert back.run.evaluator.evaluate(back.method).test_accuracy == kept(name).outcome.result.last
    images = back.run.engine.views.plain(torch.from_numpy(back.data.test.images))
    with torch.no_grad():
        assert torch.equal(back.method.predict(images), kept(name).method.eval().predict(images))
    assert not any(module.training for module in back.method.modules())


def test_the_restored_method_cannot_reach_true_labels(restored):
    back = restored("rfl")
    assert find_truth(back.method, Truth(back.data)) is None


def test_a_model_of_another_job_is_refused(kept):
    ce = kept("ce")
    with pytest.raises(LnlbenchError, match="not of ce digits symmetric 40% seed 2"):
        restore(kept("other labels").job, ce.model(), ce.path, ce.place)


def test_a_model_of_other_code_is_refused_with_what_does_not_fit(kept):
    ce = kept("ce")
    state = state_of(ce)
    state["net.old_head.weight"] = state.pop("net.head.weight")
    with pytest.raises(LnlbenchError, match=r"does not fit the code there is now.*net\.head\.weight") as error:
        restore(ce.job, dataclasses.replace(ce.model(), state=state), ce.path, ce.place)
    assert "--rerun --keep-models" in error.value.hint


def test_a_model_of_another_version_of_its_method_is_refused(kept):
    ce = kept("ce")
    old = dataclasses.replace(ce.job, method_version=ce.job.method_version + 1)
    with pytest.raises(LnlbenchError, match="version 2 of ce; here is version 1"):
        restore(old, dataclasses.replace(ce.model(), job=old.canonical_text), ce.path, ce.place)
