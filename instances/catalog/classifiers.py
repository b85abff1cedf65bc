"""Image classifiers, written from their published architectures."""

from math import ceil

from graph import Net, divisible

CLASSES = 1000


def head(net, x):
    """Global pooling and one linear layer."""
    net.scope = "head"
    net.linear(net.flatten(net.global_pool(x)), CLASSES)
    return net


def resnet(kind, depths, px=224):
    """ResNet v1.5: the 3x3 convolution of a bottleneck carries the stride."""
    net = Net((3, px, px))
    x = net.pool(net.conv(net.input, 64, 7, 2), 3, 2, 1)
    for stage, depth in enumerate(depths):
        width = 64 << stage
        out = width * (4 if kind == "bottleneck" else 1)
        for i in range(depth):
            net.scope = f"layer{stage + 1}.{i}"
            stride = 2 if stage and not i else 1
            if kind == "bottleneck":
                y = net.conv(net.conv(net.conv(x, width), width, 3, stride), out)
            else:
                y = net.conv(net.conv(x, width, 3, stride), width, 3)
            if stride > 1 or x.shape[0] != out:
                x = net.conv(x, out, 1, stride)
            x = net.add(x, y)
    return head(net, x)


def vgg(depths, px=224):
    """VGG with BatchNorm."""
    net = Net((3, px, px))
    x = net.input
    for stage, (depth, width) in enumerate(zip(depths, (64, 128, 256, 512, 512))):
        for i in range(depth):
            net.scope = f"conv{stage + 1}_{i + 1}"
            x = net.conv(x, width, 3, bias=True)
        x = net.pool(x, 2)
    x = net.flatten(x)
    for i, width in enumerate((4096, 4096, CLASSES)):
        net.scope = f"fc{i + 6}"
        x = net.linear(x, width)
    return net


def densenet(stem, growth, depths, px=224):
    """DenseNet-BC. The BatchNorm before each first convolution sees the
    concatenated maps, so nothing can absorb it: it is a `norm`."""
    net = Net((3, px, px))
    x = net.pool(net.conv(net.input, stem, 7, 2), 3, 2, 1)
    for stage, depth in enumerate(depths):
        for i in range(depth):
            net.scope = f"dense{stage + 1}.{i + 1}"
            y = net.conv(net.norm(x, x.shape[0]), 4 * growth)
            x = net.concat(x, net.conv(y, growth, 3, bn=False, bias=False))
        if stage < 3:
            net.scope = f"transition{stage + 1}"
            y = net.conv(net.norm(x, x.shape[0]), x.shape[0] // 2, bn=False, bias=False)
            x = net.pool(y, 2)
    net.scope = "head"
    return head(net, net.norm(x, x.shape[0]))


def scale_depth(repeats, factor):
    """timm's rule for a deeper stage: ceil(total x factor), shared out from the last
    repeat group backwards."""
    total = sum(repeats)
    scaled = ceil(total * factor)
    out = []
    for r in reversed(repeats):
        n = max(1, round(r / total * scaled))
        out.append(n)
        total -= r
        scaled -= n
    return out[::-1]


def mobilenet_v2(width=1.0, depth=1.0, fixed_ends=False, px=224):
    """MobileNetV2; `fixed_ends` keeps stem and head at width 1 and the first
    and last stage at depth 1 (timm's "d" variants)."""
    net = Net((3, px, px))
    x = net.conv(net.input, 32 if fixed_ends else divisible(32 * width), 3, 2)
    stages = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2),
              (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]  # fmt: skip
    for s, (ratio, out, n, stride) in enumerate(stages):
        if not (fixed_ends and s in (0, 6)):
            n = ceil(n * depth)
        for i in range(n):
            net.scope = f"stage{s + 1}.{i}"
            y = net.conv(x, x.shape[0] * ratio) if ratio > 1 else x
            y = net.dwconv(y, 3, 1 if i else stride)
            y = net.conv(y, divisible(out * width))
            x = net.add(x, y) if i else y
    net.scope = "head"
    last = 1280 if fixed_ends else max(1280, divisible(1280 * width))
    return head(net, net.conv(x, last))


def squeeze_excite(net, x, squeeze, act):
    """Pool, two 1x1 convolutions, a (hard) sigmoid gate."""
    g = net.conv(net.global_pool(x), squeeze, bn=False)
    if act:
        g = net.unary(act, g)
    return net.scale(x, net.unary("sigmoid", net.conv(g, x.shape[0], bn=False)))


# (kernel, [expansion ratios], channels, squeeze-excite, hard-swish, stride)
V3_LARGE = [
    (3, [1], 16, False, False, 1),
    (3, [4, 3], 24, False, False, 2),
    (5, [3, 3, 3], 40, True, False, 2),
    (3, [6, 2.5, 2.3, 2.3], 80, False, True, 2),
    (3, [6, 6], 112, True, True, 1),
    (5, [6, 6, 6], 160, True, True, 2),
]
V3_SMALL = [
    (3, [1], 16, True, False, 2),
    (3, [4.5, 3.67], 24, False, False, 2),
    (5, [4, 6, 6], 40, True, True, 2),
    (5, [3, 3], 48, True, True, 1),
    (5, [6, 6, 6], 96, True, True, 2),
]


