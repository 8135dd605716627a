#!/usr/bin/env python3
"""The work of `fedstill bench distill --device cuda` in PyTorch, as a careful user writes it: images as bytes on the device, channels-last,
fused Adam, no value looked at within an epoch; step by step and with the whole step in a CUDA graph. Then prediction in blocks of 500.

Usage: pytorch_device.py --mode eager|graph|predict [--device cuda] [--student resnet8] [--batch 128] [--images 6144] [--epochs 20] [--bf16]
Prints one line: the mode and the images per second of all epochs but the first."""
import argparse, time

import torch
import torch.nn.functional as F

import reference_pipeline

CLASSES, MEAN, DEVIATION, BLOCK, WARM_UP = 10, 0.5, 0.25, 500, 3


def normalised(images):
    return images.float().sub_(255 * MEAN).mul_(1 / (255 * DEVIATION)).contiguous(memory_format=torch.channels_last)


class Training:
    def __init__(self, options):
        self.o, self.device = options, torch.device(options.device)
        self.graphed = options.mode == "graph"
        self.net = getattr(reference_pipeline, options.student)().to(self.device, memory_format=torch.channels_last).train()
        rate = torch.tensor(1e-3, device=self.device) if self.graphed else 1e-3
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=rate, fused=True, capturable=self.graphed)
        self.images = torch.randint(0, 256, (options.images, 1, 28, 28), dtype=torch.uint8).to(self.device)
        self.labels = torch.softmax(2 * torch.randn(options.images, CLASSES), 1).to(self.device)
        self.steps = options.images // options.batch
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, options.epochs * self.steps)
        self.sum = torch.zeros((), dtype=torch.float64, device=self.device)
        self.made, self.graph, self.stream = 0, None, torch.cuda.Stream() if self.graphed else None

    def step(self, x, y):
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.o.bf16):
            logits = self.net(x)
        loss = F.kl_div(F.log_softmax(logits.float(), 1), y, reduction="batchmean")
        self.sum.add_(loss.detach())
        loss.backward()
        self.optimizer.step()

    def record(self, x, y):
        self.x, self.y = x.clone(), y.clone()
        self.graph = torch.cuda.CUDAGraph()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.cuda.graph(self.graph, stream=self.stream):
            self.step(self.x, self.y)

    def run(self, x, y):
        if self.graphed and self.graph is None and self.made == WARM_UP:
            self.record(x, y)
        self.made += 1
        if self.graph is None:
            return self.step(x, y)
        self.x.copy_(x)
        self.y.copy_(y)
        self.graph.replay()

    def epoch(self, number):
        order = torch.randperm(len(self.images), generator=torch.Generator().manual_seed(number)).to(self.device)
        for step in range(self.steps):
            index = order[step * self.o.batch:(step + 1) * self.o.batch]
            self.run(normalised(self.images[index]), self.labels[index])
            self.schedule.step()
        self.sum.item()  # waits
        self.sum.zero_()


def train(options):
    work = Training(options)
    if options.mode == "graph":
        work.stream.wait_stream(torch.cuda.current_stream())
        torch.cuda.set_stream(work.stream)
    work.epoch(0)
    start = time.perf_counter()
    for number in range(1, options.epochs):
        work.epoch(number)
    return (options.epochs - 1) * work.steps * options.batch / (time.perf_counter() - start)


def predict(options):
    device = torch.device(options.device)
    net = getattr(reference_pipeline, options.student)().to(device, memory_format=torch.channels_last).eval()
    images = torch.randint(0, 256, (options.images, 1, 28, 28), dtype=torch.uint8)

    def ask():
        with torch.inference_mode():
            there = images.to(device)
            return torch.cat([net(normalised(there[i:i + BLOCK])) for i in range(0, len(there), BLOCK)]).cpu()

    ask()
    start = time.perf_counter()
    for _ in range(options.epochs - 1):
        ask()
    return (options.epochs - 1) * options.images / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mode", choices=["eager", "graph", "predict"], required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--student", default="resnet8")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--images", type=int, default=6144)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--bf16", action="store_true")
    options = parser.parse_args()
    torch.manual_seed(1)
    print(options.mode, (predict if options.mode == "predict" else train)(options), flush=True)


if __name__ == "__main__":
    main()
