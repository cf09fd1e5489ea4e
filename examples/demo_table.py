"""The results of the demo alone: five starts, six epochs each. Run it: python examples/demo_table.py"""

import torch
from rich.console import Console

from initium.demo.digits import digits
from initium.demo.starts import STARTS
from initium.demo.story import results
from initium.demo.training import train

data = digits()
with torch.random.fork_rng(devices=[]):
    runs = {name: train(name, start(), data) for name, start in STARTS.items()}
Console(highlight=False).print(results(runs))
