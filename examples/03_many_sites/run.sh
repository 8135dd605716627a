#!/usr/bin/env bash
# A coordinator and three sites, four processes with certificates of their own, on made-up images. docs/many-sites.md walks through it.
# Prints what each process does, "the same student as in one process: " with its hash, and last "example 03: done".
# Usage: run.sh [FEDSTILL]   (default: ./fedstill of this checkout)
set -euo pipefail
fedstill=$(realpath "${1:-$(dirname "$0")/../../fedstill}")
folder=$(mktemp -d)
trap 'jobs -p | xargs -r kill 2> /dev/null || true; wait; rm -rf "$folder"' EXIT
cd "$folder"

cat > job.toml <<'JOB'
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

[run]
seed = 1
threads = 1
JOB
"$fedstill" shards job.toml --out sites                                   # what each site would own

# The authority signs what the sites ask for; no private key ever moves.
"$fedstill" cert init authority
"$fedstill" cert request hub --name hub --role coordinator
"$fedstill" cert sign authority hub/site.csr --role coordinator --host localhost --host 127.0.0.1 --out hub.crt
"$fedstill" cert install hub hub.crt authority/ca.crt
for site in client-00 client-01 client-02; do
  "$fedstill" cert request "identity-$site" --name "$site"
  "$fedstill" cert sign authority "identity-$site/site.csr" --out "$site.crt"
  "$fedstill" cert install "identity-$site" "$site.crt" authority/ca.crt
done

"$fedstill" coordinator job.toml --state state --identity hub --listen 127.0.0.1:0 --revoked authority/revoked.txt --json > report.json &
coordinator=$!
until port=$(grep -m 1 -oP '"event":"listening".*?"port":\K[0-9]+' state/events.jsonl 2> /dev/null); do
  kill -0 $coordinator
  sleep 0.1
done

"$fedstill" preflight --coordinator "localhost:$port" --identity identity-client-00 --data idx:sites/client-00
clients=()
models=(mlp lenet5 mlp)
for i in 0 1 2; do
  "$fedstill" client --coordinator "localhost:$port" --identity "identity-client-0$i" --data "idx:sites/client-0$i" \
    --model "${models[$i]}" --state "state-client-0$i" --threads 1 --quiet &
  clients+=($!)
done
for client in "${clients[@]}"; do wait "$client"; done
wait $coordinator

"$fedstill" audit verify state-client-02/audit.jsonl                      # what left the site, line by line
cmp state/bundle.fsb state-client-02/bundle.fsb                           # every site has the bundle
"$fedstill" simulate job.toml --run simulated --quiet --json > simulated.json
python3 - <<'CHECK'
import json
sites, simulated = (json.load(open(name))["student"]["sha256"] for name in ("report.json", "simulated.json"))
assert sites == simulated, (sites, simulated)
print("the same student as in one process:", sites)
CHECK
echo "example 03: done"
