"""What kind of tensor is this, and can it be written? Only looks; never writes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

FLOATS = frozenset({torch.float32, torch.float64, torch.float16, torch.bfloat16})
COMPLEX = frozenset({torch.complex64, torch.complex128})
DRAWABLE = FLOATS | COMPLEX
_PLAIN = frozenset({Tensor, torch.nn.Parameter, torch.nn.Buffer})


def is_plain(tensor: Tensor) -> bool:
    """A tensor with memory of its own that a backend may write: no fake, meta, functorch-wrapped or wrapper-subclass tensor."""
    return (
        (type(tensor) in _PLAIN or not hasattr(type(tensor), "__tensor_flatten__") and not isinstance(tensor, FakeTensor))
        and not tensor.is_meta
        and tensor.layout is torch.strided
        and not torch._C._functorch.is_functorch_wrapped_tensor(tensor)
    )


def is_drawless(tensor: Tensor) -> bool:
    """A tensor that has no values: meta, fake or empty. Drop-ins leave it as it is, and draw nothing, as torch does."""
    return tensor.is_meta or isinstance(tensor, FakeTensor) or tensor.numel() == 0


def why_not_drawable(dtype: torch.dtype) -> str | None:
    """Why random values cannot be stored in this dtype, or None."""
    if dtype in DRAWABLE:
        return None
    if dtype.is_floating_point:
        return f"{str(dtype).removeprefix('torch.')} has no rounding rule here yet: draw in bfloat16 and quantise with your scale"
    return f"random values need a floating or complex dtype, not {str(dtype).removeprefix('torch.')}"


def why_not_writable(tensor: Tensor) -> str | None:
    """Why nothing can be written to this tensor, with the way out; or None."""
    if type(tensor) in _PLAIN and tensor.device.type != "meta" and tensor.layout is torch.strided and tensor.is_contiguous():
        if not (tensor.is_inference() or tensor.is_quantized):
            return None  # nearly every tensor there is, without the slower questions
    if isinstance(tensor, torch.nn.parameter.UninitializedTensorMixin):
        return "it is lazy and has no shape yet: run one forward pass first"
    if isinstance(tensor, FakeTensor):
        return "it is fake (FakeTensorMode) and has no memory: build the model outside that mode"
    if tensor.is_meta:
        return "it is on meta and has no memory: call model.to_empty(device=…) first, or use initium.build"
    if tensor.is_inference() and not torch.is_inference_mode_enabled():
        return "it is an inference tensor: build the model outside torch.inference_mode()"
    if tensor.is_quantized:
        return "it is quantised: initialise the floating model, then quantise"
    if tensor.layout is torch.strided and _overlaps(tensor):
        return "its elements share memory (an expanded view): call .clone() or .contiguous() first"
    return None


def _overlaps(tensor: Tensor) -> bool:
    """Whether two elements share memory; exact for what expand, view, slice and transpose make."""
    if tensor.is_contiguous():
        return False
    reach = 0
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size > 1:
            if stride <= reach:
                return True
            reach += stride * (size - 1)
    return False
