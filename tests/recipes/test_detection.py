"""Detectors: torchvision's plans are those captured from torchvision; detectron2's numbers by hand, on modules with its names."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest
from torch import nn

sys.path.insert(0, str(Path(__file__).parent.parent / "zoo"))
from _shim import library
from parity import check

import initium

PRIOR = -4.59511985013459  # −log(0.99 / 0.01)
MODELS = [
    ("torchvision-retinanet", "retinanet_resnet50_fpn"),
    ("torchvision-retinanet", "retinanet_resnet50_fpn_v2"),
    ("torchvision-retinanet", "fcos_resnet50_fpn"),
    ("torchvision-faster-rcnn", "fasterrcnn_resnet50_fpn"),
    ("torchvision-faster-rcnn", "fasterrcnn_resnet50_fpn_v2"),
    ("torchvision-faster-rcnn", "maskrcnn_resnet50_fpn"),
    ("torchvision-faster-rcnn", "keypointrcnn_resnet50_fpn"),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("recipe", "model"), MODELS)
def test_the_recipe_is_what_the_library_does(recipe: str, model: str) -> None:
    library("torchvision")
    detection = library("torchvision.models.detection")
    plan = check(recipe, getattr(detection, model), weights=None, weights_backbone=None)
    biases = [entry.mean for name, entry in plan.items() if name.endswith("cls_logits.bias") and "head.class" in name]
    assert biases == [pytest.approx(PRIOR, rel=1e-12)] * ("retinanet" in recipe)


def tree(names: dict[str, nn.Module]) -> nn.Module:
    """Modules by their dotted names."""
    root = nn.Module()
    for name, module in names.items():
        here = root
        *above, last = name.split(".")
        for part in above:
            if part not in here._modules:
                here.add_module(part, nn.Module())
            here = here._modules[part]  # type: ignore[assignment]
        here.add_module(last, module)
    return root


def test_detectron2() -> None:
    net = tree(
        {
            "backbone.bottom_up.res2.0.conv1": nn.Conv2d(8, 16, 3, bias=False),
            "backbone.fpn_lateral2": nn.Conv2d(16, 8, 1),
            "backbone.fpn_output2": nn.Conv2d(8, 8, 3),
            "backbone.top_block.p6": nn.Conv2d(8, 8, 3),
            "proposal_generator.rpn_head.conv": nn.Conv2d(8, 8, 3),
            "proposal_generator.rpn_head.objectness_logits": nn.Conv2d(8, 3, 1),
            "roi_heads.box_head.fc1": nn.Linear(12, 8),
            "roi_heads.box_head.conv1": nn.Conv2d(8, 8, 3),
            "roi_heads.box_predictor.cls_score": nn.Linear(8, 81),
            "roi_heads.box_predictor.bbox_pred": nn.Linear(8, 320),
            "roi_heads.mask_head.deconv": nn.ConvTranspose2d(8, 4, 2, 2),
            "roi_heads.mask_head.predictor": nn.Conv2d(4, 80, 1),
        }
    )
    plan = initium.plan(net, "detectron2", seed=0)
    expected = {
        "backbone.bottom_up.res2.0.conv1": math.sqrt(2 / (9 * 16)),
        "backbone.fpn_lateral2": 1 / math.sqrt(16),  # U(±√(3 / fan_in)); Glorot would be √(2 / 24)
        "backbone.fpn_output2": 1 / math.sqrt(72),
        "backbone.top_block.p6": 1 / math.sqrt(72),
        "proposal_generator.rpn_head.conv": 0.01,
        "proposal_generator.rpn_head.objectness_logits": 0.01,
        "roi_heads.box_head.fc1": 1 / math.sqrt(12),
        "roi_heads.box_head.conv1": math.sqrt(2 / 72),
        "roi_heads.box_predictor.cls_score": 0.01,
        "roi_heads.box_predictor.bbox_pred": 0.001,
        "roi_heads.mask_head.deconv": math.sqrt(2 / (8 * 4)),  # torch reads fan_out from axis 0, the inputs here
        "roi_heads.mask_head.predictor": 0.001,
    }
    for name, std in expected.items():
        assert plan[f"{name}.weight"].std == pytest.approx(std), name
        assert f"{name}.bias" not in plan or plan[f"{name}.bias"].mean == 0
    retina = tree({f"head.{name}": nn.Conv2d(8, 9, 3) for name in ("cls_subnet.0", "bbox_subnet.0", "cls_score", "bbox_pred")})
    plan = initium.plan(retina, "detectron2", seed=0)
    assert [entry.std for name, entry in plan.items() if name.endswith("weight")] == [0.01] * 4
    assert {name: entry.mean for name, entry in plan.items() if entry.mean} == {"head.cls_score.bias": pytest.approx(PRIOR)}


@pytest.mark.parametrize("name", ["torchvision-retinanet", "torchvision-faster-rcnn", "detectron2"])
def test_another_network_is_an_error(name: str) -> None:
    with pytest.raises(initium.InitiumError, match="match nothing"):
        initium.plan(nn.Sequential(nn.Conv2d(3, 8, 3)), name, seed=0)
