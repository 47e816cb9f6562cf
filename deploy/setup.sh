#!/usr/bin/env bash
# Set up a checkout: `setup.sh python` makes .venv, `setup.sh brokers` sees to Mosquitto, Java and Kafka's artefacts.
# Safe to run again. Debian packages are installed only where they are missing and we may (root, or sudo without a
# password); otherwise it says which command to run.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*" >&2; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif sudo -n true 2>/dev/null; then sudo -n "$@"; else return 1; fi
}

debian_packages() { # packages...
  if ! command -v apt-get >/dev/null; then
    say "please install with your package manager what Debian calls: $*"
    return 1
  fi
  say "installing Debian packages: $*"
  if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=5 update -qq ||
     ! as_root env DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=5 install -y -qq --no-install-recommends "$@" >/dev/null; then
    say "could not install them; please run: sudo apt-get install $*"
    return 1
  fi
}

python_with_311() {
  local candidate
  for candidate in "${PYTHON:-python3}" python3.13 python3.12 python3.11; do
    if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
      echo "$candidate"
      return
    fi
  done
  say "Python 3.11 or newer is needed; this machine has $(python3 --version 2>&1 || echo none)"
  return 1
}

set_up_python() {
  local python
  python=$(python_with_311)
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    debian_packages python3-venv
  fi
  if [ ! -x .venv/bin/python ]; then
    say "creating .venv with $("$python" --version)"
    "$python" -m venv .venv
  fi
  say "installing Python packages into .venv (about a minute the first time)"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
  touch .venv/.ready
}

set_up_brokers() {
  local missing=()
  [ -x /usr/sbin/mosquitto ] || command -v mosquitto >/dev/null || missing+=(mosquitto)
  # Mosquitto's journal plugin (deploy/mosquitto/journal) is built for the tests.
  [ -e /usr/include/mosquitto_plugin.h ] || missing+=(mosquitto-dev)
  [ -e /usr/include/mosquitto.h ] || missing+=(libmosquitto-dev)
  command -v cc >/dev/null || missing+=(build-essential)
  command -v openssl >/dev/null || missing+=(openssl)
  command -v java >/dev/null || missing+=(default-jre-headless)
  command -v mvn >/dev/null || [ -d .cache/kafka ] || missing+=(maven)
  if [ "${#missing[@]}" -gt 0 ]; then
    debian_packages "${missing[@]}" || say "tests that need these will say so and be skipped"
  fi
  if command -v java >/dev/null; then
    .venv/bin/python -m deploy.local_kafka fetch || say "Kafka tests will say so and be skipped"
  fi
}

case "${1:-}" in
  python) set_up_python ;;
  brokers) set_up_brokers ;;
  *) say "usage: deploy/setup.sh python|brokers"; exit 2 ;;
esac
