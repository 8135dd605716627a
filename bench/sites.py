#!/usr/bin/env python3
"""The default job with a coordinator and ten clients as processes of their own, over TLS, beside `simulate` in the same run: the same student,
and how much longer a round takes than its slowest client works.
  bench/sites.py build/release/launch/fedstill [--folder DIR] [--simulated RUN] [--seed 0] [--set section.key=value]...
--simulated: the folder of a run of the same job, instead of a new one."""
import argparse, datetime, json, os, pathlib, re, shutil, subprocess, sys, tempfile, time

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "tests/pipeline"))
from foreign_client import certify  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("fedstill")
parser.add_argument("--folder")
parser.add_argument("--simulated")
parser.add_argument("--seed", default="0")
parser.add_argument("--set", action="append", default=[])
options = parser.parse_args()
fedstill = os.path.realpath(options.fedstill)
folder = options.folder or tempfile.mkdtemp()
if options.simulated:
    options.simulated = os.path.realpath(options.simulated)
os.makedirs(folder, exist_ok=True)
os.chdir(folder)
settings = ["--set", "run.seed=" + options.seed] + [word for one in options.set for word in ("--set", one)]


def run(*words):
    return subprocess.run([fedstill, *words], check=True, capture_output=True, text=True).stdout


def entries(log):
    for line in open(log):
        entry = json.loads(line)
        entry["at"] = datetime.datetime.fromisoformat(entry["time"].replace("Z", "+00:00")).timestamp()
        yield entry


if not options.simulated:
    run("simulate", *settings, "--run", "simulated", "--quiet", "--json")
alone = json.load(open((options.simulated or "simulated") + "/report.json"))
print(f"simulate: {sum(alone['seconds'].values()):.1f} s, clients {alone['seconds']['clients']:.1f} s, student {alone['student']['sha256'][:16]}", flush=True)

run("cert", "init", "authority")
certify(fedstill, "hub", "coordinator", "127.0.0.1")
run("shards", *settings, "--out", "sites")
clients = [(client["name"], client["architecture"]) for client in alone["clients"]]
for name, _ in clients:
    certify(fedstill, name, "client")
coordinator = subprocess.Popen([fedstill, "coordinator", *settings, "--state", "state", "--identity", "hub", "--listen", "127.0.0.1:0", "--quiet", "--json"],
                               stdout=subprocess.PIPE, text=True)
port = None
while port is None:
    time.sleep(0.05)
    if os.path.exists("state/events.jsonl"):
        port = re.search(r'"port":(\d+)', open("state/events.jsonl").read())
started = time.time()
processes = [subprocess.Popen([fedstill, "client", "--coordinator", f"127.0.0.1:{port[1]}", "--identity", name, "--data", f"idx:sites/{name}",
                               "--model", model, "--state", f"state-{name}", "--threads", "1", "--quiet"], stdout=subprocess.DEVNULL)
             for name, model in clients]
for process in processes:
    assert process.wait() == 0
report = json.loads(coordinator.communicate()[0])
ended = time.time()

works, ready = {}, {}
for name, _ in clients:
    log = list(entries(f"state-{name}/audit.jsonl"))
    plan = next(e["at"] for e in log if e["what"].startswith("RoundPlan"))
    offer = next(e["at"] for e in log if e["what"].startswith("BlobOffer"))
    works[name], ready[name] = offer - plan, offer - started
updates = {client["sha256"] for client in report["clients"]}
accepted = max(e["at"] for e in entries("state/audit.jsonl") if e["what"].endswith(": accepted") and e["action"] == "sent" and e["sha256"] in updates)
round_seconds, slowest, last_ready = accepted - started, max(works.values()), max(ready.values())
print(f"over TLS: {ended - started:.1f} s, student {report['student']['sha256'][:16]}: {'the same' if report['student']['sha256'] == alone['student']['sha256'] else 'ANOTHER'}")
print(f"round: {round_seconds:.2f} s from the start of ten processes to the last accepted update; the slowest client worked {slowest:.2f} s from plan to offer "
      f"(its process {last_ready:.2f} s): {100 * (round_seconds / slowest - 1):+.1f} % ({100 * (round_seconds / last_ready - 1):+.1f} %)")
if not options.folder:
    shutil.rmtree(folder)
