#!/usr/bin/env python3
"""The quality figures of docs/results.md: every split × seed, the default rule beside other rules and beside true pool labels, and what a lying client costs.

Usage: bench/quality.py OUT [--splits dirichlet,shards,iid] [--seeds 0,1,2] [--liars] [--variant-seeds 0] [--rules mean-prob,mean-logit,entropy] [--set key=value ...]
Runs `./fedstill simulate` into OUT/<split>-<seed>[-<what>]; finished runs are not repeated. Prints Markdown and writes OUT/quality.json."""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def simulate(fedstill: str, folder: pathlib.Path, *settings: str) -> dict:
    report = folder / "report.json"
    if not report.exists():
        where = ["--resume", str(folder)] if (folder / "job.toml").exists() else ["--run", str(folder), *settings]
        subprocess.run([fedstill, "simulate", "--quiet", *where], check=True, stdout=subprocess.DEVNULL)
    return json.loads(report.read_text())


def cell(values) -> str:
    values = [100 * v for v in values]
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2f}{spread}"


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("out", type=pathlib.Path)
    p.add_argument("--splits", default="dirichlet,shards,iid")
    p.add_argument("--seeds", default="0,1,2")
    p.add_argument("--rules", default="mean-prob,mean-logit,entropy")
    p.add_argument("--variant-seeds", default=None, help="seeds that also get the other rules' students and the liar (default: all)")
    p.add_argument("--fedstill", default=str(ROOT / "fedstill"))
    p.add_argument("--liars", action="store_true")
    p.add_argument("--set", action="append", default=[])
    a = p.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    common = [word for s in a.set for word in ("--set", s)]
    seeds, rules = a.seeds.split(","), [r for r in a.rules.split(",") if r]
    table, raw = [], {}
    for split in a.splits.split(","):
        columns = {}

        def add(name, value):
            columns.setdefault(name, []).append(value)

        for seed in seeds:
            job = ["--seed", seed, "--set", f"clients.split={split}", *common]
            base = a.out / f"{split}-{seed}"
            report = simulate(a.fedstill, base, *job)
            add("student", report["student"]["test_accuracy"])
            add("integers", report["bundle"]["test_accuracy"])
            add("ensemble", report["ensemble"]["test_accuracy"])
            add("best client", max(c["test_accuracy"] for c in report["clients"]))
            add("seconds/100", report["seconds"].get("total", sum(report["seconds"].values())) / 100)
            add("peak GB/100", report["peak_rss_bytes"] / 1e11)
            for name in ("bounded-odds", "dlad-odds", "mean-prob", "mean-logit", "entropy"):
                add(f"{name} (ensemble)", report["rules"][name])
            if a.variant_seeds is not None and seed not in a.variant_seeds.split(","):
                continue
            variants = {rule: [f"aggregation.rule={rule}"] for rule in rules}
            if rules:
                variants["true labels"] = ["distillation.targets=true-labels"]
            for name, settings in variants.items():
                extra = [word for s in settings + ["compression.minimum_agreement=0"] for word in ("--set", s)]
                other = simulate(a.fedstill, a.out / f"{split}-{seed}-{name.replace(' ', '-')}", *job, *extra, "--clients-from", str(base))
                add(name, other["student"]["test_accuracy"])
            if a.liars:
                liar = simulate(a.fedstill, a.out / f"{split}-{seed}-liar", *job, "--set", "clients.liars=1")
                add("ensemble, 1 of 10 lies", liar["ensemble"]["test_accuracy"])
                add("dlad-odds, 1 of 10 lies", liar["rules"]["dlad-odds"])
            print(split, seed, {k: round(100 * v[-1], 2) for k, v in columns.items()}, file=sys.stderr, flush=True)
        raw[split] = columns
        table.append((split, columns))
    names = list(dict.fromkeys(name for _, columns in table for name in columns))
    print("| split | " + " | ".join(names) + " |")
    print("|---" * (len(names) + 1) + "|")
    for split, columns in table:
        print(f"| {split} | " + " | ".join(cell(columns[n]) if n in columns else "–" for n in names) + " |")
    (a.out / "quality.json").write_text(json.dumps(raw, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
