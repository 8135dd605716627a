#!/usr/bin/env python3
"""The cases of training_throughput.cpp in bare PyTorch, as a careful user writes them.

Usage: pytorch_throughput.py [--threads 1] [--repetitions 5] [--channels-last] [--cases a,b]
One line per case and repetition: name, images per second of wall time, images per CPU second."""
import argparse, os, time

import torch
import torch.nn.functional as F

from reference_pipeline import cnn3, lenet5, resnet8

MEAN, DEVIATION, IMAGES = 0.286, 0.353, 2048


def normalised(images, index, layout):
    x = images[index].float().div_(255).sub_(MEAN).div_(DEVIATION)
    return x.contiguous(memory_format=layout)


def report(name, work):
    work()
    wall, cpu = time.perf_counter(), time.process_time()
    count = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(name, count / wall, count / cpu, flush=True)


def train(name, net, batch, images, labels, layout):
    net = net.to(memory_format=layout).train()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    steps = len(images) // batch
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 2 * steps)

    def epoch():
        order = torch.randperm(len(images))
        total = 0.0
        for step in range(steps):
            index = order[step * batch:(step + 1) * batch]
            loss = F.cross_entropy(net(normalised(images, index, layout)), labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        return steps * batch

    report(name, epoch)


def infer(name, net, images, layout):
    net = net.to(memory_format=layout).eval()

    def run():
        with torch.inference_mode():
            torch.cat([net(normalised(images, slice(i, i + 500), layout)) for i in range(0, len(images), 500)])
        return len(images)

    report(name, run)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--channels-last", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    layout = torch.channels_last if arguments.channels_last else torch.contiguous_format
    images = torch.randint(0, 256, (IMAGES, 1, 28, 28), dtype=torch.uint8)
    labels = torch.arange(IMAGES) % 10
    for _ in range(arguments.repetitions):
        train("train-cnn3-128", cnn3(), 128, images, labels, layout)
        train("train-lenet5-64", lenet5(), 64, images, labels, layout)
        infer("infer-cnn3", cnn3(), images, layout)
        infer("infer-resnet8", resnet8(), images, layout)


if __name__ == "__main__":
    main()
