#!/usr/bin/env python3
"""Adds up what ctest and GoogleTest wrote in the given build folders; last line: `N passed, N failed`."""
import pathlib
import sys
import xml.etree.ElementTree as ET


def main() -> int:
    passed = failed = skipped = 0
    for folder in map(pathlib.Path, sys.argv[1:]):
        if not (folder / "junit.xml").exists():
            failed += 1
            print(f"failed: no test ran in {folder}")
            continue
        for entry in ET.parse(folder / "junit.xml").getroot().iter("testcase"):
            detail = folder / "test-results" / f"{entry.get('name')}.xml"
            ok = entry.get("status") == "run"
            if detail.exists() and ok:
                root = ET.parse(detail).getroot()
                total, bad = int(root.get("tests")), int(root.get("failures")) + int(root.get("errors"))
                off = sum(case.find("skipped") is not None or case.get("result") == "skipped" for case in root.iter("testcase"))
                passed, failed, skipped = passed + total - bad - off, failed + bad, skipped + off
            elif ok:
                passed += 1
            elif any("SKIP_RETURN_CODE" in skip.get("message", "") for skip in entry.iter("skipped")):
                skipped += 1  # it said so itself
            else:
                failed += 1
                print(f"failed: {entry.get('name')} ({folder})")
    if skipped:
        print(f"{skipped} skipped: what they need is absent on this machine")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
