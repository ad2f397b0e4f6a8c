"""Soft filter pruning: counts, norms, recovery, exemptions, and equal outputs once zero filters are gone."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from specseg.nets import flops, pruning
from specseg.nets.models import MODELS, build
from specseg.nets.models.backbones import BACKBONES


def network(model="deeplabv3plus", backbone="tiny", size=65, width=24):
    """A network with normalisation statistics and shifts as training leaves them: none of them zero."""
    torch.manual_seed(1)
    net = build(model, backbone=backbone, num_classes=5, input_size=size, width=width).double().eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
            nn.init.normal_(module.weight, 1.0, 0.2)
            nn.init.normal_(module.bias, 0.1, 0.3)
    return net


@settings(deadline=None, max_examples=60)
@given(filters=st.integers(1, 70), inputs=st.integers(1, 5), rate=st.floats(0, 0.99), seed=st.integers(0, 2**16))
def test_exact_count_and_smallest_norms(filters, inputs, rate, seed):
    weight = torch.randn(filters, inputs, 3, 3, generator=torch.Generator().manual_seed(seed))
    mask = pruning.keep_mask(weight, rate)
    norms = weight.flatten(1).norm(dim=1)
    assert int((~mask).sum()) == flops.removed(filters, rate)
    assert mask.any()
    if not mask.all():
        assert norms[~mask].max() <= norms[mask].min()


@settings(deadline=None, max_examples=15)
@given(encoder=st.sampled_from([0.0, 0.2, 0.4, 0.6]), decoder=st.sampled_from([0.0, 0.2, 0.5]))
def test_each_layer_loses_its_part_and_exempt_layers_nothing(encoder, decoder):
    net = network()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    masks = pruning.SoftFilterPruning(encoder, decoder).step(net)
    for name, conv in net.named_modules():
        if not isinstance(conv, nn.Conv2d):
            continue
        zero = int((conv.weight.flatten(1).abs().amax(1) == 0).sum())
        rate = {"encoder": encoder, "decoder": decoder}[net.part_of(name)]
        assert zero == (0 if name in net.exempt() else int(conv.out_channels * rate + 1e-9))
    touched = {f"{name}.weight" for name in masks}
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items() if k not in touched)


def test_shortcuts_and_classes_are_exempt_in_resnet():
    with torch.device("meta"):
        net = build("deeplabv3plus", backbone="resnet101", num_classes=21)
    names = set(pruning.prunable(net))
    assert "decoder.classifier" not in names
    assert not any("downsample" in n for n in names)
    assert {"backbone.layer3.5.conv3", "aspp.project.0", "decoder.fuse1.0"} <= names
    everything = [n for n, m in net.named_modules() if isinstance(m, nn.Conv2d)]
    assert len(everything) - len(names) == 4 + 1 + 1 and "backbone.stem.0" not in names


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_what_is_pruned_is_what_can_be_removed(model, backbone):
    with torch.device("meta"):
        net = build(model, backbone=backbone, num_classes=5, input_size=65, width=24)
    known = {name for link in net.links() for name in (link.conv, *link.feeder[:1])}
    assert set(pruning.prunable(net)) == known
    assert sorted(name for group in pruning.groups(net) for name in group) == sorted(known)


@pytest.mark.parametrize("rate", [0.2, 0.4, 0.6])
def test_layers_that_share_channels_share_their_mask(rate):
    """Each alone, expansion and depth-wise layer left 1 - rate of the channels each: (1 - rate)^2 of both together."""
    net = network(backbone="efficientnet_lite0")
    masks = pruning.SoftFilterPruning(rate).step(net)
    pairs = [group for group in pruning.groups(net) if len(group) > 1]
    assert len(pairs) == 16 and ["backbone.net.conv_stem", "backbone.net.blocks.0.0.conv_dw"] in pairs
    for one, two in pairs:
        assert net.get_submodule(two).groups == len(masks[one]) and torch.equal(masks[one], masks[two])
        alive = [net.get_submodule(n).weight.flatten(1).abs().amax(1) > 0 for n in (one, two)]
        assert int((alive[0] & alive[1]).sum()) == len(masks[one]) - flops.removed(len(masks[one]), rate)


def test_the_joint_norm_decides():
    net = network(backbone="efficientnet_lite0")
    one, two = (net.get_submodule(f"backbone.net.blocks.1.0.{n}").weight.data for n in ("conv_pw", "conv_dw"))
    one.fill_(0.1), two.fill_(0.1)
    one[5], two[5] = 0.05, 0.2  # the weaker expansion, but the stronger channel
    one[60:], two[60:] = 0.11, 0.09
    two[95], one[95] = 0, 9.0  # a channel without its depth-wise filter is gone, whatever its expansion weighs
    joint = (one.flatten(1).pow(2).sum(1) + two.flatten(1).pow(2).sum(1)).sqrt()
    mask = pruning.keep_masks(net, {"encoder": 0.25, "decoder": 0.0})["backbone.net.blocks.1.0.conv_pw"]
    assert mask[5] and not mask[95] and int((~mask).sum()) == 24
    assert joint[:95][~mask[:95]].max() <= joint[:95][mask[:95]].min()


def test_filters_recover():
    """The gradient of a zeroed filter is whole: one step moves it and it may come back with a larger norm.

    With batch normalisation and ReLU only where the shift is positive: else the channel is 0 and so is its gradient.
    """
    net = network().train()
    masks = pruning.SoftFilterPruning(0.4, 0.4).step(net)
    optimiser = torch.optim.SGD(net.parameters(), lr=10.0)
    labels = torch.randint(5, (2, 65, 65), generator=torch.Generator().manual_seed(0))
    images = torch.rand(2, 3, 65, 65, generator=torch.Generator().manual_seed(0)).double()
    alive = net.decoder.fuse2[1].bias.detach() > 0
    nn.functional.cross_entropy(net(images), labels).backward()
    optimiser.step()
    norms = net.decoder.fuse2[0].weight.detach().flatten(1).norm(dim=1)
    gone = ~masks["decoder.fuse2.0"]
    assert torch.equal(norms[gone] > 0, alive[gone]) and alive[gone].any()
    again = pruning.keep_mask(net.decoder.fuse2[0].weight, 0.4)
    assert int((~again).sum()) == int(gone.sum())


@settings(deadline=None, max_examples=40)
@given(epochs=st.integers(1, 60), goal=st.floats(0.05, 0.9))
def test_asymptotic_schedule(epochs, goal):
    rates = [pruning.asymptotic_rate(e, epochs, goal) for e in range(epochs + 1)]
    assert rates[0] == pytest.approx(0, abs=1e-9) and rates[-1] == pytest.approx(goal)
    assert all(b >= a - 1e-12 for a, b in zip(rates, rates[1:], strict=False))
    assert pruning.asymptotic_rate(epochs / 8, epochs, goal) == pytest.approx(0.75 * goal, rel=1e-6)


def test_schedules_of_the_hook():
    constant = pruning.SoftFilterPruning(0.6, 0.2, schedule="constant")
    rising = pruning.SoftFilterPruning(0.6, 0.2)
    assert constant.rates(0.0) == {"encoder": 0.6, "decoder": 0.2} == constant.rates()
    assert rising.rates(0.0) == {"encoder": 0.0, "decoder": 0.0} and rising.rates() == pytest.approx(constant.rates())
    assert rising.rates(0.125)["decoder"] == pytest.approx(0.15)
    with pytest.raises(ValueError, match="epoch"):
        rising.rates(1.1)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("backbone", "size"), [("tiny", 65), ("efficientnet_lite0", 65), ("resnet101", 65)])
def test_removed_equals_masked(model, backbone, size):
    net = network(model, backbone, size)
    pruning.SoftFilterPruning(0.4).step(net)
    images = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0)).double()
    small = pruning.remove(net)
    with torch.no_grad():
        want = net(images)
        torch.testing.assert_close(small(images), want, rtol=1e-9, atol=1e-9 * float(want.abs().max()))
        for form in (net, small):
            form.lrg_size = 9
        torch.testing.assert_close(small(images), net(images), rtol=1e-9, atol=1e-9 * float(want.abs().max()))
    assert sum(p.numel() for p in small.parameters()) < 0.7 * sum(p.numel() for p in net.parameters())


def test_removal_needs_the_constants_left_behind():
    """Dropping the channels without what their normalisation leaves changes the outputs: the test above can fail."""
    net = network()
    pruning.SoftFilterPruning(0.4).step(net)
    small = pruning.remove(net)
    for module in small.modules():
        if isinstance(module, pruning.ConstantInput):
            module.kernel.zero_()
    images = torch.rand(1, 3, 65, 65).double()
    with torch.no_grad():
        assert (small(images) - net(images)).abs().max() > 1e-3


def test_removal_of_nothing_and_of_whole_layers():
    net, images = network(), torch.rand(1, 3, 65, 65).double()
    with torch.no_grad():
        assert torch.equal(pruning.remove(net)(images), net(images))
        net.decoder.fuse1[0].weight.zero_()
        small = pruning.remove(net)
        torch.testing.assert_close(small(images), net(images))
    assert small.decoder.fuse1[0].out_channels == 1


def cost(net):
    """The operations of the convolutions of a network without its zero filters, as it runs."""
    small, images = pruning.remove(net), torch.rand(1, 3, 65, 65).double()
    _, layers = flops.trace(small, lambda: small(images), part_of=small.part_of)
    return flops.conv_flops(layers)


def promised(model, backbone, rate):
    """The closed form with every reader shrunk (rule CONV), the decoder at 20 %."""
    return flops.count(model, backbone=backbone, width=24, input_size=65, num_classes=5, encoder_prune_rate=rate,
                       decoder_prune_rate=0.2, rule=flops.CONV).total  # fmt: skip


@pytest.mark.parametrize("rate", [0.2, 0.6])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_removed_network_runs_the_operations_that_the_rule_counts(model, backbone, rate):
    net = network(model, backbone)
    pruning.SoftFilterPruning(rate, 0.2).step(net)
    assert cost(net) == promised(model, backbone, rate)


def test_masks_that_are_not_coupled_leave_fewer_channels_than_are_counted():
    """Each layer has its count of zero filters, but not of the same channels: at 60 % about 16 % are left, not 40."""
    net = network(backbone="efficientnet_lite0")
    rates = {"encoder": 0.6, "decoder": 0.2}
    convs = pruning.prunable(net)
    own = {name: pruning.keep_mask(conv.weight, rates[net.part_of(name)]) for name, conv in convs.items()}
    pruning.apply_masks(net, own)
    one, two = (own[f"backbone.net.blocks.4.1.{n}"] for n in ("conv_pw", "conv_dw"))
    assert int(one.sum()) == int(two.sum()) == len(one) - flops.removed(len(one), 0.6)
    assert 0.1 < float((one & two).float().mean()) < 0.22
    with pytest.raises(ValueError, match=r"conv_dw: its zero filters are not those of .*, which shares its channels"):
        pruning.SoftFilterPruning(0.6, 0.2).check(net)


def test_zero_filters_are_checked_layer_by_layer():
    net, prune = network(), pruning.SoftFilterPruning(0.4, 0.2)
    with pytest.raises(ValueError, match=r"backbone.stage1.0: 0 of 8 filters are zero, expected 3"):
        prune.check(net)
    prune.step(net)
    prune.check(net)
    net.decoder.fuse2[0].weight.data[:] = 1.0
    with pytest.raises(ValueError, match=r"decoder.fuse2.0: 0 of 24 filters are zero, expected 4"):
        prune.check(net)
    net.decoder.fuse2[0].weight.data[:5] = 0.0
    with pytest.raises(ValueError, match=r"decoder.fuse2.0: 5 of 24"):
        prune.check(net)
    pruning.SoftFilterPruning(0.4, 0.0).check(net)


def test_what_is_refused():
    with pytest.raises(ValueError, match="links"):
        pruning.remove(nn.Conv2d(1, 1, 1))
    with pytest.raises(ValueError, match="prune_rate"):
        pruning.keep_mask(torch.ones(3, 1), 1.0)
    with pytest.raises(ValueError, match="schedule"):
        pruning.SoftFilterPruning(0.2, schedule="linear")
    with pytest.raises(ValueError, match="decoder_rate"):
        pruning.SoftFilterPruning(0.2, 1.2)
    with pytest.raises(ValueError, match="decoder"):
        pruning.keep_masks(network(), {"encoder": 0.2})
    with pytest.raises(ValueError, match="epoch"):
        pruning.asymptotic_rate(3, 2, 0.4)
