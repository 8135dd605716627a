#!/usr/bin/env python3
"""A client in another language, written from docs/protocol.md and docs/formats.md alone, with nothing but Python's own library: it takes part
beside one of fedstill's, sends predictions, is cut off while it uploads, and gets the bundle.   foreign_client.py FEDSTILL"""
import hashlib, os, re, socket, ssl, struct, subprocess, sys, tempfile, time

JOIN, PLAN, ACKNOWLEDGEMENT, BUNDLE, HELLO, WELCOME = 1, 2, 4, 5, 6, 7
OFFER, REQUEST, CHUNK, PROGRESS, HEARTBEAT, PREDICTIONS = 8, 9, 10, 11, 12, 13
NAME, SAMPLES, PIECE = "python", 60, 1000


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def text(value):
    return struct.pack("<Q", len(value)) + value.encode()


class Reader:
    def __init__(self, data):
        self.data = data
        assert self.number("<B") == 1  # message version

    def number(self, form):
        size = struct.calcsize(form)
        value, self.data = struct.unpack(form, self.data[:size])[0], self.data[size:]
        return value

    def text(self):
        size = self.number("<Q")
        value, self.data = self.data[:size].decode(), self.data[size:]
        return value


class Line:
    """A greeted connection."""

    def __init__(self, port, authority=f"{NAME}/ca.crt", certificate=f"{NAME}/site.crt", key=f"{NAME}/site.key"):
        context = ssl.create_default_context(cafile=authority)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(certificate, key)
        self.socket = context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="127.0.0.1")
        self.send(HELLO, struct.pack("<HH", 1, 1) + text("python") + struct.pack("<Q", 0))
        welcome = Reader(self.receive(WELCOME)[0])
        assert welcome.number("<H") == 1

    def send(self, kind, fields, body=b""):
        message = b"\1" + fields
        head = struct.pack("<4sHHIIQ", b"FSTL", 1, kind, 0, len(message), len(body))
        self.socket.sendall(head + struct.pack("<I", crc32c(head)) + message + body)

    def exactly(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            assert more, "the coordinator is gone"
            data += more
        return data

    def receive(self, wanted):
        """The next frame of that kind; signs of life and the answers to chunks may come before."""
        while True:
            head = self.exactly(28)
            magic, version, kind, flags, metadata, body = struct.unpack("<4sHHIIQ", head[:24])
            assert (magic, version, flags) == (b"FSTL", 1, 0) and struct.unpack("<I", head[24:])[0] == crc32c(head[:24])
            message, data = self.exactly(metadata), self.exactly(body)
            if kind == wanted:
                return message, data
            assert kind in (HEARTBEAT, PROGRESS, ACKNOWLEDGEMENT), kind
            if kind == ACKNOWLEDGEMENT:
                assert_accepted(message)

    def join(self, name=NAME, architecture="quadrants", samples=SAMPLES, mode=2):
        self.send(JOIN, text(name) + text(architecture) + struct.pack("<qB", samples, mode))
        plan = Reader(self.receive(PLAN)[0])
        names = (("job", plan.text), ("round", lambda: plan.number("<I")), ("pool", plan.text), ("classes", lambda: plan.number("<q")),
                 ("settings", plan.text), ("pool_bytes", lambda: plan.number("<Q")), ("student", plan.text),
                 ("student_bytes", lambda: plan.number("<Q")), ("rounds", lambda: plan.number("<I")))
        fields = {name: read() for name, read in names}
        assert not plan.data and fields["round"] == 1 and not fields["student"] and "[clients]" in fields["settings"]
        return fields

    def fetch(self, sha256, size):
        data = b""
        self.send(REQUEST, text(sha256) + struct.pack("<Q", 0))
        while len(data) < size:
            message, body = self.receive(CHUNK)
            chunk = Reader(message)
            assert (chunk.text(), chunk.number("<Q")) == (sha256, len(data))
            data += body
            self.send(PROGRESS, text(sha256) + struct.pack("<Q", len(data)))
        assert hashlib.sha256(data).hexdigest() == sha256
        return data

    def offer(self, data):
        """Where the coordinator wants it from."""
        sha256 = hashlib.sha256(data).hexdigest()
        self.send(OFFER, text(sha256) + struct.pack("<Q", len(data)) + text("predictions"))
        request = Reader(self.receive(REQUEST)[0])
        assert request.text() == sha256
        return request.number("<Q")

    def upload(self, data, begin, end):
        sha256 = hashlib.sha256(data).hexdigest()
        for at in range(begin, end, PIECE):
            self.send(CHUNK, text(sha256) + struct.pack("<Q", at), data[at:min(at + PIECE, end)])
            progress = Reader(self.receive(PROGRESS)[0])
            assert (progress.text(), progress.number("<Q")) == (sha256, min(at + PIECE, end))


def assert_accepted(message):
    answer = Reader(message)
    answer.number("<I")
    sha256, accepted, reason = answer.text(), answer.number("<B"), answer.text()
    assert accepted, reason
    return sha256


def predictions_of(pool, plan):
    """A "model" that looks at the mean of each quadrant."""
    magic, count, height, width = struct.unpack(">IIII", pool[:16])
    assert magic == 0x803 and len(pool) == 16 + count * height * width
    logits, confidences = [], []
    for i in range(count):
        image = pool[16 + i * height * width:][:height * width]
        rows = [image[y * width:(y + 1) * width] for y in range(height)]
        quadrants = [sum(sum(row[x:x + width // 2]) for row in rows[y:y + height // 2]) for y in (0, height // 2) for x in (0, width // 2)]
        logits += [quadrant / 4000 for quadrant in quadrants]
        confidences.append(0.5)
    head = b"FSTLPRED" + struct.pack("<IIqq", 1, 0, count, plan["classes"]) + plan["pool"].encode() + bytes(32)
    return head + struct.pack(f"<{len(logits)}f", *logits) + struct.pack(f"<{count}f", *confidences)


def take_part(port):
    line = Line(port)
    plan = line.join()
    update = predictions_of(line.fetch(plan["pool"], plan["pool_bytes"]), plan)
    assert line.offer(update) == 0
    line.upload(update, 0, 3 * PIECE)
    line.socket.close()

    line = Line(port)
    assert line.join() == plan
    begin = line.offer(update)
    assert begin == 3 * PIECE, begin
    line.upload(update, begin, len(update))
    sha256 = hashlib.sha256(update).hexdigest()
    line.send(PREDICTIONS, struct.pack("<I", plan["round"]) + text(NAME) + text(sha256) + struct.pack("<q", SAMPLES))
    assert assert_accepted(line.receive(ACKNOWLEDGEMENT)[0]) == sha256

    message, _ = line.receive(BUNDLE)
    bundle = Reader(message)
    number, sha256, size, last = bundle.number("<I"), bundle.text(), bundle.number("<Q"), bundle.number("<B")
    assert number == 1 and last == 1 and not bundle.data
    data = line.fetch(sha256, size)
    line.send(ACKNOWLEDGEMENT, struct.pack("<I", number) + text(sha256) + b"\1" + text("") + b"\0")
    return data


def run(*words):
    subprocess.run(words, check=True, capture_output=True)


def certify(fedstill, name, role, *hosts):
    """An identity in the folder `name`, signed by the authority in the folder `authority`."""
    run(fedstill, "cert", "request", name, "--name", name, "--role", role)
    run(fedstill, "cert", "sign", "authority", f"{name}/site.csr", "--role", role, "--out", f"{name}.crt",
        *[word for host in hosts for word in ("--host", host)])
    run(fedstill, "cert", "install", name, f"{name}.crt", "authority/ca.crt")


def main(fedstill):
    assert crc32c(b"123456789") == 0xE3069283
    settings = ["data.source=synthetic:4x1x16x16", "data.private=200", "data.pool=200", "data.validation=100", "clients.count=2", "clients.models=mlp",
                "clients.epochs=2", "clients.min_steps=20", "clients.batch=32", "head.steps=20", "head.batch=32", "distillation.student=lenet5",
                "distillation.epochs=2", "distillation.batch=50", "compression.images=64", "compression.minimum_agreement=0.1", "run.threads=1"]
    words = [word for setting in settings for word in ("--set", setting)]

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        run(fedstill, "cert", "init", "authority")
        certify(fedstill, "hub", "coordinator", "127.0.0.1")
        certify(fedstill, "client-00", "client")
        certify(fedstill, NAME, "client")
        run(fedstill, "shards", *words, "--out", "sites")
        processes = [subprocess.Popen([fedstill, "coordinator", *words, "--state", "state", "--identity", "hub", "--listen", "127.0.0.1:0", "--quiet"],
                                      stdout=subprocess.DEVNULL)]
        try:
            port = None
            while port is None:
                assert processes[0].poll() is None
                if os.path.exists("state/events.jsonl"):
                    port = re.search(r'"port":(\d+)', open("state/events.jsonl").read())
                time.sleep(0.02)
            processes.append(subprocess.Popen([fedstill, "client", "--coordinator", f"127.0.0.1:{port[1]}", "--identity", "client-00", "--data",
                                               "idx:sites/client-00", "--model", "mlp", "--state", "state-00", "--threads", "1", "--quiet"],
                                              stdout=subprocess.DEVNULL))
            bundle = take_part(int(port[1]))
            assert [process.wait() for process in processes] == [0, 0]
            assert bundle == open("state/bundle.fsb", "rb").read() == open("state-00/bundle.fsb", "rb").read()
        finally:
            for process in processes:
                process.kill()
        os.chdir("/")
    print("a client in Python took part: done")


if __name__ == "__main__":
    main(os.path.realpath(sys.argv[1]))
