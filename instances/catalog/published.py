"""What others have published about each tier, and where.

Figures only: no weights, no code. A figure that its source rounds carries half
of its last digit, so that a count is compared with what the source could have
meant.
"""

from collections.abc import Callable
from dataclasses import dataclass

import classifiers as c
import detectors as d
from graph import Net
from text import bert

SOURCES = {
    "tv": "torchvision 0.29.2 weights metadata (BSD-3-Clause)",
    "timm": "pytorch-image-models (timm) results-imagenet and benchmark-infer tables, commit aa4b5850 (Apache-2.0)",
    "tfm": "tensorflow/models, research/slim/nets/mobilenet/README.md (Apache-2.0)",
    "ul": "Ultralytics 8.2.0 README table (published figures; FLOPs halved to MACs)",
    "bert": "Devlin et al., BERT, NAACL 2019, tables 1 and 2",
    "wrsl": "google-research/bert README, smaller BERT models (Turc et al., 2019)",
    "distil": "Sanh et al., DistilBERT, arXiv 1910.01108, table 2 and text",
    "tiny": "Jiao et al., TinyBERT, arXiv 1909.10351, SQuAD and GLUE tables",
    "mlp": "MLPerf Inference reference models, accuracy tables in the READMEs of mlcommons/inference",
    "omz": "OpenVINO Open Model Zoo, specifications of bert-large-uncased-whole-word-masking-squad (384 tokens) and ssd_mobilenet_v1_coco (operations halved to MACs)",
    "calc": "counted by instances/catalog/build_families.py from the published architecture",
}


@dataclass(frozen=True)
class Figure:
    """A published number; `half` is half a unit of its last digit."""

    value: float
    source: str
    half: float = 0.0


@dataclass(frozen=True)
class Tier:
    id: str
    accuracy: float
    accuracy_source: str
    build: Callable[[], Net]
    params: Figure | None = None
    macs: Figure | None = None
    note: str | None = None
    # The note explains why published and counted parameters differ by more
    # than the tolerance.
    params_differ: bool = False


@dataclass(frozen=True)
class Family:
    id: str
    name: str
    task: str
    metric: tuple[str, str]
    tiers: list[Tier]


def tv(id, accuracy, params, gmacs, build, note=None):
    """torchvision publishes exact parameter counts and GMACs to three digits."""
    return Tier(id, accuracy, "tv", build, Figure(params, "tv"),
                Figure(gmacs * 1e9, "tv", 0.5e6), note)  # fmt: skip


def timm(id, accuracy, mparams, gmacs, build, note=None):
    """timm publishes millions and GMACs to two digits."""
    return Tier(id, accuracy, "timm", build, Figure(mparams * 1e6, "timm", 5e3),
                Figure(gmacs * 1e9, "timm", 5e6), note)  # fmt: skip


IMAGENET = ("top-1", "ImageNet-1k validation")
COCO = ("mAP50-95", "COCO val2017")
CLASSIFY, DETECT = "image-classification", "object-detection"


def resnet(kind, *depths):
    return lambda: c.resnet(kind, depths)


RESNET = Family("resnet", "ResNet", CLASSIFY, IMAGENET, [
    tv("resnet-152", 82.284, 60192808, 11.514, resnet("bottleneck", 3, 8, 36, 3)),
    tv("resnet-101", 81.886, 44549160, 7.801, resnet("bottleneck", 3, 4, 23, 3)),
    tv("resnet-50", 80.858, 25557032, 4.089, resnet("bottleneck", 3, 4, 6, 3)),
    tv("resnet-34", 73.314, 21797672, 3.664, resnet("basic", 3, 4, 6, 3)),
    tv("resnet-18", 69.758, 11689512, 1.814, resnet("basic", 2, 2, 2, 2)),
])  # fmt: skip

VGG = Family("vgg", "VGG", CLASSIFY, IMAGENET, [
    tv("vgg-19-bn", 74.218, 143678248, 19.632, lambda: c.vgg((2, 2, 4, 4, 4))),
    tv("vgg-16-bn", 73.36, 138365992, 15.47, lambda: c.vgg((2, 2, 3, 3, 3))),
    tv("vgg-13-bn", 71.586, 133053736, 11.308, lambda: c.vgg((2, 2, 2, 2, 2))),
    tv("vgg-11-bn", 70.37, 132868840, 7.609, lambda: c.vgg((1, 1, 2, 2, 2))),
])  # fmt: skip