def v3_unit(net, x, kernel, ratio, out, se, hswish, stride):
    """One inverted residual of MobileNetV3."""
    inner = divisible(x.shape[0] * ratio)
    y = x
    if ratio != 1:
        y = net.conv(y, inner)
        y = net.unary("hardswish", y) if hswish else y
    y = net.dwconv(y, kernel, stride)
    y = net.unary("hardswish", y) if hswish else y
    if se:
        y = squeeze_excite(net, y, divisible(inner / 4), None)
    y = net.conv(y, out)
    return net.add(x, y) if stride == 1 and x.shape[0] == out else y


def mobilenet_v3(stages, width=1.0, px=224):
    """MobileNetV3 (timm's width rule: the stem narrows only from 0.75 up)."""
    net = Net((3, px, px))
    stem = 16 if width < 0.75 else divisible(16 * width)
    x = net.unary("hardswish", net.conv(net.input, stem, 3, 2))
    for s, (kernel, ratios, out, se, hswish, stride) in enumerate(stages):
        for i, ratio in enumerate(ratios):
            net.scope = f"stage{s + 1}.{i}"
            x = v3_unit(net, x, kernel, ratio, divisible(out * width), se, hswish,
                        1 if i else stride)  # fmt: skip
    net.scope = "head"
    large = stages is V3_LARGE
    x = net.unary("hardswish", net.conv(x, divisible((960 if large else 576) * width)))
    x = net.linear(net.flatten(net.global_pool(x)), 1280 if large else 1024)
    net.linear(net.unary("hardswish", x), CLASSES)
    return net


def efficientnet(width, depth, px):
    net = Net((3, px, px))
    x = net.unary("silu", net.conv(net.input, divisible(32 * width), 3, 2))
    stages = [(1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3),
              (6, 5, 1, 112, 3), (6, 5, 2, 192, 4), (6, 3, 1, 320, 1)]  # fmt: skip
    for s, (ratio, kernel, stride, out, n) in enumerate(stages):
        out = divisible(out * width)
        for i in range(ceil(n * depth)):
            net.scope = f"stage{s + 1}.{i}"
            cin = x.shape[0]
            y = net.unary("silu", net.conv(x, cin * ratio)) if ratio > 1 else x
            y = net.unary("silu", net.dwconv(y, kernel, 1 if i else stride))
            y = squeeze_excite(net, y, max(1, cin // 4), "silu")
            y = net.conv(y, out)
            x = net.add(x, y) if i else y
    net.scope = "head"
    return head(net, net.unary("silu", net.conv(x, 4 * x.shape[0])))


def squeezenet(px=224):
    """SqueezeNet 1.1 (1.0 costs more and is no better)."""
    net = Net((3, px, px))
    x = net.conv(net.input, 64, 3, 2, 0, bn=False)
    plan = [(16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256)]
    for i, (squeeze, expand) in enumerate(plan, start=2):
        # A pooling layer belongs to the block before it: less crosses a cut.
        x = net.pool(x, 3, 2, ceil_mode=True) if i in (2, 4, 6) else x
        net.scope = f"fire{i}"
        y = net.conv(x, squeeze, bn=False)
        x = net.concat(net.conv(y, expand, bn=False), net.conv(y, expand, 3, bn=False))
    net.scope = "head"
    net.global_pool(net.conv(x, CLASSES, bn=False))
    return net


def alexnet(px=224):
    """torchvision's AlexNet ("one weird trick": one column, no LRN)."""
    net = Net((3, px, px))
    x = net.input
    plan = [(64, 11, 4, 2, True), (192, 5, 1, 2, True), (384, 3, 1, 1, False),
            (256, 3, 1, 1, False), (256, 3, 1, 1, True)]  # fmt: skip
    for i, (out, k, s, p, pooled) in enumerate(plan, start=1):
        net.scope = f"conv{i}"
        x = net.conv(x, out, k, s, p, bn=False)
        x = net.pool(x, 3, 2) if pooled else x
    x = net.flatten(x)
    for i, width in enumerate((4096, 4096, CLASSES), start=6):
        net.scope = f"fc{i}"
        x = net.linear(x, width)
    return net


def shufflenet_v2(widths, px=224):
    net = Net((3, px, px))
    x = net.pool(net.conv(net.input, 24, 3, 2), 3, 2, 1)
    for s, (n, out) in enumerate(zip((4, 8, 4), widths), start=2):
        half = out // 2
        for i in range(n):
            net.scope = f"stage{s}.{i}"
            if i:
                keep, y = net.split(x, half, half)
                stride = 1
            else:
                keep, y, stride = net.conv(net.dwconv(x, 3, 2), half), x, 2
            y = net.conv(net.dwconv(net.conv(y, half), 3, stride), half)
            x = net.shuffle(net.concat(keep, y))
    net.scope = "head"
    return head(net, net.conv(x, widths[3]))


def vit(width, layers, heads, patch=16, px=224):
    """Vision transformer, pre-norm, class token."""
    net = Net((3, px, px))
    x = net.tokens(net.conv(net.input, width, patch, patch, 0, bn=False))
    x = net.param_add(net.concat_param(x))
    for i in range(layers):
        net.scope = f"block{i}.attn"
        y = net.norm(x)
        q, k, v = (net.linear(y, width) for _ in range(3))
        x = net.add(x, net.linear(net.attention(q, k, v, heads), width))
        net.scope = f"block{i}.mlp"
        y = net.unary("gelu", net.linear(net.norm(x), 4 * width))
        x = net.add(x, net.linear(y, width))
    net.scope = "head"
    net.linear(net.first_token(net.norm(x)), CLASSES)
    return net
