"""Detectors: torchvision's RetinaNet, FCOS, Faster, Mask and Keypoint R-CNN, and detectron2's."""

from __future__ import annotations

from torch import nn

from .._recipe import Recipe, named
from .._rules import Rule
from ..initializers import KaimingUniform, Normal, PriorBias
from ._models import CONV, FAN_OUT, over_torch

_WEIGHT, _BIAS = r"(.+\.)?weight", r"(.+\.)?bias"
_TRANSPOSED = Normal(
    "sqrt(2 / fan_in)"
)  # kaiming_normal_(fan_out) of a transposed convolution: the shape's first axis is its inputs
_C2_XAVIER = KaimingUniform(a=1.0)  # U(±√(3 / fan_in)): Caffe2's Xavier, and not Glorot's
_PYRAMID = r"re:(.*\.)?fpn\."


def _torchvision(*rules: Rule) -> Recipe:
    """A ResNet and a pyramid as torchvision has them, under the heads."""
    return over_torch(
        Rule(r"re:(.*\.)?body\..*", FAN_OUT, role="weight", ndim=4, optional=True),
        Rule(_PYRAMID + _WEIGHT, _C2_XAVIER, ndim=4, optional=True),
        Rule(_PYRAMID + _BIAS, 0, role="bias", optional=True),
        *rules,
    )


@named("torchvision-retinanet", "retinanet", "torchvision-fcos")
def retinanet(prior: float = 0.01) -> Recipe:
    """Heads N(0, 0.01²), biases 0 but those of classes −log((1 − π) / π); pyramid U(±√(3 / fan_in)); backbone as ``torchvision-resnet``.

    Each of some 100,000 anchors then starts as an object with probability π, so that the loss of the background does not drown the rest.

    Use when: training RetinaNet or FCOS as torchvision does.
    Not when: the backbone's weights are loaded: say ``only=`` what the checkpoint did not bring.

    Args:
        prior: π.

    Raises:
        RuleError: no ``cls_logits`` in a ``classification_head``.

    Example:
        >>> head = nn.ModuleDict({"classification_head": nn.ModuleDict({"cls_logits": nn.Conv2d(8, 18, 3)})})
        >>> plan = initium.plan(nn.ModuleDict({"head": head}), "torchvision-retinanet", seed=0)
        >>> plan["head.classification_head.cls_logits.weight"].std, plan["head.classification_head.cls_logits.bias"].mean
        (0.01, -4.59511985013459)

    Source: torchvision/models/detection/retinanet.py and fcos.py, ops/feature_pyramid_network.py; Lin et al. 2017 (1708.02002), section 4.1.
    """
    head = r"re:(.*\.)?(classification_head|regression_head)\."
    return _torchvision(
        Rule(head + _WEIGHT, Normal(0.01), ndim=4, optional=True),
        Rule(head + _BIAS, 0, role="bias", optional=True),
        Rule(r"re:(.*\.)?classification_head\.cls_logits\.bias", PriorBias(prior)),
    )