DENSENET = Family("densenet", "DenseNet", CLASSIFY, IMAGENET, [
    tv("densenet-161", 77.138, 28681000, 7.728, lambda: c.densenet(96, 48, (6, 12, 36, 24))),
    tv("densenet-201", 76.896, 20013928, 4.291, lambda: c.densenet(64, 32, (6, 12, 48, 32))),
    tv("densenet-169", 75.6, 14149480, 3.36, lambda: c.densenet(64, 32, (6, 12, 32, 32))),
    tv("densenet-121", 74.434, 7978856, 2.834, lambda: c.densenet(64, 32, (6, 12, 24, 16))),
])  # fmt: skip

MOBILENET_V2 = Family("mobilenet-v2", "MobileNetV2", CLASSIFY, IMAGENET, [
    timm("mobilenet-v2-120d", 77.3, 5.83, 0.69, lambda: c.mobilenet_v2(1.2, 1.4, True),
         "timm mobilenetv2_120d: width 1.2, depth 1.4, stem and head at width 1"),
    timm("mobilenet-v2-140", 76.528, 6.11, 0.60, lambda: c.mobilenet_v2(1.4)),
    timm("mobilenet-v2-110d", 75.056, 4.52, 0.45, lambda: c.mobilenet_v2(1.1, 1.2, True),
         "timm mobilenetv2_110d: width 1.1, depth 1.2, stem and head at width 1"),
    Tier("mobilenet-v2-100", 72.154, "tv", c.mobilenet_v2, Figure(3504872, "tv"),
         Figure(0.301e9, "tv", 0.5e6)),
    Tier("mobilenet-v2-075", 69.8, "tfm", lambda: c.mobilenet_v2(0.75),
         Figure(2.64e6, "timm", 5e3), Figure(209e6, "tfm", 0.5e6)),
    timm("mobilenet-v2-050", 65.928, 1.97, 0.10, lambda: c.mobilenet_v2(0.5)),
    Tier("mobilenet-v2-035", 60.3, "tfm", lambda: c.mobilenet_v2(0.35),
         Figure(1.68e6, "timm", 5e3), Figure(59e6, "tfm", 0.5e6)),
])  # fmt: skip

MOBILENET_V3 = Family("mobilenet-v3", "MobileNetV3", CLASSIFY, IMAGENET, [
    tv("mobilenet-v3-large-100", 75.274, 5483032, 0.217, lambda: c.mobilenet_v3(c.V3_LARGE)),
    timm("mobilenet-v3-large-075", 73.442, 3.99, 0.16, lambda: c.mobilenet_v3(c.V3_LARGE, 0.75)),
    tv("mobilenet-v3-small-100", 67.668, 2542856, 0.057, lambda: c.mobilenet_v3(c.V3_SMALL)),
    timm("mobilenet-v3-small-075", 65.706, 2.04, 0.05, lambda: c.mobilenet_v3(c.V3_SMALL, 0.75)),
    timm("mobilenet-v3-small-050", 57.918, 1.59, 0.03, lambda: c.mobilenet_v3(c.V3_SMALL, 0.5)),
])  # fmt: skip

EFFICIENTNET = Family("efficientnet", "EfficientNet", CLASSIFY, IMAGENET, [
    tv("efficientnet-b4", 83.384, 19341616, 4.394, lambda: c.efficientnet(1.4, 1.8, 380)),
    tv("efficientnet-b3", 82.008, 12233232, 1.827, lambda: c.efficientnet(1.2, 1.4, 300)),
    tv("efficientnet-b2", 80.608, 9109994, 1.088, lambda: c.efficientnet(1.1, 1.2, 288)),
    tv("efficientnet-b1", 79.838, 7794184, 0.687, lambda: c.efficientnet(1.0, 1.1, 240)),
    tv("efficientnet-b0", 77.692, 5288548, 0.386, lambda: c.efficientnet(1.0, 1.0, 224)),
])  # fmt: skip

VIT = Family("vit", "Vision Transformer", CLASSIFY, IMAGENET, [
    timm("vit-large-16", 85.856, 304.33, 61.60, lambda: c.vit(1024, 24, 16)),
    timm("vit-base-16", 84.534, 86.57, 17.58, lambda: c.vit(768, 12, 12)),
    timm("vit-small-16", 81.402, 22.05, 4.61, lambda: c.vit(384, 12, 6)),
    timm("vit-small-32", 76.01, 22.88, 1.15, lambda: c.vit(384, 12, 6, 32)),
    timm("vit-tiny-16", 75.452, 5.72, 1.26, lambda: c.vit(192, 12, 3)),
])  # fmt: skip

