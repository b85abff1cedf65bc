"""A small operator graph: shapes, counts, legal cuts.

A `Net` is built by calling one method an operator. Every method records what
the operator computes (`flops`), what it moves (`bytes`), what it keeps
resident (`weights`), how many parameters the published model trains for it
(`params`), and what normalisation in or after it costs (`norms`, only to
compare with sources that count it). Nothing is executed and nothing outside the standard library is
needed, so the catalogue can be rebuilt and checked anywhere.

Counting rules (batch 1, fp32, 4 bytes an element):

* conv, depthwise_conv, gemm, attention: flops = 2 x multiply-accumulates;
  biases and softmax are not counted as flops.
* every other kind: flops = elements of the larger of input and output.
* bytes = inputs + outputs + weights of the operator, unfused.
* BatchNorm, ReLU and ReLU6 are folded into the operator before them. A folded
  BatchNorm keeps one bias a channel (`weights`) of the two values a channel
  that the model publishes (`params`).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod

BYTES = 4
MATMUL_KINDS = ("conv", "depthwise_conv", "gemm", "attention")
KINDS = MATMUL_KINDS + (
    "norm", "lrn", "elementwise", "pool", "concat", "resize", "embedding",
    "silu", "hardswish", "gelu", "sigmoid", "softmax",
)  # fmt: skip


@dataclass(frozen=True)
class Tensor:
    """An activation. `root` names the buffer that it lives in: a view (a
    channel split) has the root of the tensor that it views."""

    shape: tuple[int, ...]
    root: int

    @property
    def size(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True)
class Op:
    kind: str
    scope: str
    flops: int
    bytes: int
    weights: int
    params: int
    norms: int
    reads: tuple[int, ...]
    writes: int


@dataclass(frozen=True)
class Block:
    name: str
    ops: list[Op]
    input_bytes: int
    output_bytes: int

    @property
    def flops(self) -> int:
        return sum(op.flops for op in self.ops)

    @property
    def weight_bytes(self) -> int:
        return BYTES * sum(op.weights for op in self.ops)


class Net:
    """Builds the operator list of one model. Image tensors are (C, H, W),
    token tensors (tokens, width), vectors (width,)."""

    def __init__(self, shape: tuple[int, ...]):
        self.sizes: list[int] = []
        self.ops: list[Op] = []
        self.scope = "stem"
        self.input = self._new(shape)

    # -- recording -------------------------------------------------------

    def _new(self, shape: tuple[int, ...]) -> Tensor:
        self.sizes.append(prod(shape))
        return Tensor(tuple(shape), len(self.sizes) - 1)

    def _op(self, kind, reads, shape, *, macs=None, weights=0, params=None, traffic=None, norms=0):
        out = self._new(shape)
        read = sum(t.size for t in reads)
        moved = read + out.size + weights if traffic is None else traffic
        flops = 2 * macs if macs is not None else max(max(t.size for t in reads), out.size)
        self.ops.append(
            Op(kind, self.scope, flops, BYTES * moved, weights,
               weights if params is None else params, norms,
               tuple(t.root for t in reads), out.root)
        )  # fmt: skip
        return out

    # -- operators -------------------------------------------------------

    def conv(self, x, out, k=1, s=1, p=None, *, groups=1, dilation=1, bn=True, bias=None):
        """Convolution with a folded BatchNorm (`bn`) or a plain bias. The
        padding defaults to "same" for odd kernels; `p=(before, after)` pads
        unevenly; `k` may be (height, width)."""
        c, h, w = x.shape
        kh, kw = k if isinstance(k, tuple) else (k, k)
        sizes = []
        for n, kk, i in ((h, kh, 0), (w, kw, 1)):
            eff = dilation * (kk - 1) + 1
            pad = 2 * (eff // 2) if p is None else sum(p) if isinstance(p, tuple) else 2 * p
            sizes.append((n + pad - eff) // s + 1)
        oh, ow = sizes
        kernel = kh * kw * (c // groups) * out
        bias = (not bn) if bias is None else bias
        kind = "depthwise_conv" if groups == c and groups > 1 else "conv"
        return self._op(kind, [x], (out, oh, ow), macs=kernel * oh * ow,
                        weights=kernel + (out if bn or bias else 0),
                        params=kernel + 2 * out * bn + out * bias,
                        norms=2 * out * oh * ow * bn)  # fmt: skip

    def dwconv(self, x, k=3, s=1, p=None, **kw):
        return self.conv(x, x.shape[0], k, s, p, groups=x.shape[0], **kw)

    def linear(self, x, out, bias=True):
        *lead, width = x.shape
        kernel = width * out
        return self._op("gemm", [x], (*lead, out), macs=prod(lead) * kernel,
                        weights=kernel + out * bias)  # fmt: skip

    def attention(self, q, k, v, heads):
        """softmax(Q K^T) V. Traffic counts the score matrix four times:
        written by Q K^T, read and written by softmax, read by the product
        with V."""
        tokens, width = q.shape
        scores = heads * tokens * k.shape[0]
        macs = tokens * k.shape[0] * (width + v.shape[1])
        traffic = q.size + k.size + v.size + 4 * scores + tokens * v.shape[1]
        return self._op("attention", [q, k, v], (tokens, v.shape[1]), macs=macs, traffic=traffic)

    def pool(self, x, k, s=None, p=0, ceil_mode=False):
        c, h, w = x.shape
        s = s or k
        div = ceil if ceil_mode else int
        size = [div((n + 2 * p - k) / s) + 1 for n in (h, w)]
        return self._op("pool", [x], (c, *size))

    def global_pool(self, x):
        """Global average pooling; the result is a (C, 1, 1) map."""
        return self._op("pool", [x], (x.shape[0], 1, 1))

    def unary(self, kind, x):
        return self._op(kind, [x], x.shape)

    def add(self, *xs):
        """Sum of equal shapes (the ReLU after a residual sum is folded)."""
        return self._op("elementwise", xs, xs[0].shape)

    def scale(self, x, gate):
        """Channel-wise product of a map and a (C, 1, 1) gate."""
        return self._op("elementwise", [x, gate], x.shape)

    def shuffle(self, x):
        """Channel shuffle: a copy in another order."""
        return self._op("elementwise", [x], x.shape)

    def reduce(self, x, shape):
        """A pass that reads all of `x` and keeps little of it."""
        return self._op("elementwise", [x], shape)

    def param_add(self, x):
        """Sum with a trained tensor of the same shape (position embedding)."""
        return self._op("elementwise", [x], x.shape, weights=x.size)

    def norm(self, x, width=None):
        """LayerNorm, or a BatchNorm that no convolution can absorb."""
        width = width or x.shape[-1]
        return self._op("norm", [x], x.shape, weights=2 * width, norms=5 * x.size)

    def scale_norm(self, x):
        """L2 normalisation over channels with a trained scale (SSD)."""
        return self._op("norm", [x], x.shape, weights=x.shape[0])

    def concat(self, *xs):
        first = xs[0].shape
        return self._op("concat", xs, (sum(x.shape[0] for x in xs), *first[1:]))

    def concat_param(self, x):
        """Puts one trained token before a token sequence."""
        tokens, width = x.shape
        return self._op("concat", [x], (tokens + 1, width), weights=width)

    def resize(self, x, factor):
        c, h, w = x.shape
        return self._op("resize", [x], (c, h * factor, w * factor))

    def embedding(self, ids, rows, width):
        """Row lookup: the whole table stays resident, only the looked-up rows
        move."""
        (tokens,) = ids.shape
        return self._op("embedding", [ids], (tokens, width), weights=rows * width,
                        traffic=tokens + 2 * tokens * width)  # fmt: skip

    # -- views (no operator, no traffic) ----------------------------------

    @staticmethod
    def view(x, *shape):
        """The same buffer, or a part of it, in another shape."""
        return Tensor(shape, x.root)

    def flatten(self, x):
        return self.view(x, x.size)

    def tokens(self, x):
        c, h, w = x.shape
        return self.view(x, h * w, c)

    def first_token(self, x):
        return self.view(x, x.shape[1])

    def split(self, x, *channels):
        return [self.view(x, c, *x.shape[1:]) for c in channels]

    def as_rows(self, x):
        """Any tensor as a (size, 1, 1) map, to concatenate unlike shapes."""
        return self.view(x, x.size, 1, 1)

    # -- totals ----------------------------------------------------------

    @property
    def params(self) -> int:
        return sum(op.params for op in self.ops)

    @property
    def weights(self) -> int:
        return sum(op.weights for op in self.ops)

    @property
    def macs(self) -> int:
        return sum(op.flops for op in self.ops if op.kind in MATMUL_KINDS) // 2

    @property
    def macs_with_norms(self) -> int:
        """As fvcore counts, and with it timm's tables: two operations an
        element for BatchNorm (folded or not) and five for LayerNorm."""
        return self.macs + sum(op.norms for op in self.ops)

    # -- cuts ------------------------------------------------------------

    def legal_cuts(self) -> list[tuple[int, int]]:
        """(index of the last operator before the cut, elements that cross it)
        for every scope boundary that exactly one tensor crosses."""
        last_use = {}
        for i, op in enumerate(self.ops):
            for root in op.reads:
                last_use[root] = i
        born = {op.writes: i for i, op in enumerate(self.ops)}
        born[self.input.root] = -1
        cuts = []
        for i in range(len(self.ops) - 1):
            if self.ops[i].scope == self.ops[i + 1].scope:
                continue
            crossing = [r for r, b in born.items() if b <= i < last_use.get(r, -1)]
            if len(crossing) == 1:
                cuts.append((i, self.sizes[crossing[0]]))
        return cuts

    def blocks(self, wanted: int) -> list[Block]:
        """The chain of at most `wanted` blocks whose work is most even.

        Work = flops + 10 x bytes, so that traffic-bound ends of a model weigh
        something; the sum of squared shares is minimised by dynamic
        programming, with a small price on the tensor that each cut moves.
        """
        cuts = [(-1, self.input.size), *self.legal_cuts()]
        out = self.sizes[self.ops[-1].writes]
        cuts.append((len(self.ops) - 1, out))
        work = [0]
        for op in self.ops:
            work.append(work[-1] + op.flops + 10 * op.bytes)
        total = work[-1]
        wanted = min(wanted, len(cuts) - 1)

        def price(a: int, b: int) -> float:
            share = (work[cuts[b][0] + 1] - work[cuts[a][0] + 1]) / total
            moved = 20 * BYTES * cuts[b][1] / total if b < len(cuts) - 1 else 0.0
            return share * share + 0.2 * moved / wanted

        best = {0: (0.0, [0])}
        for _ in range(wanted):
            step = {}
            for a, (cost, path) in best.items():
                for b in range(a + 1, len(cuts)):
                    c = cost + price(a, b)
                    if b not in step or c < step[b][0]:
                        step[b] = (c, [*path, b])
            best = step
        path = best[len(cuts) - 1][1]
        chain = []
        for a, b in zip(path, path[1:]):
            ops = self.ops[cuts[a][0] + 1 : cuts[b][0] + 1]
            first, last = ops[0].scope, ops[-1].scope
            chain.append(Block(first if first == last else f"{first}..{last}", ops,
                               BYTES * cuts[a][1], BYTES * cuts[b][1]))  # fmt: skip
        return chain


def divisible(value: float, by: int = 8) -> int:
    """Rounds a channel count as the MobileNet papers do: to a multiple of
    `by`, never losing more than a tenth."""
    new = max(by, int(value + by / 2) // by * by)
    return new + by if new < 0.9 * value else new
