#!/usr/bin/env bash
# The command line from a job to a class name, on made-up images, in seconds.
# Prints the run's result, the student's nodes, the accuracy of each class, and last "example 02: done".
# Usage: run.sh [FEDSTILL]   (default: ./fedstill of this checkout)
set -euo pipefail
fedstill=${1:-$(dirname "$0")/../../fedstill}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat > "$folder/job.toml" <<'JOB'
[data]
source = "synthetic:4x1x16x16"
private = 2400
pool = 1000
validation = 400

[clients]
count = 3
models = ["mlp", "lenet5"]
split = "classes"
epochs = 3
min_steps = 60

[head]
steps = 150

[distillation]
student = "lenet5"
epochs = 6
JOB

"$fedstill" simulate "$folder/job.toml" --run "$folder/run" --seed 1          # clients → soft labels → student → bundle
"$fedstill" inspect "$folder/run/student.safetensors"                          # what was distilled, node by node
"$fedstill" evaluate "$folder/run/bundle.fsb" --data synthetic:4x1x16x16       # how good it is in integers
"$fedstill" inspect "$folder/run/bundle.fsb" --json > "$folder/bundle.json"    # every command speaks JSON
python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$folder/bundle.json"
test -s "$folder/run/report.html"
echo "example 02: done"
