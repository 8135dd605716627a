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
        (folder / "bin").mkdir()
        self.wrap("fedstill", fedstill, 'env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc >> "$FEDSTILL_RUN.cores"')
        self.wrap("srun", shutil.which("srun"), 'echo "$@" >> "$FEDSTILL_RUN.srun"')
        os.environ["PATH"] = f"{folder / 'bin'}:{os.environ['PATH']}"

    # A program as the template finds it, which notes something of every start.
    def wrap(self, name, program, note):
        path = self.folder / "bin" / name
        path.write_text(f'#!/bin/sh\n{note}\nexec "{program}" "$@"\n')
        path.chmod(0o755)

    def submit(self, name, ranks=2, cores=1):
        os.environ.update(FEDSTILL_RUN=str(self.folder / name), FEDSTILL_JOB=str(self.folder / "job.toml"))
        return run("sbatch", "--parsable", f"--ntasks={ranks}", f"--cpus-per-task={cores}", f"--output={self.folder / name}.log", self.template)

    # srun was told of them, and each rank saw them.
    def has_cores(self, name, ranks, cores):
        told = f"--cpus-per-task={cores} " in text_of(self.folder / f"{name}.srun")
        return told and text_of(self.folder / f"{name}.cores").split() == [str(cores)] * ranks

    # What srun says of its ranks in the job's output.
    def says_exit_code(self, name, code):
        return f"Exited with exit code {code}" in text_of(self.folder / f"{name}.log")

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
    wide = {"ranks": max(1, min(2, os.cpu_count() // 2)), "cores": min(2, os.cpu_count())}
    found["wide"] = cluster.wait_until_done("wide", cluster.submit("wide", **wide))

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

    checks = [(steps > STEPS_PER_EPOCH, f"told after {STEPS_PER_EPOCH} steps, the student was kept with {steps}")]
    for name in ("time-is-up", "within-an-epoch"):
        checks.append((cluster.says_exit_code(name, 9), f"{name}: the ranks left with 9"))
    checks.append((cluster.has_cores("submitted", 2, 1), "submitted: ranks 2, cores of each 1"))
    checks.append((cluster.has_cores("wide", **wide), f"wide: ranks {wide['ranks']}, cores of each {wide['cores']}"))
    for name, student in found.items():
        checks.append((student == expected, f"{name}: student {student[:16]}, expected {expected[:16]}"))
    checks += averaging(fedstill, folder)
    for good, what in checks:
        print(f"{'ok' if good else 'FAILED'}: {what}")
    return int(not all(good for good, _ in checks))


# FedAvg by whatever Slurm starts: ranks that meet share it, one process does it alone, and several that cannot meet do not each do all.
def averaging(fedstill, folder):
    def words(name):
        return [fedstill, "fedavg", folder / "job.toml", "--set", "averaging.rounds=2", "--run", folder / name, "--quiet"]

    def model(name):
        return json.loads((folder / name / "fedavg.json").read_text())["averaged"]["sha256"][:16]

    run(*words("averaged"))
    run("srun", "--ntasks=2", "--mpi=pmix", "--kill-on-bad-exit=1", *words("averaged-by-two"))
    run("srun", "--ntasks=1", "--mpi=none", *words("averaged-by-one"))
    run("sbatch", "--wait", "--ntasks=2", "--output=/dev/null", "--wrap", " ".join(str(word) for word in words("averaged-in-a-script")))
    checks = [(model(name) == model("averaged"), f"{name}: {model(name)}, expected {model('averaged')}")
              for name in ("averaged-by-two", "averaged-by-one", "averaged-in-a-script")]
    strangers = subprocess.run([str(word) for word in ("srun", "--ntasks=2", "--mpi=none", *words("strangers"))], check=False, capture_output=True, text=True)
    refused = strangers.returncode == 2 and "srun --mpi=pmix" in strangers.stderr and not (folder / "strangers").exists()
    return checks + [(refused, f"two processes without pmix: exit code {strangers.returncode}")]


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
