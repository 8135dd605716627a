#!/usr/bin/env bash
# A real Slurm of one node in a folder of its own, without systemd and without touching /etc/slurm.
# Usage: slurm.sh start FOLDER | stop FOLDER      (as root; needs slurm-wlm and munge)
set -euo pipefail
what=$1 folder=$(realpath -m "$2")
if [ "$what" = stop ]; then
  for name in slurmctld slurmd munged; do [ -e "$folder/$name.pid" ] && kill "$(cat "$folder/$name.pid")" 2> /dev/null || true; done
  exit 0
fi
mkdir -p "$folder"/{state,spool,log} && chmod 755 "$folder" "$folder"/*
[ -e "$folder/munge.key" ] || { dd if=/dev/urandom of="$folder/munge.key" bs=128 count=1 status=none; chmod 400 "$folder/munge.key"; }
munged --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" --pid-file="$folder/munged.pid" --log-file="$folder/log/munged.log" --seed-file="$folder/munge.seed"
host=$(hostname -s)
cat > "$folder/slurm.conf" <<CONF
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
CredType=cred/munge
SlurmctldPort=16817
SlurmdPort=16818
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/affinity
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/builtin
MpiDefault=pmix
ReturnToService=2
KillWait=5
RequeueExit=9
JobCompType=jobcomp/none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:4
CONF
export SLURM_CONF=$folder/slurm.conf
slurmctld -f "$SLURM_CONF"
slurmd -f "$SLURM_CONF" -N "$host"
for _ in $(seq 100); do sinfo -h -o %T 2> /dev/null | grep -qE 'idle|mixed' && exit 0; sleep 0.1; done
tail -5 "$folder"/log/*.log >&2
exit 1
