#!/usr/bin/env bash
# Starts the MLflow server of a site on this node's loopback, port 5000; nothing where one answers.
#   bash mlflow.sh SITE
# MLFLOW_BACKEND_STORE_URI and PGPASSWORD in the environment name PostgreSQL; else SQLite in the site's storage.
set -euo pipefail
bin=${FSAR_VENV:-$HOME/fsar-venv}/bin
log=$HOME/fsar-mlflow.log
answers() { "$bin/python" -c 'import urllib.request as u; u.urlopen("http://127.0.0.1:5000/health", timeout=2)' 2>/dev/null; }
if answers; then
  exit 0
fi
setsid nohup "$bin/fsar" tracking serve --site "$1" --port 5000 --workers 1 >"$log" 2>&1 </dev/null &
server=$!
for _ in $(seq 120); do
  answers && exit 0
  kill -0 "$server" 2>/dev/null || break
  sleep 1
done
echo "MLflow does not answer on 127.0.0.1:5000; the end of $log:" >&2
tail -n 20 "$log" >&2
exit 1
