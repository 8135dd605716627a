#!/usr/bin/env python3
"""The work of `fedstill bench distill` in PyTorch: DistributedDataParallel over gloo, one thread a rank, the batch that of all ranks together.

Usage: pytorch_ddp.py [--ranks 2] [--student resnet8] [--batch 128] [--images 6144]
Prints one line: ddp, ranks, "overlap", images per second of the second of two epochs."""
import argparse, os, time

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F

import reference_pipeline

CLASSES = 10


def work(rank, ranks, student, batch, count, port):
    torch.set_num_threads(1)
    torch.manual_seed(1)
    net = getattr(reference_pipeline, student)().to(memory_format=torch.channels_last).train()
    if ranks > 1:
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
        dist.init_process_group("gloo", rank=rank, world_size=ranks)
        net = torch.nn.parallel.DistributedDataParallel(net)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
    images = torch.randint(0, 256, (count, 1, 28, 28), dtype=torch.uint8)
    labels = torch.softmax(2 * torch.randn(count, CLASSES), 1)
    steps = count // batch
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 2 * steps)
    for epoch in range(2):
        if ranks > 1:
            dist.barrier()
        start = time.perf_counter()
        order = torch.randperm(count, generator=torch.Generator().manual_seed(epoch))
        for step in range(steps):
            index = order[step * batch:(step + 1) * batch].chunk(ranks)[rank]
            x = images[index].float().div_(255).sub_(.5).div_(.25).contiguous(memory_format=torch.channels_last)
            loss = F.kl_div(F.log_softmax(net(x), 1), labels[index], reduction="batchmean")
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            loss.item()
    if rank == 0:
        print("ddp", ranks, "overlap", steps * batch / (time.perf_counter() - start), flush=True)
    if ranks > 1:
        dist.barrier()
        dist.destroy_process_group()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--student", default="resnet8")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--images", type=int, default=6144)
    options = parser.parse_args()
    arguments = (options.ranks, options.student, options.batch, options.images, 20000 + os.getpid() % 20000)
    if options.ranks == 1:
        work(0, *arguments)
    else:
        mp.spawn(work, arguments, nprocs=options.ranks)


if __name__ == "__main__":
    main()
