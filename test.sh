#!/usr/bin/env bash
# Runs the tests: ./test.sh [lint|unit|contract|integration|lab|lab-el9]...   (default: all but the last, in this order)
set -euo pipefail
cd "$(dirname "$0")"

usage() {
  cat <<'EOF'
Usage: ./test.sh [LEVEL ...]

  lint          ruff, mypy, import rules, ansible-lint, yamllint, shellcheck, actionlint (with go)
  unit          pure functions
  contract      wire formats, golden files, exit codes
  integration   real Kafka and a real database, started by the tests (loopback); the store on MySQL as well (root)
  lab           the whole fleet: converge, converge again, verify, the drills, destroy (root);
                then once more on EL 9 twins, without the drills
  lab-el9       all of it on EL 9 twins, and the drills that take several playbooks each

Without a level: all but lab-el9, those without a lab side by side. Refuses to touch a lab that it did not start, unless CI=true.
EOF
}

# Processes side by side: a file stays with one of them, which has a broker and a database of its own.
by_file=(--dist loadfile --no-loadscope-reorder)

say() { printf '\n\033[1m== %s\033[0m\n' "$*" >&2; }

lint() {
  say "lint"
  ./scripts/install-packages shellcheck
  ruff check src tests bench plugins
  ruff format --check src tests bench plugins
  mypy
  lint-imports
  yamllint -s .
  shellcheck start.sh test.sh .ci/run scripts/*
  ansible-lint --offline -q
  if command -v go >/dev/null; then
    go run github.com/rhysd/actionlint/cmd/actionlint@v1.7.7
  else
    echo "no go on this machine: .github/workflows is not linted" >&2
  fi
}

build_artifacts() { # half a second where nothing has changed
  command -v mvn >/dev/null || ./scripts/install-packages maven
  obsctl artifacts build
}

legacy() { # ansible-core 2.16, the last one for EL 7 and EL 8
  VENV=.venv-legacy ./scripts/make-venv legacy
}

unit() {
  say "unit"
  pytest tests/unit
}

prepare_contract() {
  legacy
  # Without root the tests of these say that they were skipped, and why.
  [ "$(id -u)" != 0 ] || ./scripts/install-packages nginx keepalived openssh-server
  build_artifacts
}

prepare_integration() {
  ./scripts/install-packages mariadb-server
  command -v java >/dev/null || ./scripts/install-packages openjdk-17-jre-headless
  build_artifacts
}

contract() {
  say "contract"
  prepare_contract
  pytest -n 2 "${by_file[@]}" tests/contract
}

integration() {
  say "integration"
  prepare_integration
  pytest -n 3 "${by_file[@]}" --durations=15 tests/integration
  on_mysql
}

on_mysql() { # what the store does, on MySQL's own server, which no stable Debian has
  say "integration: the store on MySQL"
  [ "$(id -u)" = 0 ] || { echo "left out: unpacking the server needs root" >&2; return; }
  local program
  program=$(python -m tests.integration.mysql_server)
  OBSCTL_TEST_MYSQLD=$program pytest -n 2 "${by_file[@]}" tests/integration/test_store.py tests/integration/test_poison.py
}

lint_in_one_piece() {
  local said status=0
  said=$(./test.sh lint 2>&1) || status=$?
  printf '%s\n' "$said" >&2
  return "$status"
}

without_lab() { # unit, contract and integration in turn would leave the cores idle for half of the time
  say "unit, contract, integration; lint beside them"
  ./scripts/install-packages shellcheck
  lint_in_one_piece &
  prepare_contract
  prepare_integration
  pytest -n 3 "${by_file[@]}" --durations=15 tests/unit tests/contract tests/integration
  wait $!
  on_mysql
}

prepare_lab() {
  [ "$(id -u)" = 0 ] || { echo "the lab levels make mounts and network links: run them as root" >&2; exit 77; }
  if [ "${CI:-}" != true ] && [ -e /var/lib/obsctl-lab/state.json ]; then
    echo "a lab is up on this machine, and these tests crash its hosts: take it down first (./start.sh --down)" >&2
    exit 77
  fi
  ./scripts/install-packages systemd-container mmdebstrap nftables iproute2 openssh-client
  build_artifacts
  # Whatever happens, the machine is left as it was.
  trap 'molecule destroy >/dev/null 2>&1 || obsctl lab down' EXIT
}

whole_lab() { # everything on the hosts of one system
  legacy
  export OBSCRAFT_LAB_OS=$1
  molecule test --destroy=never
  CI=true pytest --durations=15 tests/lab
  molecule destroy
}

lab() {
  say "lab (Debian 12)"
  prepare_lab
  whole_lab debian12
  say "lab (EL 9 twin: converge, converge again, verify)"
  export OBSCRAFT_LAB_OS=el9
  local step
  for step in create converge idempotence verify; do molecule "$step"; done
  CI=true pytest tests/lab/test_el_twin.py tests/lab/test_firewall.py tests/lab/test_hardening.py
  molecule destroy
  trap - EXIT
}

lab-el9() {
  say "lab (EL 9 twin)"
  prepare_lab
  whole_lab el9
  trap - EXIT
}

levels=("$@")
case ${1:-} in
  -h | --help) usage; exit 0 ;;
esac
for level in "${levels[@]}"; do
  case $level in lint | unit | contract | integration | lab | lab-el9) ;; *) usage >&2; exit 64 ;; esac
done
[ ${#levels[@]} -gt 0 ] || levels=(without_lab lab)

./scripts/install-packages python3-venv
./scripts/make-venv control lab dev
PATH=$PWD/.venv/bin:$PATH
for level in "${levels[@]}"; do "$level"; done
say "passed: ${*:-all levels but lab-el9}"
