"""U-nets that diffuse: ADM, Stable Diffusion, ControlNet, and EDM's two networks."""

from __future__ import annotations

from .._recipe import Recipe, named
from .._rules import Rule
from ..initializers import KaimingUniform, Keep, Normal, Uniform, XavierUniform
from ._models import over_torch

_ADM = (  # zero_module in the source: the residual block's last convolution, the attention's last map, the network's last convolution
    Rule("**.out_layers.3.{weight,bias}", 0),
    Rule("**.proj_out.{weight,bias}", 0, optional=True),
    Rule("re:(.*\\.)?out\\.2\\.(weight|bias)", 0, optional=True),
)


@named("adm", "guided-diffusion")
def adm() -> Recipe:
    """Torch's own start, and 0 in the last layer of every residual block and attention and of the network itself.

    Use when: training the U-net of improved or guided diffusion, or another that has its names.
    Not when: the network is EDM's copy, which has other names: ``edm-adm``.

    Raises:
        RuleError: no ``out_layers.3``: the residual blocks have other names.

    Example:
        >>> block = nn.ModuleDict({"out_layers": nn.Sequential(nn.GroupNorm(4, 8), nn.SiLU(), nn.Dropout(), nn.Conv2d(8, 8, 3))})
        >>> plan = initium.plan(nn.ModuleDict({"block": block}), "adm", seed=0)
        >>> plan["block.out_layers.3.weight"].mean, plan["block.out_layers.3.bias"].mean
        (0, 0)

    Source: openai/guided-diffusion, guided_diffusion/unet.py, ``zero_module``; Dhariwal & Nichol 2021 (2105.05233).
    """
    return over_torch(*_ADM)


@named("stable-diffusion", "ldm")
def stable_diffusion() -> Recipe:
    """As ``adm``, and 0 in the ``proj_out`` of every spatial transformer, so that text changes nothing at first.

    The names of the original code are found, and those of diffusers, whose UNet2DConditionModel sets none of them to 0.

    Use when: training the U-net of latent diffusion from scratch.
    Not when: you compare with a net that diffusers has constructed: that is torch's own start, ``torch``.

    Raises:
        RuleError: neither ``proj_out`` nor, in diffusers' words, ``conv2`` of a residual block.

    Example:
        >>> net = nn.ModuleDict({"attn": nn.ModuleDict({"proj_in": nn.Conv2d(8, 8, 1), "proj_out": nn.Conv2d(8, 8, 1)})})
        >>> plan = initium.plan(net, "stable-diffusion", seed=0)
        >>> plan["attn.proj_out.weight"].mean, plan["attn.proj_in.weight"].initializer.b
        (0, 0.35355339059327373)

    Source: CompVis/latent-diffusion, ldm/modules/diffusionmodules/openaimodel.py and ldm/modules/attention.py, ``zero_module``; Rombach et
    al. 2022 (2112.10752).
    """
    return over_torch(
        Rule("re:(.*\\.)?(proj_out|out_layers\\.3|out\\.2|resnets\\.\\d+\\.conv2|conv_out)\\.(weight|bias)", 0),
    )


@named("controlnet")
def controlnet() -> Recipe:
    """0 in every convolution that leads from the copy into the frozen network, and in the last of the hint; everything else kept.

    Use when: a ControlNet's encoder has been copied from a loaded U-net and its zero convolutions are to be made.
    Not when: the whole network is to be drawn.

    Raises:
        RuleError: no zero convolutions by the names of the source or of diffusers.

    Example:
        >>> net = nn.ModuleDict({"body": nn.Conv2d(8, 8, 3), "controlnet_down_blocks": nn.ModuleList([nn.Conv2d(8, 8, 1)])})
        >>> plan = initium.plan(net, "controlnet", seed=0)
        >>> plan["controlnet_down_blocks.0.weight"].mean, plan["body.weight"].kind
        (0, 'kept')

    Source: lllyasviel/ControlNet, cldm/cldm.py, ``make_zero_conv``; huggingface/diffusers, models/controlnets/controlnet.py,
    ``zero_module``; Zhang et al. 2023 (2302.05543).
    """
    names = (
        r"zero_convs\.\d+\.0|middle_block_out\.0|input_hint_block\.14|controlnet_down_blocks\.\d+|controlnet_mid_block|"
        r"controlnet_cond_embedding\.conv_out"
    )
    return Recipe([Rule("**", Keep(), optional=True), Rule(rf"re:(.*\.)?({names})\.(weight|bias)", 0)])


@named("ddpmpp", "ncsnpp", "edm-ddpmpp")
def ddpmpp() -> Recipe:
    """Xavier uniform, × 10⁻⁵ in the last layer of every residual block, attention and output, × √0.2 in q, k and v; biases 0.

    q, k and v are one matrix to Xavier, as in the source.

    Use when: training DDPM++ or NCSN++ as EDM does.
    Not when: the network is ADM: ``edm-adm``.

    Raises:
        RuleError: no ``conv1``: the residual blocks have other names.

    Example:
        >>> plan = initium.plan(nn.ModuleDict({"conv0": nn.Conv2d(8, 8, 3), "conv1": nn.Conv2d(8, 8, 3)}), "ddpmpp", seed=0)
        >>> round(plan["conv0.weight"].std, 9), round(plan["conv1.weight"].std / plan["conv0.weight"].std, 12)
        (0.11785113, 1e-05)

    Source: NVlabs/edm, training/networks.py, ``SongUNet``; Song et al. 2021 (2011.13456).
    """
    quarter = "sqrt(0.2) * sqrt(6 / (fan_in + numel / fan_in))"  # packed: (3 c, c) as one
    return over_torch(
        Rule("**.weight", XavierUniform(), ndim=(2, 4), optional=True),
        Rule("**.bias", 0, optional=True),
        Rule("**qkv.weight", Uniform(f"-{quarter}", quarter), optional=True),
        Rule("re:(.*\\.)?(conv1|proj|[^.]*_aux_conv)\\.weight", XavierUniform(1e-5)),
    )


@named("edm-adm")
def edm_adm() -> Recipe:
    """Weights and biases U(±1 / √fan_in), labels N(0, 1), and 0 in the last layer of every residual block, attention and output.

    The first is torch's own law, for the weights and the biases of torch's own layers. EDM has layer classes of its own: their biases, which no
    shape gives a fan, are kept as their constructor drew them.

    Use when: training ADM as EDM does.
    Not when: the code is OpenAI's, with ``out_layers`` for its names: ``adm``.

    Raises:
        RuleError: no ``conv1``: the residual blocks have other names.

    Example:
        >>> plan = initium.plan(nn.ModuleDict({"map_label": nn.Linear(10, 8, bias=False), "conv1": nn.Conv2d(8, 8, 3)}), "edm-adm", seed=0)
        >>> plan["map_label.weight"].std, plan["conv1.weight"].mean
        (1.0, 0)

    Source: NVlabs/edm, training/networks.py, ``DhariwalUNet``; Dhariwal & Nichol 2021 (2105.05233).
    """
    law = KaimingUniform(a=5**0.5)
    return over_torch(
        Rule("**.weight", law, ndim=(2, 4), optional=True),
        Rule("**map_label.weight", Normal(1.0), optional=True),  # √K · √(1 / fan_in), and its fan_in is K
        Rule("re:(.*\\.)?(conv1|proj|out_conv|map_augment)\\.(weight|bias)", 0),
    )
