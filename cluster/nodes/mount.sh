#!/usr/bin/env bash
# Mounts storage that all nodes share on /shared, by NFS, and makes a folder there for this user; nothing where it is mounted.
#   bash mount.sh SERVER:/PATH [OPTIONS]
set -euo pipefail
if ! mountpoint -q /shared; then
  command -v mount.nfs >/dev/null || { sudo apt-get update -q && sudo apt-get install -y -q -o DPkg::Lock::Timeout=300 nfs-common; }
  sudo mkdir -p /shared
  sudo mount -t nfs -o "${2:-vers=4.1},hard,timeo=600,retrans=2" "$1" /shared
fi
[ -w /shared/fsar ] || { sudo mkdir -p /shared/fsar && sudo chown "$(id -u):$(id -g)" /shared/fsar; }
