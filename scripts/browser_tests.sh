#!/usr/bin/env bash
# Runs the browser tests: the built dashboard in a real Chromium, a real server, real jobs.
#
# Needs what `make setup` made (.venv, the dashboard, frontend/node_modules) and a Chromium. Where there is none and this
# runs as root on a Debian, it is installed; where that is not possible either, the tests are skipped and say so: a
# machine without a browser must still be able to run all the others. FANTAIL_CHROMIUM names one that is elsewhere.
set -euo pipefail
cd "$(dirname "$0")/.."

find_chromium() {
  local name
  for name in "${FANTAIL_CHROMIUM:-}" chromium chromium-browser google-chrome-stable google-chrome; do
    if [ -n "$name" ] && command -v "$name"; then return 0; fi
  done
  return 1
}

install_chromium() {
  [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null || return 1
  echo "No Chromium found; installing Debian's."
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null
}

skip() {
  echo "BROWSER TESTS SKIPPED: $1" >&2
  exit 0
}

command -v npm >/dev/null || skip "npm was not found."
FANTAIL_CHROMIUM=$(find_chromium) || { install_chromium && FANTAIL_CHROMIUM=$(find_chromium); } ||
  skip "no Chromium was found and none can be installed here (needs root and apt-get); set FANTAIL_CHROMIUM to name one."
export FANTAIL_CHROMIUM

cd frontend
exec npm run --silent test:browser -- "$@"
