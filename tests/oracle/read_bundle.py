"""Reads an edge bundle with Python's own zip reader and checks the manifest's hashes.

usage: read_bundle.py BUNDLE.zip

Prints the names of the entries and a line about the manifest; exits with 1 if a hash differs.
"""
import hashlib
import json
import sys
import zipfile

with zipfile.ZipFile(sys.argv[1]) as bundle:
    assert bundle.testzip() is None, "a checksum differs"
    manifest = json.loads(bundle.read("manifest.json"))
    for name, entry in manifest["entries"].items():
        data = bundle.read(name)
        assert len(data) == entry["size"], name
        assert hashlib.sha256(data).hexdigest() == entry["sha256"], name
    print(*bundle.namelist())
    print(f"{len(manifest['class_names'])} classes, {manifest['scheme']}, {manifest['agreement']}")