@named("torchvision-faster-rcnn", "torchvision-mask-rcnn", "torchvision-keypoint-rcnn")
def faster_rcnn() -> Recipe:
    """Proposals N(0, 0.01²), biases 0; convolutions of box, mask and keypoint heads N(0, 2 / fan_out); dense layers as torch has them.

    Pyramid U(±√(3 / fan_in)); backbone as ``torchvision-resnet``.

    Use when: training Faster, Mask or Keypoint R-CNN as torchvision does.
    Not when: as detectron2 does, whose dense layers and predictors start otherwise: ``detectron2``.

    Raises:
        RuleError: no ``rpn.head``.

    Example:
        >>> net = nn.ModuleDict({"rpn": nn.ModuleDict({"head": nn.ModuleDict({"cls_logits": nn.Conv2d(8, 3, 1)})})})
        >>> initium.plan(net, "torchvision-faster-rcnn", seed=0)["rpn.head.cls_logits.weight"].std
        0.01

    Source: torchvision/models/detection/rpn.py, faster_rcnn.py, mask_rcnn.py and keypoint_rcnn.py. The mask predictor's biases are torch's: the
    line that sets them to 0 is a comment there.
    """
    heads = r"re:(.*\.)?roi_heads\.(box_head|mask_head|keypoint_head|mask_predictor|keypoint_predictor)\."
    return _torchvision(
        Rule(r"re:(.*\.)?rpn\.head\." + _WEIGHT, Normal(0.01)),
        Rule(r"re:(.*\.)?rpn\.head\." + _BIAS, 0, optional=True),
        Rule(heads + _WEIGHT, FAN_OUT, ndim=4, optional=True),
        Rule(heads + _WEIGHT, _TRANSPOSED, type=nn.ConvTranspose2d, optional=True),
        Rule(r"re:(.*\.)?roi_heads\.(mask_head|keypoint_head|keypoint_predictor)\." + _BIAS, 0, role="bias", optional=True),
        Rule(r"re:(.*\.)?roi_heads\.box_head\." + _BIAS, 0, type=CONV, optional=True),
    )


@named("detectron2")
def detectron2(prior: float = 0.01) -> Recipe:
    """Convolutions N(0, 2 / fan_out), pyramid and dense layers U(±√(3 / fan_in)), proposals and classes N(0, 0.01²), boxes and masks 0.001.

    All biases 0, but those of RetinaNet's classes, −log((1 − π) / π). RetinaNet's heads are N(0, 0.01²) throughout.

    Use when: training Faster or Mask R-CNN or RetinaNet as detectron2 does.
    Not when: the backbone's weights are loaded: say ``only=`` what the checkpoint did not bring.

    Args:
        prior: π of RetinaNet.

    Raises:
        RuleError: none of its predictors: neither ``rpn_head`` nor ``cls_score``.

    Example:
        >>> predictor = nn.ModuleDict({"cls_score": nn.Linear(8, 81), "bbox_pred": nn.Linear(8, 320)})
        >>> net = nn.ModuleDict({"roi_heads": nn.ModuleDict({"box_predictor": predictor, "box_head": nn.ModuleDict({"fc1": nn.Linear(12, 8)})})})
        >>> plan = initium.plan(net, "detectron2", seed=0)
        >>> [plan[f"roi_heads.{name}.weight"].std for name in ("box_predictor.cls_score", "box_predictor.bbox_pred")]
        [0.01, 0.001]

    Source: facebookresearch/detectron2, modeling/backbone/fpn.py, roi_heads/box_head.py, fast_rcnn.py, mask_head.py and meta_arch/retinanet.py;
    fvcore, nn/weight_init.py: c2_xavier_fill is kaiming_uniform_(a=1), U(±√(3 / fan_in)), which is not Glorot's; c2_msra_fill is
    kaiming_normal_(mode="fan_out").
    """
    zero = Rule("**.bias", 0, role="bias", optional=True)
    retina = r"re:(.*\.)?head\.(cls_subnet|bbox_subnet|cls_score|bbox_pred)\."
    return over_torch(
        Rule(CONV, weight=FAN_OUT, optional=True),
        Rule(nn.ConvTranspose2d, weight=_TRANSPOSED, optional=True),
        zero,
        Rule(r"re:(.*\.)?(fpn_lateral\d+|fpn_output\d+|top_block\.p\d|box_head\.fc\d+)\.weight", _C2_XAVIER, optional=True),
        Rule(r"re:(.*\.)?(rpn_head\.(.+\.)?|cls_score\.)weight", Normal(0.01)),
        Rule(r"re:(.*\.)?box_predictor\.bbox_pred\.weight", Normal(0.001), optional=True),
        Rule(r"re:(.*\.)?mask_head\.predictor\.weight", Normal(0.001), optional=True),
        Rule(retina + _WEIGHT, Normal(0.01), ndim=4, optional=True),
        Rule(r"re:(.*\.)?head\.cls_score\.bias", PriorBias(prior), optional=True),
    )
