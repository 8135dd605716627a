#!/usr/bin/env python3
"""A real `fedstill coordinator` with many joined clients, each with a certificate of its own, that say nothing but a sign of life every 15 s:
processor time and memory of the coordinator.
  bench/idle_sites.py build/release/launch/fedstill [--sites 2000] [--seconds 60] [--json]"""
import argparse, json, os, pathlib, re, resource, signal, ssl, struct, subprocess, sys, tempfile, time

parser = argparse.ArgumentParser()
parser.add_argument("fedstill")
parser.add_argument("--sites", type=int, default=2000)
parser.add_argument("--seconds", type=int, default=60)
parser.add_argument("--json", action="store_true")
options = parser.parse_args()
fedstill = os.path.realpath(options.fedstill)
sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "tests/pipeline"))
import foreign_client as wire  # noqa: E402

resource.setrlimit(resource.RLIMIT_NOFILE, (options.sites + 1000, max(options.sites + 1000, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
folder = tempfile.TemporaryDirectory()
os.chdir(folder.name)
JOB = {"data.source": "synthetic:4x1x16x16", "data.private": options.sites, "data.pool": 600, "data.validation": 0,
       "clients.count": options.sites, "clients.minimum": 1, "clients.split": "iid"}


def run(*words, text=None):
    return subprocess.run(words, check=True, capture_output=True, input=text).stdout


def certify():
    run(fedstill, "cert", "init", "authority")
    wire.certify(fedstill, "hub", "coordinator", "127.0.0.1")
    run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "key")
    open("extensions", "w").write("basicConstraints=critical,CA:FALSE\nextendedKeyUsage=clientAuth\n")
    for i in range(options.sites):  # one key for all: only names matter here
        request = run("openssl", "req", "-new", "-key", "key", "-subj", f"/OU=client/CN=site-{i}")
        run("openssl", "x509", "-req", "-CA", "authority/ca.crt", "-CAkey", "authority/ca.key", "-set_serial", str(1000 + i), "-days", "2",
            "-extfile", "extensions", "-out", f"{i}.crt", text=request)


def join(i, port):
    line = wire.Line(port, "authority/ca.crt", f"{i}.crt", "key")
    line.join(f"site-{i}", "mlp", 1, 1)
    line.socket.setblocking(False)
    return line


def live(lines, seconds):
    """A sign of life from each every 15 s, spread over them; what comes is dropped."""
    message = b"\1" + struct.pack("<I", 1) + wire.text("") + struct.pack("<QQ", 0, 0)
    head = struct.pack("<4sHHIIQ", b"FSTL", 1, wire.HEARTBEAT, 0, len(message), 0)
    beat = head + struct.pack("<I", wire.crc32c(head)) + message
    began, sent = time.time(), 0
    while time.time() - began < seconds:
        due = int((time.time() - began) / 15 * len(lines))
        for n in range(sent, due):
            line = lines[n % len(lines)]
            line.socket.send(beat)
            try:
                while line.socket.recv(65536):
                    pass
            except ssl.SSLWantReadError:
                continue
            raise SystemExit(f"site-{n % len(lines)} was cut off")
        sent = due
        time.sleep(0.01)


def usage(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    status = dict(re.findall(r"^(\w+):\s+(\d+) kB", open(f"/proc/{pid}/status").read(), re.M))
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), int(status["VmRSS"]) / 1000, int(status["RssAnon"]) / 1000


certify()
settings = [word for key, value in JOB.items() for word in ("--set", f"{key}={value}")]
coordinator = subprocess.Popen([fedstill, "coordinator", "--state", "state", "--identity", "hub", "--listen", "127.0.0.1:0", *settings],
                               stdout=subprocess.DEVNULL, stderr=open("err", "w"))
try:
    while not (os.path.exists("state/events.jsonl") and (found := re.search(r'"port":(\d+)', open("state/events.jsonl").read()))):
        if coordinator.poll() is not None:
            raise SystemExit(open("err").read())
        time.sleep(0.1)
    before = usage(coordinator.pid)
    began = time.time()
    lines = [join(i, int(found[1])) for i in range(options.sites)]
    joining = time.time() - began
    live(lines, 15)
    start = usage(coordinator.pid)
    live(lines, options.seconds)
    end = usage(coordinator.pid)
finally:
    coordinator.send_signal(signal.SIGKILL)
    coordinator.wait()
result = {"sites": options.sites, "seconds": options.seconds, "seconds_to_join_one_by_one": round(joining, 1),
          "percent_of_a_core": round(100 * (end[0] - start[0]) / options.seconds, 2), "resident_mb_before": before[1],
          "resident_mb": end[1], "anonymous_mb": end[2]}
print(json.dumps(result) if options.json else
      f"{options.sites} joined clients: {result['percent_of_a_core']} % of a core, {end[1]:.0f} MB ({end[2]:.0f} MB anonymous), before them "
      f"{before[1]:.0f} MB; joined one by one in {joining:.1f} s")
