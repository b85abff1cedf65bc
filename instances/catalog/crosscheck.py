#!/usr/bin/env python3
"""Compares the catalogue's counts with torchvision and timm themselves.

Builds each model on torch's meta device (no weights, no arithmetic), counts
its MACs with torch's own flop counter, and fails on any difference in
parameters or MACs. YOLOv8 and BERT are not in those packages; they are
compared with published figures by build_families.py.

    pip install -r requirements.txt && python crosscheck.py
"""

import sys

import timm
import torch
import torchvision.models as tv
from torch.utils.flop_counter import FlopCounterMode

from published import FAMILIES

REFERENCE = {
    **{f"resnet-{n}": (tv, f"resnet{n}") for n in (18, 34, 50, 101, 152)},
    **{f"vgg-{n}-bn": (tv, f"vgg{n}_bn") for n in (11, 13, 16, 19)},
    **{f"densenet-{n}": (tv, f"densenet{n}") for n in (121, 161, 169, 201)},
    **{f"efficientnet-b{n}": (tv, f"efficientnet_b{n}") for n in range(5)},
    **{f"shufflenet-v2-x{w}": (tv, f"shufflenet_v2_x{w.replace('.', '_')}")
       for w in ("0.5", "1.0", "1.5", "2.0")},
    **{f"mobilenet-v2-{w}": (timm, f"mobilenetv2_{w}")
       for w in ("035", "050", "075", "110d", "120d", "140")},
    **{f"mobilenet-v3-{n}": (timm, f"tf_mobilenetv3_{n.replace('-', '_')}")
       for n in ("large-075", "small-075")},
    **{f"vit-{n}-{p}": (timm, f"vit_{n}_patch{p}_224")
       for n, p in (("tiny", 16), ("small", 32), ("small", 16), ("base", 16), ("large", 16))},
    "mobilenet-v2-100": (tv, "mobilenet_v2"),
    "mobilenet-v3-large-100": (tv, "mobilenet_v3_large"),
    "mobilenet-v3-small-100": (tv, "mobilenet_v3_small"),
    "mobilenet-v3-small-050": (timm, "mobilenetv3_small_050"),
    "squeezenet-1.1": (tv, "squeezenet1_1"),
    "alexnet": (tv, "alexnet"),
    "ssd300-vgg16": (tv.detection, "ssd300_vgg16"),
    "ssdlite320-mobilenet-v3": (tv.detection, "ssdlite320_mobilenet_v3_large"),
}  # fmt: skip


def reference(package, name: str, shape) -> tuple[int, int]:
    """(parameters, MACs) of the package's own model."""
    with torch.device("meta"):
        if package is timm:
            model = timm.create_model(name)
        elif package is tv.detection:
            model = getattr(package, name)(weights=None, weights_backbone=None)
        else:
            model = getattr(package, name)(weights=None)
        model.eval()
        x = torch.empty(1, *shape)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            if package is tv.detection:
                model.head(list(model.backbone(x).values()))
            else:
                model(x)
    return sum(p.numel() for p in model.parameters()), counter.get_total_flops() // 2


def main() -> int:
    bad = 0
    for tier in (t for f in FAMILIES for t in f.tiers):
        if tier.id not in REFERENCE:
            print(f"{tier.id:26} no reference here")
            continue
        net = tier.build()
        params, macs = reference(*REFERENCE[tier.id], net.input.shape)
        ok = (params, macs) == (net.params, net.macs)
        bad += not ok
        print(f"{tier.id:26} {'ok' if ok else 'DIFFERS'}  params {net.params} / {params}"
              f"  MACs {net.macs} / {macs}")  # fmt: skip
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
