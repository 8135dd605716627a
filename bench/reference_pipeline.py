#!/usr/bin/env python3
"""The default job of fedstill in plain PyTorch: what a careful user would write by hand. Its stage seconds stand beside fedstill's.

Usage: reference_pipeline.py [--seed 0] [--split dirichlet|shards|iid] [--threads 2] [--json]
Needs PyTorch and NumPy, and Fashion-MNIST (Debian package dataset-fashion-mnist)."""
import argparse, gzip, json, sys, time

try:
    import numpy as np
    import torch
    import torch.nn as nn
    import torch.nn.functional as F
except ImportError as error:
    sys.exit(f"{error}; needs a Python with PyTorch and NumPy (python3 -m pip install torch numpy); NumPy alone is in .deps/oracles after ./check: PYTHONPATH=.deps/oracles {sys.argv[0]}")

FOLDER = "/usr/share/datasets/fashion-mnist/"


def load(prefix):
    with gzip.open(f"{FOLDER}{prefix}-images-idx3-ubyte.gz") as f:
        images = np.frombuffer(f.read(), np.uint8, offset=16).reshape(-1, 1, 28, 28)
    with gzip.open(f"{FOLDER}{prefix}-labels-idx1-ubyte.gz") as f:
        labels = np.frombuffer(f.read(), np.uint8, offset=8).astype(np.int64)
    return torch.from_numpy(images.copy()), torch.from_numpy(labels)


def conv_bn(i, o, stride=1):
    return [nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True)]


class Block(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.body = nn.Sequential(*conv_bn(i, o, stride), *conv_bn(o, o)[:2])
        self.skip = nn.Sequential() if i == o and stride == 1 else nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))

    def forward(self, x):
        return F.relu(self.body(x) + self.skip(x))


def cnn3(out=10):
    return nn.Sequential(*conv_bn(1, 32, 2), *conv_bn(32, 64, 2), *conv_bn(64, 128, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, out))


def lenet5(out=10):
    return nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                         nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, out))


def resnet8(out=10, w=16):
    return nn.Sequential(*conv_bn(1, w, 2), Block(w, w, 1), Block(w, 2 * w, 2), Block(2 * w, 4 * w, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * w, out))


def head_net():
    return nn.Sequential(*conv_bn(1, 16, 2), *conv_bn(16, 32, 2), nn.Flatten(), nn.Linear(32 * 49, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 1))


def split(labels, a, rng):
    order = rng.permutation(len(labels))
    private, pool = order[:40000], order[40000:55000]
    y = labels.numpy()[private]
    if a.split == "iid":
        parts = np.array_split(private, 10)
    elif a.split == "shards":
        pieces = np.array_split(private[np.argsort(y, kind="stable")], 20)
        deal = rng.permutation(20)
        parts = [np.concatenate([pieces[deal[2 * k]], pieces[deal[2 * k + 1]]]) for k in range(10)]
    else:
        while True:
            parts = [[] for _ in range(10)]
            for c in range(10):
                idx = private[y == c]
                p = rng.dirichlet([0.1] * 10) * np.array([len(x) < len(private) / 10 for x in parts])
                cuts = (np.cumsum(p / p.sum()) * len(idx)).astype(int)[:-1]
                for k, piece in enumerate(np.split(idx, cuts)):
                    parts[k].extend(piece)
            if min(map(len, parts)) >= 50:
                break
    return [torch.as_tensor(np.asarray(p)) for p in parts], torch.as_tensor(pool)


def cosine(step, total, warm):
    return (step + 1) / warm if step < warm else 0.5 * (1 + np.cos(np.pi * (step - warm) / max(1, total - warm)))


def train(net, x, y, loss, epochs, batch, opt, warm=0, clip=0.0, min_steps=0, gen=None):
    n = len(x)
    per = max(1, n // batch)
    epochs = max(epochs, -(-min_steps // per))
    base, step = opt.param_groups[0]["lr"], 0
    net.train()
    for _ in range(epochs):
        order = torch.randperm(n, generator=gen)
        for s in range(per):
            rows = order[s * batch:(s + 1) * batch]
            for g in opt.param_groups:
                g["lr"] = base * cosine(step, epochs * per, warm)
            opt.zero_grad()
            loss(net(x[rows]), y[rows]).backward()
            if clip:
                nn.utils.clip_grad_norm_(net.parameters(), clip)
            opt.step()
            step += 1


@torch.no_grad()
def run(net, x):
    net.eval()
    return torch.cat([net(b) for b in x.split(500)])


def accuracy(scores, y):
    return 100.0 * (scores.argmax(1) == y).float().mean().item()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--split", default="dirichlet")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--json", action="store_true")
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    rng = np.random.default_rng(a.seed)
    seconds, start = {}, time.time()

    def lap(name):
        nonlocal start
        seconds[name] = time.time() - start
        start = time.time()

    (xi, yi), (xt, yt) = load("train"), load("t10k")
    parts, pool = split(yi, a, rng)
    mean, std = (xi[pool].float() / 255).mean(), (xi[pool].float() / 255).std()
    x, xt = ((xi.float() / 255) - mean) / std, ((xt.float() / 255) - mean) / std
    lap("data")
    nets = []
    for k, part in enumerate(parts):
        net = [lenet5, cnn3, resnet8][k % 3]()
        opt = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9, weight_decay=1e-4)
        train(net, x[part], yi[part], nn.CrossEntropyLoss(), 10, 64, opt, warm=50, clip=2.0, min_steps=200)
        nets.append(net)
    lap("local training")
    heads = []
    for part in parts:
        net = head_net()
        opt = torch.optim.Adam(net.parameters(), 1e-3, weight_decay=1e-4)
        for step in range(600):
            for g in opt.param_groups:
                g["lr"] = 1e-3 * cosine(step, 600, 0)
            own, other = part[torch.randint(len(part), (64,))], pool[torch.randint(len(pool), (64,))]
            opt.zero_grad()
            F.binary_cross_entropy_with_logits(net(x[torch.cat([own, other])]).squeeze(1), torch.cat([torch.ones(64), torch.zeros(64)])).backward()
            opt.step()
        heads.append(net)
    lap("heads")
    n = torch.tensor([float(len(part)) for part in parts])

    def opinions(images):
        return torch.stack([run(net, images) for net in nets]), torch.stack([run(h, images).squeeze(1).sigmoid().clamp(1e-3, 1 - 1e-3) for h in heads])

    z, h = opinions(x[pool])
    zt, ht = opinions(xt)
    lap("teacher pass")
    scale = (h / (1 - h)).mean(1, keepdim=True)

    def weights(conf):
        w = n[:, None] * (conf / (1 - conf) / scale).clamp(max=3)
        return w / w.sum(0)

    soft = (weights(h)[:, :, None] * z.softmax(2)).sum(0)
    rules = {"bounded-odds": accuracy((weights(ht)[:, :, None] * zt.softmax(2)).sum(0), yt), "mean-prob": accuracy(zt.softmax(2).mean(0), yt),
             "mean-logit": accuracy(zt.mean(0), yt)}
    lap("rules")
    student = cnn3()
    opt = torch.optim.Adam(student.parameters(), 1e-3)
    train(student, x[pool], soft, lambda o, t: F.kl_div(o.log_softmax(1), t, reduction="batchmean"), 15, 128, opt)
    lap("student")
    result = {"seed": a.seed, "split": a.split, "threads": a.threads, "rules": rules, "student": accuracy(run(student, xt), yt),
              "seconds": seconds, "total": sum(seconds.values())}
    print(json.dumps(result, indent=1 if not a.json else None))


if __name__ == "__main__":
    main()
