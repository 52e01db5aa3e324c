#!/usr/bin/env bash
# From a trained network to an answering board under attack, and to one that is hardened: the README's commands.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH="$PWD/.venv/bin:$PATH" TF_CPP_MIN_LOG_LEVEL=3
out=${1:-demo}
board=${2:-mps2-an500}
mkdir -p "$out"

show() { printf '\n\033[1m$ %s\033[0m\n' "$*"; }
step() { show "$@"; "$@"; }

step tinyguard quantize models/digits/model.keras -o "$out/digits.tflite" \
    --calibration digits:train --evaluate digits:test
step tinyguard inspect "$out/digits.tflite" --board "$board"
show tinyguard flash "$out/digits.tflite" --board "$board" --json
tinyguard flash "$out/digits.tflite" --board "$board" --json | tee "$out/flash.json"
port=$(python -c 'import json, sys; print(json.load(open(sys.argv[1]))["port"])' "$out/flash.json")
trap 'tinyguard stop "$port" >/dev/null 2>&1 || true' EXIT
step tinyguard diff "$out/digits.tflite" --serial "$port" --data digits:test
step tinyguard eval "$out/digits.tflite" --serial "$port" --data digits:test
step tinyguard attack "$out/digits.tflite" --data digits:test --limit 100 --attack pgd --eps 20codes --check \
    --source models/digits/model.keras -o "$out/pgd.npz"
step tinyguard attack "$out/digits.tflite" --replay "$out/pgd.npz" --serial "$port"
step tinyguard attack "$out/digits.tflite" --data digits:test --limit 20 --attack square --eps 20codes \
    --queries 100 --serial "$port"
step tinyguard stop "$port"

step tinyguard harden filter "$out/digits.tflite" --filter bit-depth:2 -o "$out/hardened.tflite"
step tinyguard harden stochastic "$out/hardened.tflite" --p 0.1 --passes 10 --seed 1 --abstain-above 1 \
    -o "$out/hardened.tflite"
step tinyguard attack "$out/hardened.tflite" --data digits:test --limit 50 --attack pgd --eps 20codes
show tinyguard flash "$out/hardened.tflite" --board "$board" --json
tinyguard flash "$out/hardened.tflite" --board "$board" --json | tee "$out/flash.json"
port=$(python -c 'import json, sys; print(json.load(open(sys.argv[1]))["port"])' "$out/flash.json")
step tinyguard eval "$out/hardened.tflite" --serial "$port" --data digits:test
step tinyguard stop "$port"

step tinyguard exits models/digits/exits.tflite
show tinyguard flash models/digits/exits.tflite --board "$board" --json
tinyguard flash models/digits/exits.tflite --board "$board" --json | tee "$out/flash.json"
port=$(python -c 'import json, sys; print(json.load(open(sys.argv[1]))["port"])' "$out/flash.json")
step tinyguard eval models/digits/exits.tflite --serial "$port" --data digits:test --policy never
step tinyguard eval models/digits/exits.tflite --serial "$port" --data digits:test
step tinyguard stop "$port"
