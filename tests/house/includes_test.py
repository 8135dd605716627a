#!/usr/bin/env python3
"""Holds the includes of the tree against the table in docs/architecture.md, and keeps LibTorch out of the folders that promise to be free of it.

Usage: includes_test.py ROOT"""
import pathlib
import re
import sys


def read_table(root: pathlib.Path):
    """Folder → (folders it may include, free of LibTorch), from the rows `| \\`name/\\` | what | may include |`."""
    table, above = {}, []
    for row in (root / "docs/architecture.md").read_text().splitlines():
        match = re.match(r"\| `([a-z/]+)/` \| (.*) \| (.*) \|$", row)
        if not match:
            continue
        folder, what, may = match.groups()
        allowed = {folder}
        if "everything above but " in may:
            allowed |= set(above) - {may.split("everything above but ")[1].strip()}
        elif "everything" in may:
            allowed |= set(above)
        else:
            for word in re.split(r", ", may):
                word = word.strip()
                if word.endswith(" and above"):
                    word = word.removesuffix(" and above")
                    allowed |= table[word][0]
                if word == "edge":
                    word = "compression/edge"
                if word not in ("–", ""):
                    allowed.add(word)
        table[folder] = (allowed, "No LibTorch" in what)
        above.append(folder)
    return table


def room(path: str, table) -> str | None:
    return max((f for f in table if path.startswith(f + "/")), key=len, default=None)


def main() -> int:
    root = pathlib.Path(sys.argv[1]).resolve()
    table = read_table(root)
    assert len(table) >= 11, "the table in docs/architecture.md was not understood"
    findings, seen = [], 0
    for folder in table:
        for path in sorted((root / folder).rglob("*")):
            relative = path.relative_to(root).as_posix()
            here = room(relative, table)
            if path.suffix not in {".h", ".cpp"} or here != folder:
                continue
            seen += 1
            for number, line in enumerate(path.read_text().splitlines(), 1):
                match = re.match(r'\s*#include\s*(["<])([^">]+)', line)
                if not match:
                    continue
                there = room(match[2], table) if match[1] == '"' else None
                if there and there not in table[here][0]:
                    findings.append(f"{relative}:{number}: {here}/ may not include {there}/")
                if table[here][1] and re.match(r"(ATen|torch|c10)/", match[2]):
                    findings.append(f"{relative}:{number}: {here}/ is free of LibTorch")
                if re.match(r"torch/(torch|all|extension)\.h|ATen/ATen\.h", match[2]):
                    findings.append(f"{relative}:{number}: {match[2]} costs seconds per file; use ATen/ops/<op>.h")
    print("\n".join(findings) or f"{seen} files keep to the table")
    return 1 if findings or not seen else 0


if __name__ == "__main__":
    sys.exit(main())
