#!/usr/bin/env bash
# Runs the tests: ./test.sh [lint|unit|contract|integration|browser|lab|long|lab-debian12|lab-el9]...   (default: all but the last three)
set -euo pipefail
cd "$(dirname "$0")"

usage() {
  cat <<'TEXT'
Usage: ./test.sh [LEVEL ...]

  lint          ruff, mypy, import rules, ansible-lint, yamllint, shellcheck, actionlint (with go)
  unit          pure functions
  contract      wire formats, golden files, exit codes
  integration   real Kafka and a real database, started by the tests (loopback); the store on MySQL as well (root)
  browser       the pages of the console in Chromium, over a real database
  lab           the whole fleet on hosts of both systems, Debian 12 and EL 9 twins: dry run on bare hosts, converge,
                verify, the drills (a second run that changes nothing among them), destroy (root)
  long          tests and drills marked long, which the levels above leave out (hours)
  lab-debian12  the lab with Debian 12 on every host, and the long drills
  lab-el9       the lab with EL 9 twins as every host, and the long drills

Without a level: lint, then integration and browser, then unit, contract and the store on MySQL while the lab's fleet
is installed, then the lab's drills.
A table at the end shows how long each stage took.
If a lab is already running, the lab levels refuse to start, unless CI=true.
TEXT
}

# --- the stages, and how long each took

say() { printf '\n\033[1m== %s\033[0m\n' "$*" >&2; }

stage() { # NAME: ends the stage before as passed, and begins this one
  end_stage passed
  stage=$1 began=$SECONDS
  say "$stage"
}

end_stage() { # OUTCOME
  [ -n "${stage:-}" ] || return 0
  took $((SECONDS - began)) "$1" "$stage"
  # The times of its parts, written by pytest (tests/conftest.py).
  cat "$OBSCRAFT_TEST_TIMES" >>"$times"
  : >"$OBSCRAFT_TEST_TIMES"
  stage=
}

took() { printf '%s\t%s\t%s\n' "$@" >>"$times"; } # SECONDS OUTCOME NAME; parts are indented

in_one_piece() { # NAME COMMAND...: prints the command's output when it has ended
  local began=$SECONDS name=$1 outcome=passed said status=0
  shift
  said=$("$@" 2>&1) || status=$? outcome=failed
  printf '\n== %s\n%s\n' "$name" "$said" >&2
  took $((SECONDS - began)) "$outcome" "  beside: $name"
  return "$status"
}

running=() # process ids of commands that run beside the stages

beside() { # COMMAND...: runs the command beside the stages, as a process group of its own
  set -m
  "$@" &
  set +m
  running+=($!)
}

wait_for_what_runs_beside() {
  local job
  stage "waiting for what runs beside"
  for job in "${running[@]}"; do wait "$job"; done
  running=()
}

finish() { # prints the table in any case, and stops and removes what this run started
  local job
  end_stage failed # after a complete run no stage is open
  for job in $(jobs -p); do kill -INT -- "-$job" 2>/dev/null || true; done
  wait
  [ -z "${lab_is_ours:-}" ] || molecule destroy >/dev/null 2>&1 || obsctl lab down
  say "how long it took"
  awk -F '\t' '
    { printf "%6.0f s  %-7s %s\n", $1, $2, $3 }
    $3 !~ /^ / { sum += $1 }
    END { printf "%6.0f s  in all\n", sum }' "$times" >&2
  rm -rf "$(dirname "$times")"
}

run_tests() { # PYTEST-ARGUMENT...: up to five tests that fail run once more, alone; the table at the end names them
  local status=0 cache failed again
  cache=$(mktemp -d -p "$(dirname "$times")")
  pytest -o cache_dir="$cache" "$@" || status=$?
  [ "$status" = 1 ] || return "$status"
  failed=$(python -c 'import json, sys; print(*json.load(open(sys.argv[1])), sep="\n")' "$cache/v/cache/lastfailed") || return
  [ "$(wc -l <<<"$failed")" -le 5 ] || return 1
  say "once more, alone: $failed"
  mapfile -t again <<<"$failed"
  pytest -n 0 "${again[@]}" || return
  while read -r test; do took 0 flaky "    failed, then passed alone: $test"; done <<<"$failed"
}

# --- what the levels need

legacy() { # ansible-core 2.16, the last one for EL 7 and EL 8
  VENV=.venv-legacy ./scripts/make-venv legacy
}

build_artifacts() { # half a second where nothing has changed
  command -v mvn >/dev/null || ./scripts/install-packages maven
  obsctl artifacts build
  install_native
}

install_native() { # the consumer's native module, if it could be built, so that its tests are not skipped
  local wheels=("${XDG_CACHE_HOME:-$HOME/.cache}"/obsctl/artifacts/wheels/py3.11/obscraft_native-*.whl)
  [ -e "${wheels[0]}" ] || return 0
  python -m pip install --quiet --disable-pip-version-check --no-index --no-deps "${wheels[0]}"
  export OBSCTL_NATIVE=required
}

prepare_contract() {
  legacy
  # Without root the tests that need these packages are skipped, with the reason.
  [ "$(id -u)" != 0 ] || ./scripts/install-packages nginx keepalived openssh-server
  build_artifacts
}

prepare_integration() {
  ./scripts/install-packages mariadb-server redis-server
  command -v java >/dev/null || ./scripts/install-packages openjdk-17-jre-headless
  build_artifacts
}

prepare_browser() {
  ./scripts/install-packages mariadb-server chromium chromium-driver fonts-dejavu-core fonts-noto-cjk
}

