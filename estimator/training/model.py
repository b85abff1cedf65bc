"""The network: segments of all tenants on a device attend to each other.

Inputs, all float32 (B plans, S segments, N blocks of a segment, T tenants, U units):

    blocks   [B, S, N, 8]   blocks of each segment; column 0 is 1 for a block and 0 for padding
    segments [B, S, 34]     features of each segment
    owner    [B, T, S]      1 where the segment belongs to the tenant; a padded tenant or segment is all 0
    place    [B, U, S]      1 where the segment runs on the unit
    tenants  [B, T, 14]     features of each tenant
    device   [B, 14]        features of the device

Outputs:

    slowdown [B, T, 3]      p50, p95, p99 of latency over latency alone without waiting or spread
    power    [B]            mean draw, W

Guarantees, by construction: 1 <= p50 <= p95 <= p99; power is at least idle; the order of tenants,
segments, units and blocks is without effect; padding is without effect.

Widths and the meaning of columns are those of `estimator/src/features`. The last three columns of
`tenants` are logarithms of guessed excess (p50, and the steps to p95 and p99) and the last column
of `device` is that of dynamic power: the network learns what to add to them.
"""

import torch
from torch import nn

BLOCK, SEGMENT, TENANT, DEVICE = 8, 34, 14, 14
PHYSICS_SEGMENT, PHYSICS_TENANT, PHYSICS_DEVICE = 20, 6, 8
IDLE, DYNAMIC = 12, 13
CLIP = 6.0


class Attention(nn.Module):
    """Softmax attention with learned weights for "same tenant" and "same unit", and a sum over the unit.

    Softmax averages, but loads add up: the second path sums values over the segments of one unit.
    """

    def __init__(self, width, heads, across):
        super().__init__()
        self.heads, self.size, self.across = heads, width // heads, across
        self.qkv = nn.Linear(width, 3 * width)
        self.sums = nn.Linear(width, width)
        self.out = nn.Linear(2 * width, width)
        self.bias = nn.Parameter(torch.zeros(3, heads))

    def forward(self, x, tenant, unit, mask):
        b, n, w = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.heads, self.size).permute(2, 0, 3, 1, 4).unbind(0)
        relation = (
            self.bias[0].view(1, -1, 1, 1) * tenant.unsqueeze(1)
            + self.bias[1].view(1, -1, 1, 1) * unit.unsqueeze(1)
            + self.bias[2].view(1, -1, 1, 1) * (tenant * unit).unsqueeze(1)
        )
        logits = q @ k.transpose(-1, -2) * self.size**-0.5 + relation + mask
        heads = (torch.softmax(logits, -1) @ v).transpose(1, 2).reshape(b, n, w)
        near = unit if self.across else unit * tenant
        summed = near @ self.sums(x) * 0.25
        return self.out(torch.cat([heads, summed], -1))


class Layer(nn.Module):
    def __init__(self, width, heads, across):
        super().__init__()
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads, across)
        self.feed = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))

    def forward(self, x, tenant, unit, mask):
        x = x + self.attention(self.before(x), tenant, unit, mask)
        return x + self.feed(self.after(x))


