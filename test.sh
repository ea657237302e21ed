#!/usr/bin/env bash
# Runs the tests: ./test.sh [lint|unit|contract|integration|lab]...   (default: all of them, in this order)
set -euo pipefail
cd "$(dirname "$0")"

usage() {
  cat <<'EOF'
Usage: ./test.sh [LEVEL ...]

  lint          ruff, mypy, import rules, ansible-lint, yamllint, shellcheck
  unit          pure functions
  contract      wire formats, golden files, exit codes
  integration   real Kafka and a real database, started by the tests (loopback)
  lab           the whole fleet: converge, converge again, verify, destroy (root)

Without a level: all of them. Refuses to touch a lab that it did not start, unless CI=true.
EOF
}

say() { printf '\n\033[1m== %s\033[0m\n' "$*" >&2; }

lint() {
  say "lint"
  ./scripts/install-packages shellcheck
  ruff check src tests
  ruff format --check src tests
  mypy
  lint-imports
  yamllint -s .
  shellcheck start.sh test.sh .ci/run scripts/*
  ansible-lint --offline -q
}

build_artifacts() { # half a second where nothing has changed
  command -v mvn >/dev/null || ./scripts/install-packages maven
  obsctl artifacts build
}

contract() {
  say "contract"
  # Without root the tests of these two say that they were skipped, and why.
  [ "$(id -u)" != 0 ] || ./scripts/install-packages nginx keepalived
  build_artifacts
  pytest tests/contract
}

integration() {
  say "integration"
  ./scripts/install-packages mariadb-server
  command -v java >/dev/null || ./scripts/install-packages openjdk-17-jre-headless
  build_artifacts
  pytest tests/integration
}

lab() {
  say "lab"
  [ "$(id -u)" = 0 ] || { echo "the lab level makes mounts and network links: run it as root" >&2; exit 77; }
  if [ "${CI:-}" != true ] && [ -e /var/lib/obsctl-lab/state.json ]; then
    echo "a lab is up on this machine, and these tests crash its hosts: take it down first (./start.sh --down)" >&2
    exit 77
  fi
  ./scripts/install-packages systemd-container mmdebstrap nftables iproute2 openssh-client
  build_artifacts
  # Whatever happens, the machine is left as it was.
  trap 'molecule destroy >/dev/null 2>&1 || obsctl lab down' EXIT
  molecule test --destroy=never
  CI=true pytest tests/lab
  molecule destroy
  trap - EXIT
}

levels=("$@")
case ${1:-} in
  -h | --help) usage; exit 0 ;;
  '') levels=(lint unit contract integration lab) ;;
esac
for level in "${levels[@]}"; do
  case $level in lint | unit | contract | integration | lab) ;; *) usage >&2; exit 64 ;; esac
done

./scripts/install-packages python3-venv
./scripts/make-venv control lab dev
PATH=$PWD/.venv/bin:$PATH
for level in "${levels[@]}"; do
  case $level in
    unit) say "unit"; pytest tests/unit ;;
    *) "$level" ;;
  esac
done
say "all levels passed: ${levels[*]}"
