"""Adapters beside frozen weights: LoRA. Everything that is not an adapter is kept as it is loaded."""

from __future__ import annotations

from .._errors import ArgumentError, nearest
from .._recipe import Recipe, named
from .._rules import Rule
from ..initializers import Initializer, Keep, Normal
from ._models import TORCH_BOUND

# lora_A, lora_A.weight, and PEFT's lora_A.<adapter>.weight; torchtune's lora_a, kohya's lora_down. PEFT's tables: lora_embedding_A.<adapter>
_A, _B, _ANY = (rf"re:(.*\.)?lora_({which})(\..+)?" for which in ("A|a|down", "B|b|up", "(embedding_)?(A|B)|a|b|down|up"))
_TABLE_A, _TABLE_B = (rf"re:(.*\.)?lora_embedding_{which}(\..+)?" for which in "AB")
STARTS = ("kaiming", "gaussian")


@named("lora")
def lora(start: str = "kaiming") -> Recipe:
    """A ~ U(±1 / √fan_in), B = 0, so B A adds nothing at first; embeddings: A = 0, B ~ N(0, 1); everything else kept.

    For adapters by their names, ``lora_A`` and ``lora_B`` (PEFT, loralib), ``lora_a`` and ``lora_b`` (torchtune), ``lora_down`` and ``lora_up``
    (kohya), each a layer or a bare (r, in) and (out, r) parameter. The scale α / r (rsLoRA: α / √r) is the model's.

    Use when: fine-tuning by low-rank adapters, in particular where they are made on meta and the base is loaded.
    Not when: A and B are to come from the base weights (PiSSA, OLoRA, LoRA-GA, EVA): those are computations on a loaded model.

    Args:
        start: ``"kaiming"``, or ``"gaussian"``: A ~ N(0, 1 / r²).

    Raises:
        RuleError: no adapters: none of these names in the model.

    Example:
        >>> class LoRA(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.base, self.lora_A, self.lora_B = nn.Linear(64, 96), nn.Linear(64, 8, bias=False), nn.Linear(8, 96, bias=False)
        >>> plan = initium.plan(LoRA(), "lora", seed=0)
        >>> plan["lora_A.weight"].initializer.b, plan["lora_B.weight"].mean, plan["base.weight"].kind
        (0.125, 0, 'kept')

    Source: Hu et al. 2021 (2106.09685); huggingface/peft, tuners/lora/layer.py, ``reset_lora_parameters``, which has N(0, 1 / r²) for
    "gaussian"; microsoft/LoRA, loralib/layers.py. The paper says a normal for A; both code bases have kaiming_uniform_(a=√5).
    """
    if start not in STARTS:
        raise ArgumentError(
            f"start {start!r} not supported.{nearest(str(start), STARTS)} Please use one of {', '.join(STARTS)}"
        )
    a: Initializer = TORCH_BOUND
    if start == "gaussian":
        a = Normal("fan_in / numel")  # numel = r · fan_in
    return Recipe(
        [
            Rule("**", Keep(), optional=True),
            Rule(_ANY, Keep()),  # an error where there are no adapters
            Rule(_A, a, ndim=(2, 3, 4, 5), optional=True),
            Rule(_B, 0, optional=True),
            Rule(_TABLE_A, 0, optional=True),
            Rule(_TABLE_B, Normal(1.0), optional=True),
        ]
    )