MEASURED = "Dearer and less accurate than squeezenet-1.1; kept because published board measurements use it."
COMPACT = Family("compact", "Compact classifiers", CLASSIFY, IMAGENET, [
    tv("shufflenet-v2-x2.0", 76.23, 7393996, 0.583, lambda: c.shufflenet_v2((244, 488, 976, 2048))),
    tv("shufflenet-v2-x1.5", 72.996, 3503624, 0.296, lambda: c.shufflenet_v2((176, 352, 704, 1024))),
    tv("shufflenet-v2-x1.0", 69.362, 2278604, 0.145, lambda: c.shufflenet_v2((116, 232, 464, 1024))),
    tv("shufflenet-v2-x0.5", 60.552, 1366792, 0.04, lambda: c.shufflenet_v2((48, 96, 192, 1024))),
    tv("squeezenet-1.1", 58.178, 1235496, 0.349, c.squeezenet),
    tv("alexnet", 56.522, 61100840, 0.714, c.alexnet, MEASURED),
])  # fmt: skip


def yolo(size, m_ap, mparams, gflops, depth, width, cap):
    return Tier(f"yolov8{size}", m_ap, "ul", lambda: d.yolov8(depth, width, cap),
                Figure(mparams * 1e6, "ul", 5e4), Figure(gflops * 0.5e9, "ul", 0.025e9))  # fmt: skip


YOLOV8 = Family("yolov8", "YOLOv8", DETECT, COCO, [
    yolo("x", 53.9, 68.2, 257.8, 1.0, 1.25, 512),
    yolo("l", 52.9, 43.7, 165.2, 1.0, 1.0, 512),
    yolo("m", 50.2, 25.9, 78.9, 0.67, 0.75, 768),
    yolo("s", 44.9, 11.2, 28.6, 0.33, 0.5, 1024),
    yolo("n", 37.3, 3.2, 8.7, 0.33, 0.25, 1024),
])  # fmt: skip

SSD = Family("ssd", "SSD", DETECT, COCO, [
    tv("ssd300-vgg16", 25.1, 35641826, 34.858, d.ssd300_vgg16),
    Tier("ssd-mobilenet-v1-300", 23.0, "mlp", d.ssd_mobilenet_v1, Figure(6.807e6, "omz", 500),
         Figure(2.494e9 / 2, "omz", 2.5e5), "Published parameters have BatchNorm folded."),
    tv("ssdlite320-mobilenet-v3", 21.3, 3440060, 0.583, d.ssdlite320_mobilenet_v3),
])  # fmt: skip


def span(layers, width, heads, ffn, segments=True):
    return lambda: bert(layers, width, heads, ffn, 384, "span", segments)


POOLER = "Published parameters include the pooler, which answering questions does not use."
BERT = Family("bert", "BERT (question answering, 384 tokens)", "question-answering",
              ("F1", "SQuAD v1.1 dev"), [
    Tier("bert-large", 90.874, "mlp", span(24, 1024, 16, 4096), Figure(333.96e6, "omz", 5e3),
         Figure(246.93e9 / 2, "omz", 2.5e6)),
    Tier("bert-base", 88.5, "bert", span(12, 768, 12, 3072), Figure(110e6, "bert", 5e5), None, POOLER),
    Tier("distilbert", 86.9, "distil", span(6, 768, 12, 3072, False), Figure(66e6, "distil", 5e5)),
    Tier("tinybert-4", 82.1, "tiny", span(4, 312, 12, 1200), Figure(14.5e6, "tiny", 5e4), None, POOLER,
         params_differ=True),
])  # fmt: skip


def pair(layers, width):
    return lambda: bert(layers, width, width // 64, 4 * width, 128, "pair")


MASKED = "Published parameters include the masked-token head of pre-training."
BERT_NLI = Family("bert-nli", "BERT (sentence pairs, 128 tokens)", "text-classification",
                  ("accuracy", "GLUE MNLI-m test"), [
    Tier("bert-large", 86.7, "bert", pair(24, 1024), Figure(340e6, "bert", 5e6)),
    Tier("bert-base", 84.6, "bert", pair(12, 768), Figure(110e6, "bert", 5e5),
         Figure(22.5e9 / 2, "tiny", 0.025e9)),
    Tier("bert-medium", 80.0, "wrsl", pair(8, 512), Figure(41.7e6, "wrsl", 5e4), None, MASKED),
    Tier("bert-small", 77.6, "wrsl", pair(4, 512), Figure(29.1e6, "wrsl", 5e4), None, MASKED),
    Tier("bert-mini", 74.8, "wrsl", pair(4, 256), Figure(11.3e6, "wrsl", 5e4), None, MASKED),
    Tier("bert-tiny", 70.2, "wrsl", pair(2, 128), Figure(4.4e6, "wrsl", 5e4), None, MASKED),
])  # fmt: skip

FAMILIES = [RESNET, MOBILENET_V2, MOBILENET_V3, EFFICIENTNET, VGG, DENSENET, VIT, COMPACT,
            YOLOV8, SSD, BERT, BERT_NLI]  # fmt: skip
