"""A model of transformers, sharded by fully_shard: its own initialisation on any number of processes, without building it once.

Run it: torchrun --nproc-per-node 4 examples/scale_transformers.py       (or 1, or 2: the same losses)
"""

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from transformers import LlamaConfig, LlamaForCausalLM

import initium

config = LlamaConfig(
    hidden_size=32, intermediate_size=88, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, vocab_size=100
)

dist.init_process_group("gloo")
world = dist.get_world_size()
mesh = init_device_mesh("cpu", (world,), mesh_dim_names=("data",))

model, plan = initium.capture(LlamaForCausalLM, config, seed=0)
for layer in model.model.layers:
    fully_shard(layer, mesh=mesh)
fully_shard(model, mesh=mesh)
model.to_empty(device="cpu")
plan.apply(model)  # parameters, and the rotary buffers that no state_dict has
whole = initium.fingerprint(model, group=dist.group.WORLD)

optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
batch = torch.arange(8 * 16).view(8, 16) * 37 % 100
mine = batch.chunk(world)[dist.get_rank()]
losses = []
for _ in range(2):
    loss = model(input_ids=mine, labels=mine).loss
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    mean = loss.detach().clone()
    dist.all_reduce(mean)
    losses.append(f"{mean.item() / world:.4f}")
if dist.get_rank() == 0:
    print(f"losses {' '.join(losses)}, fingerprint {whole}")
dist.destroy_process_group()
