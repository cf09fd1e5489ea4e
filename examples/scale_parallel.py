"""Meta → parallelise → to_empty → plan.apply → train, as torchtitan does it, on any number of processes.

Run it: torchrun --nproc-per-node 4 examples/scale_parallel.py       (or 1, or 2: the same losses)
"""

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

import initium


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down(torch.relu(self.up(self.norm(x))))


class Net(nn.Module):
    def __init__(self, words: int = 100, width: int = 32, depth: int = 3) -> None:
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.head = nn.Linear(width, words)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.words(tokens)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


dist.init_process_group("gloo")
world = dist.get_world_size()
tensor = 2 if world > 1 else 1
mesh = init_device_mesh("cpu", (world // tensor, tensor), mesh_dim_names=("data", "tensor"))

# The model's own initialisation as a plan; the model itself is a skeleton on meta.
model, plan = initium.capture(Net, seed=0)

# Parallelise the skeleton.
for block in model.blocks:
    parallelize_module(block, mesh["tensor"], {"up": ColwiseParallel(), "down": RowwiseParallel()})
    fully_shard(block, mesh=mesh["data"])
fully_shard(model, mesh=mesh["data"])

# Memory, then the values: each rank draws its own part, and no rank waits for another.
model.to_empty(device="cpu")
plan.apply(model)
whole = initium.fingerprint(model, group=dist.group.WORLD)

# Two steps; each data-parallel rank takes its share of one batch.
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
batch = torch.arange(8 * 16).view(8, 16) * 37 % 100
mine = batch.chunk(world // tensor)[mesh["data"].get_local_rank()]
losses = []
for _ in range(2):
    loss = nn.functional.cross_entropy(model(mine[:, :-1]).flatten(0, 1), mine[:, 1:].flatten())
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    mean = loss.detach().clone()
    dist.all_reduce(mean)
    losses.append(f"{mean.item() / world:.4f}")
if dist.get_rank() == 0:
    print(f"losses {' '.join(losses)}, fingerprint {whole}")
dist.destroy_process_group()
