"""L2RW: which weights come of which gradients, and what an iteration leaves behind (card l2rw.md)."""

import pytest
import torch
import torch.nn.functional as F

from lnlbench.learning.meta_weights import gradient_alignment
from lnlbench.methods import registry

N, M, C = 16, 12, 4


@pytest.fixture
def gold(rig):
    def make(**settings):
        return rig("l2rw", **{"n": N, "meta": M, "num_classes": C, "recipe": {"batch_size": N}, **settings})

    return make


def weights_of(run, monkeypatch, u):
    """The gradients of a step under the inner products `u`, as weights of the samples of a table."""
    monkeypatch.setattr("lnlbench.methods.l2rw.gradient_alignment", lambda net, images, *rest: u[rows(images)])
    (step,) = run.epoch(0)
    gradient = step.grads["logits"]
    plain = run.start.softmax(1) - F.one_hot(run.labels, C)
    return (gradient * plain).sum(1) / plain.square().sum(1)


def rows(images):
    return images[:, 0, 0, 0].round().long()


@pytest.fixture
def free(gold, table):
    run = gold(numbered=True)
    run.start = torch.randn(N, C, generator=torch.Generator().manual_seed(0))
    run.replace_nets(table(run.start))
    return run


def test_negative_products_weigh_nothing_and_the_others_sum_to_one(free, monkeypatch):
    u = torch.linspace(-1, 1, N)
    weights = weights_of(free, monkeypatch, u)
    expected = u.clamp_min(0) / u.clamp_min(0).sum()
    torch.testing.assert_close(weights, expected, atol=1e-6, rtol=0)


def test_the_scale_of_the_meta_loss_does_not_matter(gold, table, monkeypatch):
    found = []
    for scale in (1.0, 10.0):
        run = gold(numbered=True)
        run.start = torch.zeros(N, C)
        run.replace_nets(table(run.start))
        found.append(weights_of(run, monkeypatch, scale * torch.linspace(-1, 1, N)))
    torch.testing.assert_close(found[0], found[1])


def test_a_batch_of_which_all_disagree_moves_nothing(free, monkeypatch):
    weights = weights_of(free, monkeypatch, -torch.ones(N))
    assert weights.abs().max() == 0
    assert free.steps[0].loss == 0
    assert torch.equal(free.method.net.logits.data, free.start)


def test_a_sample_with_the_clean_label_is_taken_and_the_same_image_with_the_predicted_wrong_one_is_not():
    """A linear model that predicts the wrong label k for x; the clean sample is (x, t)."""

    class Linear(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.tensor([[0.1, 0.0], [0.5, 0.2], [0.0, 0.1]]))

        def forward(self, images):
            return images.flatten(1) @ self.weight.T

    x, t, k = torch.tensor([[[[1.0, 0.5]]]]), 0, 1
    net = Linear()
    assert net(x).argmax() == k
    u = gradient_alignment(net, x.repeat(2, 1, 1, 1), torch.tensor([t, k]), x, torch.tensor([t]), F.cross_entropy)
    assert u[0] > 0 > u[1]


def test_an_iteration_is_one_step_of_the_network_on_the_same_views(gold, monkeypatch):
    run = gold(recipe={"batch_size": N, "augment": "crop-flip", "pad": 1})
    views = run.engine.views
    drawn, weak = [], views.weak
    monkeypatch.setattr(views, "weak", lambda images: drawn.append(weak(images)) or drawn[-1])
    seen = []
    monkeypatch.setattr(
        "lnlbench.methods.l2rw.gradient_alignment",
        lambda net, images, *rest: seen.append(images) or torch.ones(len(images)),
    )
    steps = run.epoch(0)
    assert [step.net for step in steps] == [run.method.net]
    assert len(drawn) == 2
    assert seen[0] is drawn[0]


def test_running_statistics_move_once_an_iteration_by_the_noisy_batch(gold):
    run = gold()
    net = run.method.net
    start = {name: value.clone() for name, value in net.state_dict().items()}
    net.train()
    net(run.batch().plain())
    once = {name: b.clone() for name, b in net.named_buffers()}
    net.load_state_dict(start)
    run.epoch(0)
    for name, buffer in net.named_buffers():
        torch.testing.assert_close(buffer, once[name], rtol=1e-4, atol=1e-6)


def test_the_clean_score_is_the_running_mean_of_products_relative_to_their_batch(free, monkeypatch):
    u = torch.linspace(-1, 3, N)
    relative = u / u.abs().mean()
    weights_of(free, monkeypatch, u)
    torch.testing.assert_close(free.method.clean_score(), 0.1 * relative)
    weights_of(free, monkeypatch, 5 * u)
    torch.testing.assert_close(free.method.clean_score(), 0.19 * relative)
    assert "agreement" in free.method.state_dict()


@pytest.mark.parametrize("gradient", ["exact", "finite_difference", "last_layer"])
def test_every_form_of_the_gradient_trains(gold, gradient):
    run = gold(gradient=gradient)
    before = run.method.net.head.weight.clone()
    run.epoch(0)
    assert not torch.equal(run.method.net.head.weight, before)
    assert run.method.agreement.abs().sum() > 0


def test_it_needs_clean_samples_and_holds_them_out():
    spec = registry.spec("l2rw")
    assert spec.needs == ("clean_meta",)
    assert spec.meta_set
    assert spec.hyperparameters().gradient == "exact"
