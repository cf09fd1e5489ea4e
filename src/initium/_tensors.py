"""What kind of tensor is this, and can it be written? Only looks; never writes."""

from __future__ import annotations

import math
import sys

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn.parameter import UninitializedTensorMixin  # type: ignore[attr-defined]

FLOATS = frozenset({torch.float32, torch.float64, torch.float16, torch.bfloat16})
COMPLEX = frozenset({torch.complex64, torch.complex128})
DRAWABLE = FLOATS | COMPLEX
_STRIDED = torch.strided
_PLAIN = frozenset({Tensor, torch.nn.Parameter, torch.nn.Buffer})


def is_plain(tensor: Tensor) -> bool:
    """A tensor with memory of its own that a backend may write: no fake, meta, functorch-wrapped or wrapper-subclass tensor."""
    return (
        (type(tensor) in _PLAIN or (not hasattr(type(tensor), "__tensor_flatten__") and not isinstance(tensor, FakeTensor)))
        and not tensor.is_meta
        and tensor.layout is torch.strided
        and not torch._C._functorch.is_functorch_wrapped_tensor(tensor)
    )


def is_dtensor(tensor: Tensor) -> bool:
    """A DTensor: this process holds a part of it. Nothing is imported to find out."""
    if type(tensor) in _PLAIN:
        return False
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)


def is_drawless(tensor: Tensor) -> bool:
    """A tensor that has no values: meta, fake or empty. Drop-ins leave it as it is, and draw nothing, as torch does."""
    local = tensor._local_tensor if is_dtensor(tensor) else tensor  # type: ignore[attr-defined]
    return tensor.is_meta or isinstance(local, FakeTensor) or tensor.numel() == 0


def why_not_drawable(dtype: torch.dtype) -> str | None:
    """Why random values cannot be stored in this dtype, or None."""
    if dtype in DRAWABLE:
        return None
    if dtype.is_floating_point:
        return (
            f"{str(dtype).removeprefix('torch.')} has no rounding rule here yet: draw in bfloat16 and quantise with your scale"
        )
    return f"random values need a floating or complex dtype, not {str(dtype).removeprefix('torch.')}"


def address(tensor: Tensor) -> int:
    """Where the elements of a plain tensor lie; 0 for one that has no memory of its own: meta, empty, fake, sparse, a subclass, wrapped."""
    try:
        return tensor.data_ptr() if type(tensor) in _PLAIN and tensor.layout is _STRIDED else 0
    except RuntimeError:  # by vmap, grad, …
        return 0


def is_writable_run(tensor: Tensor) -> bool:
    """Of a tensor that has an address: its elements lie one behind the other as they are shown, and may be written."""
    return tensor.is_contiguous() and not (tensor.is_neg() or tensor.is_inference())


def is_ordinary(tensor: Tensor) -> bool:
    """A real tensor in memory of its own that can be written from end to end, as nearly all are: told without the slower questions."""
    return tensor.dtype in FLOATS and address(tensor) != 0 and is_writable_run(tensor)


def why_not_writable(tensor: Tensor) -> str | None:
    """Why nothing can be written to this tensor, with the way out; or None."""
    if is_ordinary(tensor):
        return None
    if is_dtensor(tensor):
        return why_not_writable(tensor._local_tensor)  # type: ignore[attr-defined]
    if isinstance(tensor, UninitializedTensorMixin):
        return "it is lazy and has no shape yet: run one forward pass first"
    if isinstance(tensor, FakeTensor):
        return "it is fake (FakeTensorMode) and has no memory: build the model outside that mode"
    if tensor.is_meta:
        return "it is on meta and has no memory: call model.to_empty(device=…) first, or use initium.build"
    if tensor.is_inference() and not torch.is_inference_mode_enabled():
        return "it is an inference tensor: build the model outside torch.inference_mode()"
    if tensor.layout is not torch.strided:
        return f"it is sparse ({tensor.layout}): initialise a dense tensor, then make that sparse"
    if tensor.is_quantized:
        return "it is quantised: initialise the floating model, then quantise"
    if tensor.layout is torch.strided and _overlaps(tensor):
        return "its elements share memory (an expanded view): call .clone() or .contiguous() first"
    return None


def why_unreadable(wrapper: nn.Module) -> str | None:
    """Why the tensors below a wrapper are not those of the model: FullyShardedDataParallel (FSDP1) flattens and cuts them."""
    handle = getattr(wrapper, "_handle", None)
    flat = getattr(handle, "flat_param", None)
    if flat is None or handle is None or not handle.uses_sharded_strategy or not handle.is_sharded(flat):
        return None
    return _FSDP1


def why_placeholder(tensor: Tensor) -> str | None:
    """Why a tensor of 0 elements is not the model's: DeepSpeed ZeRO-3 or FSDP1 has put its values elsewhere."""
    if tensor.numel():
        return None
    if getattr(tensor, "_fsdp_flattened", False):
        return f"it is a placeholder with 0 elements: {_FSDP1}"
    sizes = getattr(tensor, "ds_shape", (0,))
    if not (getattr(tensor, "ds_numel", 0) or math.prod(sizes)):
        return None
    return (
        "it is a placeholder of DeepSpeed ZeRO-3, with 0 elements: do this within "
        "`with deepspeed.zero.GatheredParameters(list(model.parameters()), modifier_rank=0):`, or before deepspeed.initialize"
    )


def why_flat(module: nn.Module) -> str | None:
    """Why a module's parameters are not its own: FSDP1 without ``use_orig_params`` has made one long tensor of them."""
    return _FSDP1 if getattr(module._parameters.get("_flat_param"), "_is_flat_param", False) else None


_FSDP1 = (
    "FullyShardedDataParallel (FSDP1) has flattened and cut the parameters below it: initialise before wrapping, or within "
    "`with FullyShardedDataParallel.summon_full_params(model):`, or shard with torch.distributed.fsdp.fully_shard"
)


def unexpanded(tensor: Tensor) -> Tensor:
    """The elements that an expanded view repeats, each once, in the same number of axes."""
    repeats = [stride == 0 and size > 1 for size, stride in zip(tensor.shape, tensor.stride(), strict=True)]
    return tensor[tuple(slice(0, 1) if repeat else slice(None) for repeat in repeats)]


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
