"""Way 1, a tensor: the functions of torch.nn.init, under the same names. Run it: python examples/1_tensor.py"""

import torch

from initium import XavierNormal, init

torch.manual_seed(0)

w = torch.empty(3, 4)
init.xavier_uniform_(w, gain=1)
print(w)

# The numbers hang on the place of an element, so a larger tensor starts with the same ones …
torch.manual_seed(0)
print(init.normal_(torch.empty(4)))
torch.manual_seed(0)
print(init.normal_(torch.empty(8)))

# … and a bf16 tensor holds the fp32 numbers, rounded once.
torch.manual_seed(0)
print(init.normal_(torch.empty(4, dtype=torch.bfloat16)))

# An initializer is the same as a value; called on a shape, it makes a tensor.
print(XavierNormal(gain=2)(2, 3))
