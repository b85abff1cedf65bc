"""Reads data sets that `ecomap dataset` wrote, and packs them into padded batches.

Rows of a batch have similar numbers of segments, so that little padding is computed.
"""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from model import BLOCK, DEVICE, SEGMENT, TENANT

FORMAT, FEATURES = b"ecomap.dataset/v1", b"1"
UNITS = 8
# Upper ends of the groups of segment counts.
GROUPS = (2, 4, 6, 8, 10, 13, 17, 24)
QUANTILES = (2, 8, 12)  # p50, p95, p99 on the simulator's grid


class Table:
    """Files of one split as flat arrays with row offsets."""

    def __init__(self, *paths):
        parts = []
        for path in paths:
            file = pq.ParquetFile(path)
            notes = file.schema_arrow.metadata
            if notes.get(b"format") != FORMAT or notes.get(b"features") != FEATURES:
                raise SystemExit(f"{path}: not a {FORMAT.decode()} file with features of version {FEATURES.decode()}")
            self.grid = np.array([float(q) for q in notes[b"quantiles"].split(b",")])
            parts.append(file.read())
        table = pa.concat_tables(parts)

        def flat(name, width=1, kind=np.float32):
            lists = table[name].combine_chunks()
            values = lists.values.to_numpy(zero_copy_only=False).astype(kind, copy=False)
            offsets = lists.offsets.to_numpy() // width
            return (values.reshape(-1, width) if width > 1 else values), offsets

        self.rows = table.num_rows
        self.blocks, _ = flat("blocks", BLOCK)
        self.counts, self.segment_at = flat("block_counts", kind=np.int64)
        self.segments, _ = flat("segments", SEGMENT)
        self.owners, _ = flat("owners", kind=np.int64)
        self.units, _ = flat("units", kind=np.int64)
        self.tenants, self.tenant_at = flat("tenants", TENANT)
        self.device, _ = flat("device", DEVICE)
        self.base, _ = flat("base_ms")
        self.latency, _ = flat("latency_ms", len(self.grid))
        self.completed, _ = flat("completed")
        self.power = table["power_w"].to_numpy().astype(np.float32)
        self.index = table["index"].to_numpy()
        self.block_at = np.concatenate([[0], np.cumsum(self.counts)])

    def pack(self, rows):
        """Inputs and targets of some rows as padded tensors."""
        s_count = self.segment_at[rows + 1] - self.segment_at[rows]
        t_count = self.tenant_at[rows + 1] - self.tenant_at[rows]
        b, s, t = len(rows), int(s_count.max()), int(t_count.max())
        row, col = np.nonzero(np.arange(s)[None] < s_count[:, None])
        seg = self.segment_at[rows][row] + col
        n = int(self.counts[seg].max())
        blocks = np.zeros((b, s, n, BLOCK), np.float32)
        at, k = np.nonzero(np.arange(n)[None] < self.counts[seg][:, None])
        blocks[row[at], col[at], k] = self.blocks[self.block_at[seg][at] + k]
        segments = np.zeros((b, s, SEGMENT), np.float32)
        segments[row, col] = self.segments[seg]
        owner = np.zeros((b, t, s), np.float32)
        owner[row, self.owners[seg], col] = 1
        place = np.zeros((b, UNITS, s), np.float32)
        place[row, self.units[seg], col] = 1
        row, col = np.nonzero(np.arange(t)[None] < t_count[:, None])
        ten = self.tenant_at[rows][row] + col
        tenants = np.zeros((b, t, TENANT), np.float32)
        tenants[row, col] = self.tenants[ten]
        slowdown = np.ones((b, t, 3), np.float32)
        weight = np.zeros((b, t), np.float32)
        known = self.completed[ten] > 0
        slowdown[row[known], col[known]] = np.maximum(
            self.latency[ten[known]][:, QUANTILES] / self.base[ten[known], None], 1.0
        )
        # A tenant with few requests has noisy quantiles.
        weight[row, col] = np.minimum(self.completed[ten] / 400, 1)
        inputs = {
            "blocks": blocks,
            "segments": segments,
            "owner": owner,
            "place": place,
            "tenants": tenants,
            "device": self.device[rows],
        }
        inputs = {k: torch.from_numpy(v) for k, v in inputs.items()}
        return inputs, torch.from_numpy(slowdown), torch.from_numpy(self.power[rows]), torch.from_numpy(weight)

    def batches(self, size, rng=None):
        """Row numbers, batch by batch, in random order if `rng` is given."""
        count = self.segment_at[1:] - self.segment_at[:-1]
        group = np.searchsorted(GROUPS, count)
        out = []
        for g in np.unique(group):
            rows = np.nonzero(group == g)[0]
            if rng is not None:
                rng.shuffle(rows)
            out += [rows[i : i + size] for i in range(0, len(rows), size)]
        if rng is not None:
            rng.shuffle(out)
        return out


def pairs(table):
    """(plan, the same without one tenant, which one) for every such pair in a file of pairs.

    Rows come in twos: the whole plan with index 16·n, then the smaller one with index 16·n + removed.
    """
    whole = np.arange(0, table.rows, 2)
    return whole, whole + 1, (table.index[1::2] % 16).astype(np.int64)
