"""Real models, from their configurations: one entry for each tensor, drawn as planned, the same on every build."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from _shim import library
from torch import nn

import initium

TORCHVISION = """
alexnet vgg11_bn resnet18 resnext50_32x4d wide_resnet50_2 densenet121 squeezenet1_1 googlenet inception_v3 mobilenet_v2
mobilenet_v3_small mnasnet0_5 shufflenet_v2_x0_5 efficientnet_b0 efficientnet_v2_s regnet_y_400mf convnext_tiny vit_b_16
swin_t swin_v2_t maxvit_t fcn_resnet50 deeplabv3_mobilenet_v3_large lraspp_mobilenet_v3_large r3d_18 s3d mvit_v2_s
raft_small
""".split()  # noqa: SIM905
TIMM = """
resnet26 vit_tiny_patch16_224 deit3_small_patch16_224 beit_base_patch16_224 swin_tiny_patch4_window7_224 convnext_atto
convnextv2_atto efficientnet_b0 mobilenetv3_small_050 mixer_s32_224 resmlp_12_224 levit_128s xcit_nano_12_p16_224
cait_xxs24_224 edgenext_xx_small gmixer_12_224 coatnet_nano_rw_224 maxvit_pico_rw_256 eva02_tiny_patch14_224 nfnet_f0
botnet26t_256 tf_efficientnet_b0 repvgg_a0 ghostnet_050 hrnet_w18_small fastvit_t8 poolformer_s12 twins_svt_small
""".split()  # noqa: SIM905
TRANSFORMERS = """
gpt2 bert llama t5 mistral mixtral qwen2 gemma mamba vit clip whisper wav2vec2 roberta distilbert albert electra
deberta-v2 bart opt bloom gpt_neox falcon phi3 swin convnext segformer detr dinov2
""".split()  # noqa: SIM905
SMALL = {
    "hidden_size": 32, "d_model": 32, "n_embd": 32, "dim": 32, "embed_dim": 32, "intermediate_size": 48, "d_ff": 48, "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48, "ffn_dim": 48, "num_hidden_layers": 2, "n_layer": 2, "n_layers": 2, "num_layers": 2, "encoder_layers": 2,
    "decoder_layers": 2, "num_attention_heads": 4, "n_head": 4, "n_heads": 4, "num_heads": 4, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 64, "d_kv": 8, "head_dim": 8, "max_position_embeddings": 32,
    "num_local_experts": 2, "state_size": 4, "word_embed_proj_dim": 32, "embedding_size": 16,
}  # fmt: skip


def from_config(kind: str) -> nn.Module:
    """A small model of that type; knobs that the configuration does not have are left out."""
    transformers = library("transformers")
    config = transformers.CONFIG_MAPPING[kind]()
    if kind not in ("swin", "convnext", "segformer", "detr", "clip", "wav2vec2"):
        small = {name: value for name, value in SMALL.items() if isinstance(getattr(config, name, None), int)}
        if kind == "falcon":  # computed there
            del small["head_dim"]
        config = transformers.CONFIG_MAPPING[kind](**small)
        for special in ("pad_token_id", "bos_token_id", "eos_token_id"):
            if isinstance(getattr(config, special, None), int):
                setattr(config, special, 0)
    if kind == "detr":
        config.use_timm_backbone = False
    return transformers.AutoModel.from_config(config)  # type: ignore[no-any-return]


MODELS = {
    **{f"torchvision-{name}": lambda n=name: torchvision_model(n) for name in TORCHVISION},
    **{f"timm-{name}": lambda n=name: library("timm").create_model(n) for name in TIMM},
    **{f"hf-{name}": lambda n=name: from_config(n) for name in TRANSFORMERS},
}


def torchvision_model(name: str) -> nn.Module:
    knobs: dict[str, Any] = {"weights": None}
    if name in ("fcn_resnet50", "deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large"):
        knobs["weights_backbone"] = None
    if name in ("googlenet", "inception_v3"):
        knobs["init_weights"] = False
    return library("torchvision").models.get_model(name, **knobs)  # type: ignore[no-any-return]


pytestmark = pytest.mark.filterwarnings("ignore")  # the libraries' own


@pytest.mark.parametrize("name", MODELS)
def test_every_tensor_of_a_real_model_has_one_entry(name: str) -> None:
    build: Callable[[], nn.Module] = MODELS[name]
    with torch.device("meta" if name != "torchvision-regnet_y_400mf" else "cpu"):  # it computes widths by tensors
        model = build()
    plan = initium.plan(model, "he", seed=0)
    assert set(plan) >= {n for n, _ in model.named_parameters(remove_duplicate=False) if "parametrizations" not in n}
    assert set(plan) >= {n for n, _ in model.named_buffers(remove_duplicate=False)}
    bare = sum(math.prod(e.shape) for e in plan.values() if e.role == "parameter" and len(e.shape) > 1 and not e.is_buffer)
    matrices = sum(p.numel() for p in model.parameters() if p.dim() > 1)
    assert bare < 0.2 * matrices, "matrices are claimed as weights, few are kept as bare parameters"
    drawn = {name: entry for name, entry in plan.items() if entry.kind == "drawn"}
    assert drawn
    for name, entry in drawn.items():
        assert entry.fan_in, name
        assert entry.std == pytest.approx(math.sqrt(2 / entry.fan_in)), name


@pytest.mark.parametrize("name", ["torchvision-resnet18", "timm-vit_tiny_patch16_224", "hf-gpt2", "hf-t5"])
def test_a_real_model_is_drawn_as_planned_and_the_same_again(name: str) -> None:
    build: Callable[[], nn.Module] = MODELS[name]
    model = build()
    plan = initium.initialize(model, "xavier", seed=0)
    count = sum(entry.kind == "drawn" for entry in plan.values())
    for slot_name, tensor in model.state_dict().items():
        entry = plan[slot_name]
        if entry.kind == "drawn" and tensor.numel() > 1000:
            z = (float(tensor.double().var()) / entry.std**2 - 1) / math.sqrt(2 / tensor.numel())  # type: ignore[operator]
            assert abs(z) < 5.5, f"{slot_name}: fails by chance once in 2.6e7 tensors, here {count}"
    again = build()
    initium.initialize(again, "xavier", seed=0)
    kept = {name for name, entry in plan.items() if entry.kind == "kept"}
    for name, tensor in model.state_dict().items():
        if name not in kept and plan[name].tied_to not in kept:
            assert torch.equal(tensor, again.state_dict()[name]), name


@pytest.mark.parametrize("name", ["he", "xavier", "lecun", "orthogonal", "normal", "torch", "resnet-2015", "xavier-all"])
def test_every_recipe_runs_on_a_real_model(name: str) -> None:
    model = library("torchvision").models.resnet18()
    plan = initium.initialize(model, name, seed=0)
    assert len(plan) == len(model.state_dict())
    assert all(bool(t.isfinite().all()) for t in model.state_dict().values())
