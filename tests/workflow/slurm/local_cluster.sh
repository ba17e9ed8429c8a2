#!/usr/bin/env bash
# A SLURM cluster of one node, this machine, with accounting, made-up GPUs and a partition whose
# jobs can be preempted: for `make slurm-test`, on Debian, as root. No systemd and no cgroups needed.
#
#   local_cluster.sh up      install what is missing, write the configuration, start everything
#   local_cluster.sh down    stop it
#   local_cluster.sh check   whether `up` has a chance; one line if not
#
# It leaves a machine alone that belongs to a real cluster.
set -euo pipefail

DIR=${TRANSIENCE_CLUSTER_DIR:-/var/lib/transience-cluster} # database, logs, pid files
CPUS=8                                                    # advertised, however many there are
MEMORY_MB=64000                                           # likewise
GPUS=4                                                    # made up
DATABASE_PORT=33306
ACCOUNT=sweep
HOST=$(hostname -s)
MARK='written by local_cluster.sh'
PACKAGES=(munge slurmctld slurmd slurm-client slurm-wlm-basic-plugins slurmdbd mariadb-server)

say() { printf 'local_cluster.sh: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

check() {
  [ "$(id -u)" = 0 ] || die "expected to be root, which a cluster of one's own takes"
  command -v apt-get >/dev/null || die "expected Debian or its like with apt-get, found none"
  if [ -e /etc/slurm/slurm.conf ] && ! grep -q "$MARK" /etc/slurm/slurm.conf; then
    die "/etc/slurm/slurm.conf: expected none or one of ours, found that of another cluster"
  fi
}

# A pid file can outlive its process and name a stranger.
alive() { [ -s "$1" ] && grep -aqE 'slurm|munged|mariadbd' "/proc/$(cat "$1")/cmdline" 2>/dev/null; }

wait_for() { # seconds, what, command...
  local seconds=$1 what=$2
  shift 2
  for _ in $(seq $((seconds * 5))); do
    "$@" >/dev/null 2>&1 && return
    sleep 0.2
  done
  die "$what did not start within $seconds s; see $DIR"
}

install_packages() {
  local package missing=()
  for package in "${PACKAGES[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
      missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return
  say "installing ${missing[*]}"
  local policy=/usr/sbin/policy-rc.d ours=
  # Keep the packages from starting services of their own.
  if [ ! -e "$policy" ]; then
    ours=1
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
  fi
  apt_install "${missing[@]}" || { apt-get update -qq && apt_install "${missing[@]}"; } ||
    die "apt-get install failed; see $DIR/apt.log"
  [ -z "$ours" ] || rm "$policy"
}

apt_install() {
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" \
    >"$DIR/apt.log" 2>&1
}

write_configuration() {
  mkdir -p /etc/slurm "$DIR"/{controller,node,log,run,devices}
  chmod 755 "$DIR"
  chown slurm:slurm "$DIR"/{controller,log,run}
  getent hosts "$HOST" >/dev/null || echo "127.0.0.1 $HOST" >>/etc/hosts
  write_slurm_conf
  write_gres_conf
  write_slurmdbd_conf
}

write_slurm_conf() {
  # OverMemoryKill holds jobs to their memory, polling, where there are no cgroups to do it.
  # EnforcePartLimits refuses a job that no node could take, which else waits for ever.
  cat >/etc/slurm/slurm.conf <<CONF
# $MARK
ClusterName=transience
SlurmctldHost=$HOST(127.0.0.1)
SlurmUser=slurm
SlurmdUser=root
AuthType=auth/munge
CryptoType=crypto/munge
StateSaveLocation=$DIR/controller
SlurmdSpoolDir=$DIR/node
SlurmctldPidFile=$DIR/run/slurmctld.pid
SlurmdPidFile=$DIR/run/slurmd.pid
SlurmctldLogFile=$DIR/log/slurmctld.log
SlurmdLogFile=$DIR/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobContainerType=job_container/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2,defer_batch
KillWait=10
ReturnToService=2
PropagateResourceLimits=NONE
JobRequeue=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
SlurmdParameters=config_overrides
NodeName=$HOST NodeAddr=127.0.0.1 CPUs=$CPUS RealMemory=$MEMORY_MB Gres=gpu:$GPUS State=UNKNOWN
PartitionName=cpu Nodes=$HOST Default=YES PriorityTier=10
PartitionName=gpu Nodes=$HOST PriorityTier=10
PartitionName=preemptable Nodes=$HOST PriorityTier=1 PreemptMode=REQUEUE GraceTime=5
EnforcePartLimits=ALL
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStorageTRES=gres/gpu
AccountingStoreFlags=job_comment
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=2
JobAcctGatherParams=OverMemoryKill
CONF
}

write_gres_conf() {
  # A GPU without a device file is ignored; nothing opens the file, so a second /dev/null will do.
  local i
  for i in $(seq 0 $((GPUS - 1))); do
    [ -e "$DIR/devices/gpu$i" ] || mknod "$DIR/devices/gpu$i" c 1 3 2>/dev/null ||
      touch "$DIR/devices/gpu$i"
  done
  cat >/etc/slurm/gres.conf <<CONF
AutoDetect=off
NodeName=$HOST Name=gpu File=$DIR/devices/gpu[0-$((GPUS - 1))]
CONF
}

write_slurmdbd_conf() {
  cat >/etc/slurm/slurmdbd.conf <<CONF
AuthType=auth/munge
DbdHost=localhost
SlurmUser=slurm
PidFile=$DIR/run/slurmdbd.pid
LogFile=$DIR/log/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$DATABASE_PORT
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
CONF
  chown slurm:slurm /etc/slurm/slurmdbd.conf
  chmod 600 /etc/slurm/slurmdbd.conf # or slurmdbd refuses to start
}

start_munge() {
  munge -n 2>/dev/null | unmunge >/dev/null 2>&1 && return
  [ -s /etc/munge/munge.key ] || head -c 1024 /dev/urandom >/etc/munge/munge.key
  chown munge:munge /etc/munge /etc/munge/munge.key
  chmod 700 /etc/munge
  chmod 400 /etc/munge/munge.key
  install -d -o munge -g munge -m 755 /run/munge
  install -d -o munge -g munge -m 700 /var/log/munge
  install -d -o munge -g munge -m 711 /var/lib/munge
  setpriv --reuid munge --regid munge --clear-groups /usr/sbin/munged
  touch "$DIR/run/our-munge"
  wait_for 10 munged sh -c 'munge -n | unmunge'
}

sql() { mariadb --no-defaults -uroot --socket="$DIR/run-db/socket" "$@"; }

start_database() {
  if ! alive "$DIR/run-db/mariadb.pid"; then
    install -d -o mysql -g mysql "$DIR/db" "$DIR/run-db"
    [ -d "$DIR/db/mysql" ] || mariadb-install-db --no-defaults --user=mysql --datadir="$DIR/db" \
      --auth-root-authentication-method=socket --skip-test-db >"$DIR/log/database.log" 2>&1
    setsid nohup mariadbd --no-defaults --user=mysql --datadir="$DIR/db" --bind-address=127.0.0.1 \
      --port=$DATABASE_PORT --socket="$DIR/run-db/socket" --pid-file="$DIR/run-db/mariadb.pid" \
      --log-error="$DIR/run-db/error.log" --innodb-buffer-pool-size=128M \
      --innodb-lock-wait-timeout=900 </dev/null >/dev/null 2>&1 &
    wait_for 60 mariadb sql -e 'select 1'
  fi
  sql -e "CREATE DATABASE IF NOT EXISTS slurm_acct_db;
    CREATE USER IF NOT EXISTS 'slurm'@'127.0.0.1' IDENTIFIED BY 'slurm';
    CREATE USER IF NOT EXISTS 'slurm'@'localhost' IDENTIFIED BY 'slurm';
    GRANT ALL ON slurm_acct_db.* TO 'slurm'@'127.0.0.1';
    GRANT ALL ON slurm_acct_db.* TO 'slurm'@'localhost';"
}

start_accounting() {
  alive "$DIR/run/slurmdbd.pid" || slurmdbd
  wait_for 30 slurmdbd sacctmgr -n show cluster
  sacctmgr -n -P show cluster format=cluster | grep -qx transience ||
    sacctmgr -i add cluster transience >/dev/null
  sacctmgr -n -P show account format=account | grep -qx "$ACCOUNT" ||
    sacctmgr -i add account "$ACCOUNT" Description=test Organization=test >/dev/null
  sacctmgr -n -P show assoc user=root account="$ACCOUNT" format=user | grep -qx root ||
    sacctmgr -i add user root Account="$ACCOUNT" >/dev/null
}

node_ready() { sinfo -h -N -o '%T' | grep -Eq '^(idle|mixed|allocated)$'; }

start_slurm() {
  alive "$DIR/run/slurmctld.pid" || slurmctld
  wait_for 30 slurmctld sh -c 'scontrol ping | grep -q "is UP"'
  alive "$DIR/run/slurmd.pid" || slurmd
  sleep 1
  node_ready || scontrol update nodename="$HOST" state=resume 2>/dev/null || true
  wait_for 30 "node $HOST" node_ready
}

stop() { # pid file
  alive "$1" || return 0
  local pid
  pid=$(cat "$1")
  kill "$pid" 2>/dev/null || true
  for _ in $(seq 50); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.2
  done
  kill -9 "$pid" 2>/dev/null || true
  rm -f "$1"
}

down() {
  alive "$DIR/run/slurmctld.pid" && scancel --user=root --quiet 2>/dev/null || true
  local daemon
  for daemon in slurmd slurmctld slurmdbd; do stop "$DIR/run/$daemon.pid"; done
  stop "$DIR/run-db/mariadb.pid"
  [ ! -e "$DIR/run/our-munge" ] || stop /run/munge/munged.pid
  rm -f "$DIR/run/our-munge"
}

case "${1:-}" in
  check) check ;;
  up)
    check
    mkdir -p "$DIR"
    install_packages
    write_configuration
    start_munge
    start_database
    start_accounting
    start_slurm
    say "ready"
    ;;
  down)
    check
    down
    ;;
  *) die "expected up, down or check, found ${1:-nothing}" ;;
esac