class Joint(nn.Module):
    def __init__(self, width=64, layers=3, heads=4, pooled=32, across=True, physics=True):
        """`across`: attend to other tenants. `physics`: see the features of the closed-form analysis."""
        super().__init__()
        self.across, self.physics = across, physics
        for name, size in (("block", BLOCK), ("segment", SEGMENT), ("tenant", TENANT), ("device", DEVICE)):
            self.register_buffer(f"{name}_mean", torch.zeros(size))
            self.register_buffer(f"{name}_scale", torch.ones(size))
        self.block = nn.Sequential(nn.Linear(BLOCK, pooled), nn.ReLU(), nn.Linear(pooled, pooled), nn.ReLU())
        self.segment = nn.Linear(SEGMENT + 2 * pooled + TENANT + DEVICE, width)
        self.device = nn.Linear(DEVICE, width)
        self.layers = nn.ModuleList(Layer(width, heads, across) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.tenant = nn.Sequential(nn.Linear(2 * width + TENANT, width), nn.ReLU(), nn.Linear(width, 3))
        self.power = nn.Sequential(nn.Linear(width + DEVICE, width), nn.ReLU(), nn.Linear(width, 1))
        for head in (self.tenant[-1], self.power[-1]):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)

    def forward(self, blocks, segments, owner, place, tenants, device):
        kept = blocks[..., :1]
        b = self.block((blocks - self.block_mean) * self.block_scale) * kept
        share = blocks[..., 2:3]
        pooled = torch.cat([b.sum(2) * 0.25, (b * share).sum(2)], -1)

        t = (tenants - self.tenant_mean) * self.tenant_scale
        d = (device - self.device_mean) * self.device_scale
        s = (segments - self.segment_mean) * self.segment_scale
        by_segment = owner.transpose(1, 2)
        own = by_segment @ t
        everywhere = d.unsqueeze(1) + torch.zeros_like(s[..., :1])
        x = torch.cat([self.device(d).unsqueeze(1), self.segment(torch.cat([s, pooled, own, everywhere], -1))], 1)

        tenant = by_segment @ owner
        unit = place.transpose(1, 2) @ place
        valid = owner.sum(1)
        visible = valid.unsqueeze(1) if self.across else tenant
        tenant = nn.functional.pad(tenant, (1, 0, 1, 0))
        unit = nn.functional.pad(unit, (1, 0, 1, 0))
        if self.across:
            # Every token sees the device token and every real segment.
            mask = (nn.functional.pad(visible, (1, 0), value=1.0) - 1.0).unsqueeze(1) * 1e4
        else:
            # A segment sees the device token and its own tenant; the device token sees itself.
            mask = (nn.functional.pad(nn.functional.pad(visible, (0, 0, 1, 0)), (1, 0), value=1.0) - 1.0).unsqueeze(1) * 1e4
        for layer in self.layers:
            x = layer(x, tenant, unit, mask)
        x = self.norm(x)

        head, rest = x[:, 0], x[:, 1:]
        board = head.unsqueeze(1) + torch.zeros_like(t[..., :1])
        g = self.tenant(torch.cat([owner @ rest, board, t], -1)).clamp(-CLIP, CLIP)
        h = self.power(torch.cat([head, d], -1)).squeeze(-1).clamp(-CLIP, CLIP)
        if self.physics:
            g, h = g + tenants[..., -3:], h * 0.1 + device[:, DYNAMIC]
        else:
            g, h = g - 1.0, h + 2.0
        steps = torch.exp(g.clamp(-12.0, 8.0))
        median = 1.0 + steps[..., 0]
        high = median + steps[..., 1]
        slowdown = torch.stack([median, high, high + steps[..., 2]], -1)
        return slowdown, device[:, IDLE] + torch.exp(h.clamp(-9.0, 9.0))

    @torch.no_grad()
    def standardise(self, batches):
        """Sets the mean and scale of every feature from batches of inputs."""
        sums = {}
        for x in batches:
            valid = x["owner"].sum(1) > 0
            rows = {
                "block": x["blocks"][x["blocks"][..., 0] > 0],
                "segment": x["segments"][valid],
                "tenant": x["tenants"][x["owner"].sum(2) > 0],
                "device": x["device"],
            }
            for name, r in rows.items():
                n, a, b = sums.get(name, (0, 0.0, 0.0))
                r = r.double()
                sums[name] = (n + len(r), a + r.sum(0), b + (r * r).sum(0))
        for name, (n, a, b) in sums.items():
            mean = a / n
            scale = 1.0 / torch.sqrt((b / n - mean * mean).clamp_min(1e-6))
            getattr(self, f"{name}_mean").copy_(mean)
            getattr(self, f"{name}_scale").copy_(scale.clamp_max(100.0))
        if not self.physics:
            # What a scale of 0 multiplies is not seen.
            self.segment_scale[PHYSICS_SEGMENT:] = 0
            self.tenant_scale[PHYSICS_TENANT:] = 0
            self.device_scale[PHYSICS_DEVICE:] = 0
