"""Object detectors, written from their published architectures.

Selection of the final boxes is counted as one elementwise pass over the
scores. A detector answers with a fixed number of rows of six fp32 values:
class, score, box.
"""

from math import ceil

from classifiers import V3_LARGE, squeeze_excite, v3_unit
from graph import Net, divisible

ROW = 6


def by8(value):
    """Ultralytics' rounding: up to a multiple of eight."""
    return ceil(value / 8) * 8


def conv_silu(net, x, out, k=1, s=1):
    return net.unary("silu", net.conv(x, out, k, s))


def c2f(net, x, out, n, shortcut):
    """Cross-stage block: two halves, n bottlenecks on the second, all
    concatenated."""
    half = out // 2
    parts = net.split(conv_silu(net, x, 2 * half), half, half)
    for _ in range(n):
        y = conv_silu(net, conv_silu(net, parts[-1], half, 3), half, 3)
        parts.append(net.add(parts[-1], y) if shortcut else y)
    return conv_silu(net, net.concat(*parts), out)


def yolov8(depth, width, cap, px=640, classes=80, boxes=300):
    """YOLOv8 detection with its anchor-free head. The first tap of the neck is
    the third stage, so the last legal cut lies right after it."""

    def ch(c):
        return by8(min(c, cap) * width)

    def rep(n):
        return max(round(n * depth), 1)

    net = Net((3, px, px))
    net.scope = "backbone.0"
    x = conv_silu(net, net.input, ch(64), 3, 2)
    taps = []
    for s, (c, n) in enumerate(((128, 3), (256, 6), (512, 6), (1024, 3))):
        net.scope = f"backbone.{2 * s + 1}"
        x = conv_silu(net, x, ch(c), 3, 2)
        net.scope = f"backbone.{2 * s + 2}"
        x = c2f(net, x, ch(c), rep(n), True)
        taps.append(x)
    net.scope = "sppf"
    pools = [conv_silu(net, x, x.shape[0] // 2)]
    for _ in range(3):
        pools.append(net.pool(pools[-1], 5, 1, 2))
    p5 = conv_silu(net, net.concat(*pools), ch(1024))

    net.scope = "neck"
    n = rep(3)
    m4 = c2f(net, net.concat(net.resize(p5, 2), taps[2]), ch(512), n, False)
    o3 = c2f(net, net.concat(net.resize(m4, 2), taps[1]), ch(256), n, False)
    o4 = c2f(net, net.concat(conv_silu(net, o3, ch(256), 3, 2), m4), ch(512), n, False)
    o5 = c2f(net, net.concat(conv_silu(net, o4, ch(512), 3, 2), p5), ch(1024), n, False)

    net.scope = "detect"
    box_width = max(16, o3.shape[0] // 4, 64)
    class_width = max(o3.shape[0], min(classes, 100))
    box, score = [], []
    for x in (o3, o4, o5):
        y = conv_silu(net, conv_silu(net, x, box_width, 3), box_width, 3)
        box.append(net.conv(y, 64, bn=False))
        y = conv_silu(net, conv_silu(net, x, class_width, 3), class_width, 3)
        score.append(net.conv(y, classes, bn=False))
    cells = sum(b.shape[1] * b.shape[2] for b in box)
    flat_box = net.concat(*(net.as_rows(b) for b in box))
    flat_score = net.concat(*(net.as_rows(s) for s in score))
    # Distribution focal loss decoding: softmax over 16 bins, then their mean.
    bins = net.unary("softmax", flat_box)
    sides = net.conv(net.view(bins, 16, 4, cells), 1, bn=False, bias=False)
    boxes_xy = net.unary("elementwise", net.as_rows(sides))
    out = net.concat(boxes_xy, net.unary("sigmoid", flat_score))
    net.reduce(out, (boxes, ROW))
    return net


def ssd_outputs(net, maps, anchors, classes, predict, act, rows):
    """Box and class predictions on every map, scores, selection."""
    out = []
    for x, a in zip(maps, anchors):
        out += [net.as_rows(predict(x, a * classes)), net.as_rows(predict(x, a * 4))]
    scores = net.concat(*out[0::2])
    boxes = net.concat(*out[1::2])
    both = net.concat(net.unary("elementwise", boxes), net.unary(act, scores))
    net.reduce(both, (rows, ROW))
    return net


def ssd_mobilenet_v1(px=300, rows=100):
    """SSD on MobileNet-v1 as in MLPerf Inference v0.5-v2.0 (TensorFlow model
    zoo: 1x1 box predictors, padding "same", 91 classes)."""

    def same(n, k, s):
        """TensorFlow's uneven padding for a strided convolution."""
        pad = max((ceil(n / s) - 1) * s + k - n, 0)
        return (pad // 2, pad - pad // 2)

    net = Net((3, px, px))
    x = net.conv(net.input, 32, 3, 2, same(px, 3, 2))
    plan = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 1),
            (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1)]  # fmt: skip
    maps = []
    for i, (out, s) in enumerate(plan, start=1):
        net.scope = f"conv{i}"
        x = net.conv(net.dwconv(x, 3, s, same(x.shape[1], 3, s)), out)
        if i in (11, 13):
            maps.append(x)
    net.scope = "extras"
    for squeeze, out in ((256, 512), (128, 256), (128, 256), (64, 128)):
        x = net.conv(x, squeeze)
        x = net.conv(x, out, 3, 2, same(x.shape[1], 3, 2))
        maps.append(x)
    net.scope = "detect"
    return ssd_outputs(net, maps, (3, 6, 6, 6, 6, 6), 91,
                       lambda x, out: net.conv(x, out, bn=False), "sigmoid", rows)  # fmt: skip


def ssd300_vgg16(rows=200):
    """torchvision's SSD300: VGG-16 with dilated fc6 and four extra stages."""
    net = Net((3, 300, 300))
    x = net.input
    maps = []
    for stage, (depth, width) in enumerate(zip((2, 2, 3, 3, 3), (64, 128, 256, 512, 512)), 1):
        for i in range(depth):
            net.scope = f"conv{stage}_{i + 1}"
            x = net.conv(x, width, 3, bn=False)
        if stage == 4:
            maps.append(net.scale_norm(x))
        x = net.pool(x, 3, 1, 1) if stage == 5 else net.pool(x, 2, 2, 0, stage == 3)
    net.scope = "extras"
    x = net.conv(net.conv(x, 1024, 3, dilation=6, bn=False), 1024, bn=False)
    maps.append(x)
    for squeeze, out, s, p in ((256, 512, 2, 1), (128, 256, 2, 1), (128, 256, 1, 0), (128, 256, 1, 0)):
        x = net.conv(net.conv(x, squeeze, bn=False), out, 3, s, p, bn=False)
        maps.append(x)
    net.scope = "detect"
    return ssd_outputs(net, maps, (4, 6, 6, 6, 4, 4), 91,
                       lambda x, out: net.conv(x, out, 3, bn=False), "softmax", rows)  # fmt: skip


def ssdlite320_mobilenet_v3(rows=300):
    """torchvision's SSDLite on MobileNetV3-Large with the reduced tail."""
    net = Net((3, 320, 320))
    x = net.unary("hardswish", net.conv(net.input, 16, 3, 2))
    maps = []
    for s, (kernel, ratios, out, se, hswish, stride) in enumerate(V3_LARGE):
        for i, ratio in enumerate(ratios):
            net.scope = f"stage{s + 1}.{i}"
            if s == 5:
                # First tap: the expansion of the last stage's first unit.
                out = 80
                inner = divisible(x.shape[0] * 6)
                y = net.unary("hardswish", net.conv(x, inner))
                if not i:
                    maps.append(y)
                y = net.unary("hardswish", net.dwconv(y, kernel, 1 if i else stride))
                y = net.conv(squeeze_excite(net, y, divisible(inner / 4), None), out)
                x = net.add(x, y) if i else y
            else:
                x = v3_unit(net, x, kernel, ratio, out, se, hswish, 1 if i else stride)
    net.scope = "extras"
    x = net.unary("hardswish", net.conv(x, 480))
    maps.append(x)
    for out in (512, 256, 256, 128):
        x = net.conv(net.dwconv(net.conv(x, out // 2), 3, 2), out)
        maps.append(x)
    net.scope = "detect"
    return ssd_outputs(net, maps, (6,) * 6, 91,
                       lambda x, out: net.conv(net.dwconv(x, 3), out, bn=False), "softmax", rows)  # fmt: skip
