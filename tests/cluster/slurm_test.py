#!/usr/bin/env python3
"""The Slurm template on a real Slurm of one node: submitted, preempted, told that its time is up, cancelled and submitted again, it
ends with the student of an uninterrupted job.

Usage: slurm_test.py FEDSTILL TEMPLATE      (exit 77: not wanted, or no Slurm here)"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
SECONDS = 120  # for anything that is waited for
STEPS_PER_EPOCH = 200  # of the student
JOB = """
[data]
source = "synthetic:4x1x16x16"
private = 600
pool = 400
validation = 100
[clients]
count = 3
models = ["mlp", "lenet5", "cnn3"]
alpha = 0.5
minimum = 40
epochs = 150
batch = 32
warm_up_steps = 5
[head]
steps = 40
batch = 32
[distillation]
epochs = 2
batch = 2
ranks = 1
[compression]
images = 128
minimum_agreement = 0.6
[run]
threads = 1
"""


def run(*words):
    return subprocess.run([str(w) for w in words], check=True, capture_output=True, text=True).stdout.strip()


def wait_for(what, holds):
    until = time.monotonic() + SECONDS
    while not holds():
        if time.monotonic() > until:
            raise TimeoutError(what)
        time.sleep(0.05)


def text_of(path):
    return path.read_text() if path.exists() else ""


class Cluster:
    def __init__(self, fedstill, template, folder):
        self.template, self.folder = template, folder
        (folder / "job.toml").write_text(JOB)
        os.environ["PATH"] = f"{fedstill.parent}:{os.environ['PATH']}"

    def submit(self, name):
        os.environ.update(FEDSTILL_RUN=str(self.folder / name), FEDSTILL_JOB=str(self.folder / "job.toml"))
        return run("sbatch", "--parsable", "--ntasks=2", "--cpus-per-task=1", f"--output={self.folder / name}.log", self.template)

    def state(self, job):
        return run("scontrol", "show", "job", job).split("JobState=")[1].split()[0]

    def wait_until_it_trains(self, name, row=",20,"):
        wait_for(f"{name}: a trained epoch", lambda: row in text_of(self.folder / name / "metrics.csv"))

    # Slurm holds a requeued job back for two minutes. Begun while the node still clears the last attempt away it would fail.
    def hurry(self, job):
        left = subprocess.run(["pgrep", "-f", rf"slurmstepd: \[{job}\."], check=False, capture_output=True).returncode == 0
        if self.state(job) == "PENDING" and not left:
            subprocess.run(["scontrol", "update", f"JobId={job}", "StartTime=now"], check=False, capture_output=True)

    def wait_until_done(self, name, job):
        report = self.folder / name / "report.json"

        def done():
            self.hurry(job)
            return report.exists()

        wait_for(f"{name}: a report", done)
        wait_for(f"{name}: the end", lambda: self.state(job) == "COMPLETED")
        return json.loads(report.read_text())["student"]["sha256"]


def check(cluster, fedstill, folder):
    run(fedstill, "simulate", folder / "job.toml", "--run", folder / "reference", "--quiet")
    expected = json.loads((folder / "reference" / "report.json").read_text())["student"]["sha256"]
    found = {"submitted": cluster.wait_until_done("submitted", cluster.submit("submitted"))}

    job = cluster.submit("preempted")
    cluster.wait_until_it_trains("preempted")
    run("scontrol", "requeue", job)
    found["preempted"] = cluster.wait_until_done("preempted", job)

    job = cluster.submit("time-is-up")
    cluster.wait_until_it_trains("time-is-up")
    run("scancel", "--batch", "--signal=USR1", job)
    found["time-is-up"] = cluster.wait_until_done("time-is-up", job)

    job = cluster.submit("within-an-epoch")
    cluster.wait_until_it_trains("within-an-epoch", "student,student,0,")
    run("scancel", "--batch", "--signal=USR1", job)
    wait_for("within-an-epoch: queued again", lambda: cluster.state(job) != "RUNNING")
    steps = json.loads(run(fedstill, "inspect", folder / "within-an-epoch" / "student.checkpoint", "--json"))["steps_done"]
    found["within-an-epoch"] = cluster.wait_until_done("within-an-epoch", job)

    job = cluster.submit("cancelled")
    cluster.wait_until_it_trains("cancelled")
    run("scancel", job)
    wait_for("the cancelled job's end", lambda: cluster.state(job) == "CANCELLED")
    found["cancelled"] = cluster.wait_until_done("cancelled", cluster.submit("cancelled"))

    averaged = []
    for ranks in ((), ("srun", "--ntasks=2", "--mpi=pmix", "--kill-on-bad-exit=1")):
        name = folder / f"averaged-{len(averaged)}"
        run(*ranks, fedstill, "fedavg", folder / "job.toml", "--set", "averaging.rounds=2", "--run", name, "--quiet")
        averaged.append(json.loads((name / "fedavg.json").read_text())["averaged"]["sha256"])

    status = int(steps <= STEPS_PER_EPOCH)
    print(f"{'FAILED' if status else 'ok'}: told after {STEPS_PER_EPOCH} steps, the student was kept with {steps}")
    status |= averaged[0] != averaged[1]
    print(f"{'ok' if averaged[0] == averaged[1] else 'FAILED'}: FedAvg on two ranks of srun: {averaged[1][:16]}, expected {averaged[0][:16]}")
    for name, student in found.items():
        good = student == expected
        status |= not good
        print(f"{'ok' if good else 'FAILED'}: {name}: student {student[:16]}, expected {expected[:16]}")
    return status


def main() -> int:
    if not os.environ.get("FEDSTILL_LONG") or os.geteuid() != 0 or not all(shutil.which(p) for p in ("slurmctld", "slurmd", "munged")):
        print("skipped: ./check --long as root, with slurm-wlm and munge installed")
        return 77
    fedstill, template = (pathlib.Path(word).resolve() for word in sys.argv[1:3])
    folder = pathlib.Path(tempfile.mkdtemp(prefix="fedstill-slurm-"))
    os.environ.update(SLURM_CONF=str(folder / "slurm" / "slurm.conf"), OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    try:
        run(HERE / "slurm.sh", "start", folder / "slurm")
        return check(Cluster(fedstill, template, folder), fedstill, folder)
    except subprocess.CalledProcessError as error:
        print(f"FAILED: {error}\n{error.stdout}{error.stderr}")
        return 1
    except (AssertionError, TimeoutError) as error:
        print(f"FAILED: {error}")
        for log in folder.glob("*.log"):
            print(f"{log.name}:\n{log.read_text()[-2000:]}")
        return 1
    finally:
        subprocess.run([HERE / "slurm.sh", "stop", folder / "slurm"], check=False)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
