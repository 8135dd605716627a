#!/usr/bin/env python3
"""The rounds of `fedstill bench simulate` as a bare PyTorch loop: the same first weights, clients, batches and averages, in float32 on one thread.

Usage: bare_fedavg.py FOLDER SPAWNED     FOLDER: what fedstill wrote; SPAWNED: seconds since the epoch when this was started
Prints the number of rounds done, line by line; writes FOLDER/result.json and FOLDER/trained.f32. Exits with 3 where torch cannot be imported."""
import json, pathlib, resource, sys, time

try:
    import numpy as np
    import torch
    import torch.nn as nn
    import torch.nn.functional as F
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(3)


def model(plan):
    channels, height, width = plan["image"]
    classes = plan["classes"]
    if plan["model"] == "W1":
        return nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, classes))
    features = 64 * ((height - 4) // 2) * ((width - 4) // 2)
    return nn.Sequential(nn.Conv2d(channels, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                         nn.Linear(features, 128), nn.ReLU(), nn.Linear(128, classes))


def images(folder, name, plan):
    pixels = np.fromfile(folder / f"{name}.u8", np.uint8).reshape(-1, *plan["image"])
    labels = np.fromfile(folder / f"{name}.labels", np.int32).astype(np.int64)
    return torch.from_numpy(pixels).float().div_(255), torch.from_numpy(labels)


def main():
    folder, spawned = pathlib.Path(sys.argv[1]), float(sys.argv[2])
    plan = json.loads((folder / "plan.json").read_text())
    torch.set_num_threads(1)
    net = model(plan)
    parameters = list(net.parameters())
    first = torch.from_numpy(np.fromfile(folder / "weights.f32", np.float32))
    weights = [part.view_as(p).clone() for part, p in zip(first.split([p.numel() for p in parameters]), parameters)]
    x, y = images(folder, "train", plan)
    lengths = np.fromfile(folder / "lengths.i64", np.int64).tolist()
    shares = np.fromfile(folder / "shares.f64", np.float64).tolist()
    orders = torch.from_numpy(np.fromfile(folder / "order.i64", np.int64)).split(lengths)
    optimizer = torch.optim.SGD(parameters, lr=plan["learning_rate"])
    ready = time.time() - spawned
    began = time.perf_counter()
    training = 0
    for done in range(plan["rounds"]):
        total = [torch.zeros_like(w) for w in weights]
        for _ in range(plan["per_round"]):
            with torch.no_grad():
                torch._foreach_copy_(parameters, weights)
            for index in orders[training].split(min(plan["batch"], lengths[training])):
                loss = F.cross_entropy(net(x[index]), y[index])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            with torch.no_grad():
                torch._foreach_add_(total, parameters, alpha=shares[training])
            training += 1
        for w, t in zip(weights, total):
            w.lerp_(t, plan["server_learning_rate"])
        print(done + 1, flush=True)
    seconds = time.perf_counter() - began
    with torch.no_grad():
        for p, w in zip(parameters, weights):
            p.copy_(w)
        x, y = images(folder, "test", plan)
        right = sum((net(a).argmax(1) == b).sum().item() for a, b in zip(x.split(100), y.split(100)))
    torch.cat([w.flatten() for w in weights]).numpy().tofile(folder / "trained.f32")
    result = {"trainings": training, "seconds": seconds, "start_up_seconds": ready, "test_accuracy": right / len(y),
              "peak_rss_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, "torch": torch.__version__}
    (folder / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
