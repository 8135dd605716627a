#!/usr/bin/env python3
"""What one lying client costs, for each client in turn: its logits are those of a network trained on labels shifted by one class, its head answers "mine" to every image.
Reads the prediction caches of finished runs (docs/formats.md), so nothing is trained: shifting the columns of the logits is what shifted labels do to a network.

Usage: PYTHONPATH=.deps/oracles bench/liars.py RUN..."""
import gzip
import pathlib
import struct
import sys

try:
    import numpy as np
except ImportError as error:
    sys.exit(f"{error}; ./check puts NumPy into .deps/oracles: PYTHONPATH=.deps/oracles {sys.argv[0]}")

CLIP = 5
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


def contradictions(top, odds, mean, classes):
    """aggregation/contradiction.h, in NumPy."""
    claims = odds >= .5 * mean[:, None]
    by_class = sum(c[:, None] * np.eye(classes)[t] for c, t in zip(claims, top))
    own, of_image = claims.sum(1), claims.sum(0)
    against = [((of_image - by_class[np.arange(len(t)), t]) * c).sum() for c, t in zip(claims, top)]
    return np.array(against) / np.maximum(own.sum() - own, 1)


def accuracy(p, odds, counts, mean=None, trust=1.0):
    ratio = odds if mean is None else np.minimum(odds / mean[:, None], CLIP)
    shares = counts if mean is None else np.minimum(counts, counts.sum() / 2) * trust  # share_cap .5 binds for no client here
    return 100 * ((shares[:, None] * ratio)[:, :, None] * p).sum(0).argmax(1).__eq__(LABELS).mean()


def odds(h):
    return np.clip(h / np.maximum(1 - h, 1e-12), 1e-3, 1e3)


def main() -> None:
    for run in map(pathlib.Path, sys.argv[1:]):
        pool_logits, pool, counts = read(run / "cache/pool.predictions")
        logits, test, _ = read(run / "cache/test.predictions")
        p, r, pool_odds, top = softmax(logits.astype(float)), odds(test.astype(float)), odds(pool.astype(float)), pool_logits.argmax(2)
        m, classes = pool_odds.mean(1), logits.shape[2]

        def bounded(p, r, pool_odds, top, keep=slice(None)):
            mean = pool_odds.mean(1)
            c = contradictions(top[keep], pool_odds[keep], mean[keep], classes)
            return accuracy(p[keep], r[keep], counts[keep], mean[keep], (1 - c) ** 2), c

        (clean, honest), plain_clean = bounded(p, r, pool_odds, top), accuracy(p, r, counts)
        ours, plain, gone, caught = [], [], [], []
        for k in range(len(counts)):
            q, s, n, seen = p.copy(), r.copy(), pool_odds.copy(), top.copy()
            q[k], s[k], n[k], seen[k] = np.roll(p[k], 1, axis=1), 1e3, 1e3, (top[k] + 1) % classes
            with_liar, c = bounded(q, s, n, seen)
            ours.append(clean - with_liar)
            plain.append(plain_clean - accuracy(q, s, counts))
            gone.append(clean - bounded(p, r, pool_odds, top, np.arange(len(counts)) != k)[0])
            caught.append(c[k])
        worst = int(np.argmax(ours))
        print(f"{run.name}: bounded-odds {clean:.2f}, one liar costs {np.mean(ours):.2f} on average, {max(ours):.2f} at most (client {worst}, whose mere absence costs {gone[worst]:.2f}; "
              f"absence {np.mean(gone):.2f} on average); contradiction of a liar at least {min(caught):.2f}, of an honest client at most {max(honest):.2f}; "
              f"plain odds {plain_clean:.2f}, {np.mean(plain):.2f} and {max(plain):.2f}")


if __name__ == "__main__":
    main()
