#!/usr/bin/env bash
# Builds the lab fleet on this machine, provisions it with site.yml and sends real traffic through it.
set -euo pipefail
cd "$(dirname "$0")"

usage() {
  cat <<'EOF'
Usage: ./start.sh [--os debian12|el9|mixed | --down | --help]

  ./start.sh            install what is needed, build the artifacts, start the lab (five
                        systemd hosts), run site.yml on it, send traffic, show the status
  ./start.sh --os el9   the same on EL twins, like CentOS Stream 9 (docs/guides/lab.md), or with
                        mixed on hosts of both systems, as the tests do; a lab of another
                        system is taken down first
  ./start.sh --down     take the lab down again; only the installed packages, .venv and the
                        download cache stay

Needs: Debian 12 (or newer), root, about 6 GB of memory and 5 GB of disk.
EOF
}

say() { printf '\n\033[1m== %s\033[0m\n' "$*" >&2; }
die() { printf 'start.sh: %s\n' "$*" >&2; exit "${2:-69}"; }

# Checks the machine before anything is changed.
check_machine() {
  [ "$(id -u)" = 0 ] || die "the lab makes mounts and network links, so this needs root: run it with sudo" 77
  command -v apt-get >/dev/null || die "this machine has no apt-get: the lab runs on Debian 12 or newer"
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    die "python3 is missing or older than 3.11: apt-get install python3 (Debian 12 or newer)"
  local free_kb; free_kb=$(df --output=avail -k . | tail -n 1)
  [ "$free_kb" -gt 5000000 ] || die "less than 5 GB of disk free here ($((free_kb / 1024)) MiB): make room first"
}

main() {
  local os=debian12
  case ${1:-} in
    '') ;;
    --os) os=${2:-} ;;
    --os=*) os=${1#--os=} ;;
    --down) down; return ;;
    -h | --help) usage; return ;;
    *) usage >&2; exit 64 ;;
  esac
  case $os in debian12 | el9 | mixed) ;; *) usage >&2; exit 64 ;; esac
  check_machine
  trap 'printf "\nstart.sh: interrupted. Run the same command to continue, ./start.sh --down removes everything.\n" >&2; exit 130' INT TERM
  local began=$SECONDS

  say "1/6 Packages of this machine"
  ./scripts/install-packages systemd-container mmdebstrap nftables iproute2 openssh-client python3-venv
  say "2/6 Python environment (.venv)"
  ./scripts/make-venv
  say "3/6 Artifacts (Kafka, Filebeat, wheels)"
  build_artifacts
  say "4/6 Lab hosts"
  .venv/bin/obsctl lab up --os "$os"
  say "5/6 site.yml on inventories/lab"
  .venv/bin/ansible-playbook site.yml -i inventories/lab
  say "6/6 Traffic through the VIP, and where its lines are"
  local verdict=0
  # Just after a start replicas may still catch up: give them a minute, then report the state.
  timeout 60 .venv/bin/obsctl -q -i inventories/lab health --watch 2 --until ok >/dev/null || true
  .venv/bin/obsctl -i inventories/lab verify lb || verdict=$?
  .venv/bin/obsctl -i inventories/lab status || verdict=$?
  summary $((SECONDS - began)) "$([ "$os" = debian12 ] && echo MariaDB || echo MySQL)"
  [ "$verdict" = 0 ] || die "the fleet is up, but not healthy: the findings above say what to do" "$verdict"
}

build_artifacts() {
  # Maven and its JDK are only needed if the vendor's archive cannot be reached; the build then ends with 69.
  .venv/bin/obsctl artifacts build && return
  local rc=$?
  [ "$rc" = 69 ] || return "$rc"
  ./scripts/install-packages maven
  .venv/bin/obsctl artifacts build
}

down() {
  [ "$(id -u)" = 0 ] || die "taking the lab down needs root: run it with sudo" 77
  if [ ! -x .venv/bin/obsctl ]; then
    [ ! -e /var/lib/obsctl-lab ] || ./scripts/make-venv
  fi
  [ ! -x .venv/bin/obsctl ] || .venv/bin/obsctl lab down
}

summary() {
  cat <<EOF

The fleet is up (after $1 s).

  host             address        runs
  node1..node3     198.18.0.11-13 nginx, keepalived, obs-backend, filebeat, kafka
  db1              198.18.0.21    database ($2)
  app1             198.18.0.31    obsctl-consumer, obsctl-alerter, obsctl-console
  VIP              198.18.0.100   http://198.18.0.100/
  robot stand-in   198.18.0.1     http://198.18.0.1:9580/received

Try next (source .venv/bin/activate first, or write .venv/bin/obsctl):
  obsctl status                        all layers on one screen
  obsctl kafka status                  which failures the cluster can still survive
  obsctl alert test                    the message, and the robot's own answer
  obsctl console user add ada --role admin   then log in at https://198.18.0.31:8443
  obsctl lab kill node1                crash the VIP's holder, then: obsctl verify vip
  obsctl lab ssh db1 -- mysql obs -e 'SELECT COUNT(*) FROM access_log'
  ./start.sh --down                    remove the fleet again
EOF
}

main "$@"
