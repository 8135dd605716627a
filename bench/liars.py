#!/usr/bin/env python3
"""What one lying client costs, for each client in turn: its logits are those of a network trained on labels shifted by one class, its head answers "mine" to every image.
Reads the prediction caches of finished runs (docs/formats.md), so nothing is trained: shifting the columns of the logits is what shifted labels do to a network.

Usage: PYTHONPATH=.deps/oracles bench/liars.py RUN..."""
import gzip
import pathlib
import struct
import sys

import numpy as np

LABELS = np.frombuffer(gzip.open("/usr/share/datasets/fashion-mnist/t10k-labels-idx1-ubyte.gz").read(), np.uint8, offset=8)


def up(offset: int) -> int:
    return -(-offset // 64) * 64


def read(path: pathlib.Path):
    data = path.read_bytes()
    length, = struct.unpack_from("<I", data, 12)
    samples, classes, clients = struct.unpack_from("<qqQ", data, 80)
    at = 80 + 24
    at += 4 + struct.unpack_from("<I", data, at)[0]
    counts = []
    for _ in range(clients):
        at += 4 + struct.unpack_from("<I", data, at)[0]
        counts.append(struct.unpack_from("<q", data, at)[0])
        at += 8
    assert at == 80 + length, "not the key that docs/formats.md describes"
    logits_at = up(up(at) + 64 * clients)
    logits = np.frombuffer(data, "<f4", clients * samples * classes, logits_at).reshape(clients, samples, classes)
    confidences = np.frombuffer(data, "<f4", clients * samples, up(logits_at + logits.nbytes)).reshape(clients, samples)
    return logits, confidences, np.array(counts, float)


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def accuracy(p, odds, counts, mean=None, clip=np.inf):
    ratio = odds if mean is None else np.minimum(odds / mean[:, None], clip)
    shares = counts if mean is None else np.minimum(counts, counts.sum() / 2)  # share_cap .5 binds for no client here
    return 100 * ((shares[:, None] * ratio)[:, :, None] * p).sum(0).argmax(1).__eq__(LABELS).mean()


def odds(h):
    return np.clip(h / np.maximum(1 - h, 1e-12), 1e-3, 1e3)


def main() -> None:
    for run in map(pathlib.Path, sys.argv[1:]):
        _, pool, counts = read(run / "cache/pool.predictions")
        logits, test, _ = read(run / "cache/test.predictions")
        p, r, m = softmax(logits.astype(float)), odds(test.astype(float)), odds(pool.astype(float)).mean(1)
        clean = accuracy(p, r, counts, m, 3), accuracy(p, r, counts)
        lost = []
        for k in range(len(counts)):
            q, s, n = p.copy(), r.copy(), m.copy()
            q[k], s[k], n[k] = np.roll(p[k], 1, axis=1), 1e3, 1e3
            rest = np.arange(len(counts)) != k
            lost.append((clean[0] - accuracy(q, s, counts, n, 3), clean[1] - accuracy(q, s, counts), clean[0] - accuracy(p[rest], r[rest], counts[rest], m[rest], 3)))
        ours, plain, gone = zip(*lost)
        print(f"{run.name}: bounded-odds {clean[0]:.2f}, one liar costs {np.mean(ours):.2f} on average, {max(ours):.2f} at most (client {int(np.argmax(ours))}, whose mere absence costs {gone[np.argmax(ours)]:.2f}; absence {np.mean(gone):.2f} on average); "
              f"plain odds {clean[1]:.2f}, {np.mean(plain):.2f} and {max(plain):.2f}")


if __name__ == "__main__":
    main()
