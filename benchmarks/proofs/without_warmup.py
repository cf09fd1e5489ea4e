"""Deep transformers without warm-up, on the digits read row by row: DeepNorm and T-Fixup train where Xavier does not.

Wang et al. 2022 (2203.00555): post-norm, LN(α x + f(x)); Huang et al. 2020 (ICML): no layer norms at all.
Run: ``python benchmarks/proofs/without_warmup.py`` (a minute on one core).
"""

from __future__ import annotations

import time

import torch
from torch import Tensor, nn

import initium
from initium.demo.digits import digits


class Attention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.num_heads = heads
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (f(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for f in (self.q_proj, self.k_proj, self.v_proj))
        return self.out_proj(nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class FeedForward(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.fc1(x).relu())  # type: ignore[no-any-return]


class Layer(nn.Module):
    """Post-norm with a factor α on the stream, or without norms."""

    def __init__(self, width: int, alpha: float, norms: bool) -> None:
        super().__init__()
        self.self_attn, self.feed_forward, self.alpha = Attention(width, 4), FeedForward(width), alpha
        self.norm1, self.norm2 = (nn.LayerNorm(width) if norms else nn.Identity() for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm1(self.alpha * x + self.self_attn(x))
        return self.norm2(self.alpha * x + self.feed_forward(x))  # type: ignore[no-any-return]


class Reader(nn.Module):
    """The 8 rows of a digit as a sequence."""

    def __init__(self, depth: int, width: int, alpha: float, norms: bool) -> None:
        super().__init__()
        self.rows, self.positions = nn.Linear(8, width), nn.Embedding(8, width)
        self.layers = nn.ModuleList(Layer(width, alpha, norms) for _ in range(depth))
        self.head = nn.Linear(width, 10)

    def forward(self, images: Tensor) -> Tensor:
        x = self.rows(images.squeeze(1)) + self.positions.weight
        for layer in self.layers:
            x = layer(x)
        return self.head(x.mean(1))  # type: ignore[no-any-return]


def train(
    recipe: str, depth: int, norms: bool, alpha: float = 1.0, steps: int = 100, width: int = 32, rate: float = 1e-3
) -> tuple[float, float, float]:
    """(first loss, mean of the last ten losses, accuracy on the test images), Adam at its full rate from the first step."""
    net = Reader(depth, width, alpha, norms)
    chosen = initium.recipe(recipe) if recipe != "t-fixup" else initium.recipe(recipe, kind="one stack")
    initium.initialize(net, initium.Recipe([*chosen.rules, initium.Rule("positions.weight", initium.Normal(0.02))]), seed=0)
    data = digits()
    optimiser = torch.optim.Adam(net.parameters(), lr=rate)
    order = torch.Generator().manual_seed(0)
    losses = []
    for _ in range(steps):
        batch = torch.randint(len(data.train_labels), (32,), generator=order)
        loss = nn.functional.cross_entropy(net(data.train_images[batch]), data.train_labels[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    with torch.no_grad():
        right = net(data.test_images).argmax(1) == data.test_labels
    return losses[0], sum(losses[-10:]) / 10, float(right.float().mean())


def main() -> None:
    torch.set_num_threads(1)  # small tensors: two threads would wait for each other
    depth = 32
    print("network            start     first loss  last loss  accuracy    CPU s")
    cases = [
        ("post-norm, α x", "deepnorm", True, (2 * depth) ** 0.25),
        ("post-norm", "xavier", True, 1.0),
        ("no norms", "t-fixup", False, 1.0),
        ("no norms", "xavier", False, 1.0),
    ]
    for title, recipe, norms, alpha in cases:
        start = time.process_time()
        first, last, accuracy = train(recipe, depth, norms, alpha)
        print(f"{title:<17}  {recipe:<8}  {first:>10.4g}  {last:>9.4g}  {accuracy:>8.1%}  {time.process_time() - start:>7.0f}")


if __name__ == "__main__":
    main()