prepare_lab() {
  [ "$(id -u)" = 0 ] || {
    echo "the lab makes mounts and network links: run this as root, or only: ./test.sh lint unit contract integration" >&2
    exit 77
  }
  if [ "${CI:-}" != true ] && [ -e /var/lib/obsctl-lab/state.json ]; then
    echo "a lab is up on this machine, and these tests crash its hosts: take it down first (./start.sh --down)" >&2
    exit 77
  fi
  ./scripts/install-packages systemd-container mmdebstrap nftables iproute2 openssh-client
  legacy
  build_artifacts
}

# --- the levels

# Several test processes: all tests of a file run in one of them, with its own broker and database.
by_file=(--dist loadfile --no-loadscope-reorder)
# `./test.sh long` runs the tests that this leaves out.
short=(-m "not long")

lint() {
  stage "lint"
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

unit() {
  stage "unit"
  run_tests tests/unit
}

contract() {
  stage "contract: artifacts and environments"
  prepare_contract
  stage "contract"
  run_tests -n 2 "${by_file[@]}" "${short[@]}" tests/contract
}

integration() {
  stage "integration: artifacts and servers"
  prepare_integration
  stage "integration"
  run_tests -n 3 "${by_file[@]}" "${short[@]}" --durations=15 tests/integration
  stage "integration: the store on MySQL"
  on_mysql
}

on_mysql() { # the store's tests, with lines read by Python alone, on a MySQL that no stable Debian has
  [ "$(id -u)" = 0 ] || { echo "left out: unpacking the server needs root" >&2; return; }
  local program
  program=$(PYTHONPATH=tests python -m rig.mysql_server) || return
  OBSCTL_TEST_READ_BY=python OBSCTL_TEST_MYSQLD=$program \
    run_tests -n 2 "${by_file[@]}" "${short[@]}" tests/integration/test_store.py tests/integration/test_poison.py
}

browser() {
  stage "browser: programs"
  prepare_browser
  stage "browser"
  run_tests --durations=15 tests/browser
}

everything() { # stages run beside each other, since most use one core only
  stage "artifacts and environments"
  ./scripts/install-packages shellcheck
  beside in_one_piece "lint" ./test.sh lint
  prepare_lab
  prepare_contract
  prepare_integration
  prepare_browser
  beside in_one_piece "roots of the lab's hosts" python -m obsctl.lab.base debian12 el9
  wait_for_what_runs_beside
  # Three test processes use both cores: with a fleet beside them, brokers would time out.
  export OBSCRAFT_TEST_PATIENCE=3
  stage "integration, browser (seconds of three processes)"
  run_tests -n 3 "${by_file[@]}" "${short[@]}" --durations=15 tests/integration tests/browser
  # Playbooks wait for their hosts, so the fleet is installed beside tests that compute.
  export OBSCRAFT_LAB_OS=mixed
  lab_is_ours=true
  beside make_lab
  stage "unit, contract (seconds of two processes)"
  run_tests -n 2 "${by_file[@]}" "${short[@]}" --durations=15 tests/unit tests/contract
  stage "integration: the store on MySQL"
  on_mysql
  wait_for_what_runs_beside
  unset OBSCRAFT_TEST_PATIENCE
  drill_lab "${short[@]}"
}

lab_steps=(create check converge verify) # molecule's, up to the drills

make_lab() {
  local step
  for step in "${lab_steps[@]}"; do
    in_one_piece "lab, $OBSCRAFT_LAB_OS: $step" molecule "$step" || return
  done
}

drill_lab() { # PYTEST-OPTION...
  stage "lab, $OBSCRAFT_LAB_OS: drills"
  CI=true run_tests --durations=15 "$@" tests/lab
  stage "lab, $OBSCRAFT_LAB_OS: destroy"
  molecule destroy
  lab_is_ours=
}

whole_lab() { # SYSTEM PYTEST-OPTION...: molecule's cycle step by step, with the drills before destroy
  local step
  export OBSCRAFT_LAB_OS=$1
  shift
  stage "lab, $OBSCRAFT_LAB_OS: artifacts and environments"
  prepare_lab
  lab_is_ours=true
  for step in "${lab_steps[@]}"; do
    stage "lab, $OBSCRAFT_LAB_OS: $step"
    molecule "$step"
  done
  drill_lab "$@"
}

lab() { whole_lab mixed "${short[@]}"; }
lab-debian12() { whole_lab debian12; }
lab-el9() { whole_lab el9; }

long() {
  stage "long: artifacts, environments and servers"
  prepare_contract
  prepare_integration
  stage "long: contract, integration"
  run_tests -n 2 "${by_file[@]}" -m long --durations=15 tests/contract tests/integration
  stage "long: every fault, with lines that Python alone reads"
  OBSCTL_TEST_READ_BY=python run_tests tests/integration/test_conservation.py
  whole_lab mixed -m long
}

case ${1:-} in
  -h | --help) usage; exit 0 ;;
esac
for level in "$@"; do
  case $level in lint | unit | contract | integration | browser | lab | long | lab-debian12 | lab-el9) ;; *) usage >&2; exit 64 ;; esac
done
levels=("$@")
[ ${#levels[@]} -gt 0 ] || levels=(everything)

times=$(mktemp -d)/stages
OBSCRAFT_TEST_TIMES=$(dirname "$times")/parts
export OBSCRAFT_TEST_TIMES
touch "$times" "$OBSCRAFT_TEST_TIMES"
trap finish EXIT

stage "Python environment"
./scripts/install-packages python3-venv
./scripts/make-venv control lab dev
PATH=$PWD/.venv/bin:$PATH
for level in "${levels[@]}"; do "$level"; done
end_stage passed
say "passed: ${*:-lint, unit, contract, integration, browser, lab}"
