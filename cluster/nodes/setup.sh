#!/usr/bin/env bash
# Brings the environment of this node up to date with the project beside this file, at the pinned versions. It does
# nothing where pyproject.toml and constraints.txt are those of the last time: sources need no installation.
#   bash setup.sh [EXTRA ...]        extras of pyproject.toml, such as aws
# FSAR_VENV: where the environment is; ~/fsar-venv by default. Its stamp lies beside it, not in it.
# FSAR_SITE: the site of commands on this node that name none.
set -euo pipefail
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
venv=${FSAR_VENV:-$HOME/fsar-venv}
stamp=$venv.installed
extras=$(IFS=,; echo "$*")
want=$({ cat "$project/pyproject.toml" "$project/constraints.txt"; echo "$extras $project"; } | sha256sum | cut -d' ' -f1)

new_environment() {
  for python in python3.12 python3.11; do
    if command -v "$python" >/dev/null; then
      "$python" -m venv "$venv" 2>/dev/null && return
      sudo apt-get update -q && sudo apt-get install -y -q -o DPkg::Lock::Timeout=300 "$python-venv" && "$python" -m venv "$venv" && return
    fi
  done
  echo "this node needs Python 3.11 or 3.12 with its venv module, and found neither" >&2
  return 1
}

if [ "$(cat "$stamp" 2>/dev/null)" = "$want" ]; then
  echo "environment $venv is up to date"
else
  rm -f "$stamp"
  [ -x "$venv/bin/python" ] || new_environment
  "$venv/bin/python" -m pip install --quiet --constraint "$project/constraints.txt" \
    --editable "$project${extras:+[$extras]}"
  echo "$want" >"$stamp"
  echo "environment $venv is new"
fi

# The launcher runs every command through ~/.bashrc: `python` and `ray` must be the environment's there.
cat >"$HOME/.fsar_env" <<END
export RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0 VIRTUAL_ENV_DISABLE_PROMPT=1 ${FSAR_SITE:+FSAR_SITE='$FSAR_SITE'}
. '$venv/bin/activate'
END
line='. ~/.fsar_env'
grep -qxF "$line" "$HOME/.bashrc" 2>/dev/null || echo "$line" >>"$HOME/.bashrc"
