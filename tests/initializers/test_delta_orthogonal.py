"""Delta-orthogonal convolutions are isometries, and keep gradients at depths where no other initialiser of theirs does."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from initium import DeltaOrthogonal, InitiumError, Layout, Normal, Orthogonal, init
from initium._init.dropin import fill_by_generator


@pytest.mark.parametrize(("conv", "sizes"), [(torch.conv1d, (9,)), (torch.conv2d, (5, 7)), (torch.conv3d, (4, 5, 6))])
@pytest.mark.parametrize("kernel", [1, 3])
def test_a_circular_convolution_is_an_isometry_times_the_gain(conv, sizes, kernel):
    torch.manual_seed(0)
    weight = DeltaOrthogonal(1.5)(12, 8, *[kernel] * len(sizes), dtype=torch.float64)
    x = torch.randn(3, 8, *sizes, dtype=torch.float64)
    padded = nn.functional.pad(x, [kernel // 2] * 2 * len(sizes), mode="circular")
    assert torch.allclose(conv(padded, weight).flatten(1).norm(dim=1), 1.5 * x.flatten(1).norm(dim=1), rtol=1e-12)


def test_each_group_is_an_isometry_and_a_transposed_layer_looks_at_its_own_axes():
    weight = fill_by_generator(torch.empty(8, 3, 3), DeltaOrthogonal(), Layout("weight", groups=2))
    for part in weight[:, :, 1].chunk(2):
        assert torch.allclose(part.T @ part, torch.eye(3), atol=1e-6)
    weight = fill_by_generator(torch.empty(3, 8, 3), DeltaOrthogonal(), Layout("weight", out_axes=(1,), in_axes=(0,)))
    assert torch.allclose(weight[:, :, 1] @ weight[:, :, 1].T, torch.eye(3), atol=1e-6)


@pytest.mark.parametrize("shape", [(4, 8, 3, 3), (8, 8), (8, 8, 1, 1, 1, 1)])
def test_what_cannot_be_an_isometry_is_refused(shape):
    with pytest.raises(InitiumError, match="delta_orthogonal (needs|is for)"):
        DeltaOrthogonal()(shape)


def gradient_ratio(initializer, depth=100, width=16):
    """‖∂/∂w_first‖ / ‖∂/∂w_last‖ of a tanh network on the critical line, σw² = 1.05, inputs of mean square q*."""
    torch.manual_seed(1)
    convs = [nn.Conv2d(width, width, 3, padding=1) for _ in range(depth)]
    for conv in convs:
        initializer(conv.weight)
        init.normal_(conv.bias, std=2.01e-5**0.5)
    x = torch.randn(2, width, 6, 6) * 0.0259186**0.5
    for conv in convs:
        x = torch.tanh(conv(x))
    (x * torch.randn_like(x)).sum().backward()
    return float(convs[0].weight.grad.norm() / convs[-1].weight.grad.norm())


def test_gradients_at_depth_100_where_the_flattened_orthogonal_loses_more():
    gain = 1.049996**0.5
    delta = gradient_ratio(lambda w: init.delta_orthogonal_(w, gain))
    flat = gradient_ratio(lambda w: init.orthogonal_(w, gain))
    gaussian = gradient_ratio(lambda w: fill_by_generator(w, Normal(gain / w[0].numel() ** 0.5)))
    assert 0.8 < delta < 1.25  # 1.02 in 2-D with 32 channels
    assert flat < 0.9 * delta
    assert gaussian < 0.9 * delta


def test_drop_in_is_the_initializer():
    torch.manual_seed(5)
    a = init.delta_orthogonal_(torch.empty(6, 4, 3), gain=2)
    torch.manual_seed(5)
    assert a.equal(DeltaOrthogonal(2)(6, 4, 3))
    assert not a.equal(Orthogonal(2)(6, 4, 3))
    with pytest.raises(ValueError, match="at least as many output"):
        init.delta_orthogonal_(torch.empty(4, 6, 3))
