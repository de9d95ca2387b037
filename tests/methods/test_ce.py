"""Cross-entropy against its closed form (card ce.md); that it memorises is in test_learns_on_digits.py."""

import math

import pytest
import torch
import torch.nn.functional as F

from lnlbench.training.devices import place


@pytest.mark.parametrize("num_classes", [10, 100])
def test_the_first_loss_is_about_log_of_the_number_of_classes(rig, num_classes):
    (step,) = rig("ce", n=200, num_classes=num_classes, recipe={"batch_size": 200}).epoch(0)
    assert step.loss == pytest.approx(math.log(num_classes), rel=0.2)


def test_the_gradient_is_prediction_minus_label_over_the_batch(rig, table):
    run = rig("ce", n=6, numbered=True)
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(3))
    run.replace_nets(table(logits))
    (step,) = run.epoch(0)
    expected = (logits.softmax(1) - F.one_hot(run.labels, 4)) / 6
    torch.testing.assert_close(step.grads["logits"], expected, atol=1e-6, rtol=0)


def test_even_logits_of_two_classes_cost_log_two(rig, table):
    run = rig("ce", n=5, num_classes=2, numbered=True)
    run.replace_nets(table(torch.zeros(5, 2)))
    assert run.epoch(0)[0].loss == pytest.approx(math.log(2))


def test_every_sample_is_seen_once_an_epoch_the_last_partial_batch_included(rig, table):
    run = rig("ce", n=17, numbered=True)
    run.replace_nets(net := table(torch.zeros(17, 4)))
    run.epoch(0)
    assert net.seen == [8, 8, 1]


def test_in_bfloat16_every_step_sees_the_weights_of_the_last(rig):
    run = rig("ce", recipe={"optimizer": {"lr": 1.0}})
    net, images = run.method.net, run.batch().plain()
    bf16 = place("cpu", "bf16")
    with bf16.autocast():
        run.epoch(0)
        net.eval()
        within = net(images)
    with bf16.autocast():
        assert torch.equal(within, net(images))
