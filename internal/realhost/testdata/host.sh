#!/usr/bin/env bash
# The host "web-1": daemons as Debian ships them, on eth0 behind a ruleset. It runs as the first
# process of namespaces of its own (network, mount, pid, uts, cgroup), says "ready PEER" when all
# ports are open, and ends with its standard input. A line "restart" there makes it start all daemons anew and say "ready".
#   SCRATCH  a directory to mount a file system of its own on
#   CGROUP   this process's cgroup below a cgroup2 mount, for units; empty if there is none
# PEER is a process in another network namespace, at the other end of eth0.
set -euo pipefail
mount -t tmpfs -o mode=755 host "$SCRATCH"
mount -t tmpfs -o mode=755 host /run
hostname web-1
cd "$SCRATCH"

unshare --net sleep infinity &
peer=$!
until [ "$(readlink /proc/$peer/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
at_peer() { nsenter --net=/proc/$peer/ns/net "$@"; }
for family in all default; do # addresses are there at once, and for good
  echo 0 >/proc/sys/net/ipv6/conf/$family/accept_dad
  echo 0 >/proc/sys/net/ipv6/conf/$family/router_solicitations
done
ip link set lo up
ip link add eth0 type veth peer name peer0 netns $peer
ip addr add 203.0.113.7/24 dev eth0
ip addr add 2001:db8::7/64 dev eth0 nodad
ip link set eth0 up
at_peer ip link set lo up
at_peer ip addr add 203.0.113.1/24 dev peer0
at_peer ip addr add 2001:db8::1/64 dev peer0 nodad
at_peer ip link set peer0 up
ip route add default via 203.0.113.1
ip route add default via 2001:db8::1

# unit NAME COMMAND... runs a command in the cgroup that systemd would give it.
daemons=()
unit() {
  local name=$1; shift
  if [ -z "$CGROUP" ]; then
    "$@" &
  else
    mkdir -p "$CGROUP/system.slice/$name.service"
    (echo "$BASHPID" >"$CGROUP/system.slice/$name.service/cgroup.procs" && exec "$@") &
  fi
  daemons+=($!)
}
as() { local user=$1; shift; setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups "$@"; }

cat >nginx.conf <<CONF
user www-data;
daemon off; pid $SCRATCH/nginx.pid; error_log /dev/null; worker_processes 2;
events {}
http {
  access_log off;
  server { listen 80; listen [::]:80; listen 443; listen [::]:443; return 204; }
  server { listen 8080; listen [::]:8080; return 204; }
}
CONF
install -d -m 700 -o postgres -g postgres data
initdb=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
as postgres "$initdb/initdb" --no-sync --auth reject -D data >/dev/null
mkdir /run/sshd
ssh-keygen -q -t ed25519 -N '' -f hostkey
start_daemons() {
  unit nginx nginx -c "$SCRATCH/nginx.conf"
  unit redis-server setpriv --reuid redis --regid redis --init-groups redis-server --bind 0.0.0.0 '::' --protected-mode no --dir / --save '' --logfile /dev/null
  unit ssh /usr/sbin/sshd -D -h "$SCRATCH/hostkey" -f /dev/null -o PidFile=none
  unit postgresql@15-main setpriv --reuid postgres --regid postgres --init-groups "$initdb/postgres" -D "$SCRATCH/data" -c unix_socket_directories= -c fsync=off
  unit dnsmasq dnsmasq --keep-in-foreground --no-resolv --no-hosts --conf-file=/dev/null --pid-file= --address=/test/192.0.2.1
}
ports_open() {
  for at in tcp/22 tcp/80 tcp/443 tcp/8080 tcp/6379 tcp/5432 tcp/53 udp/53; do
    kind=${at%/*} port=${at#*/} option=t
    [ "$kind" = tcp ] || option=u
    for _ in $(seq 300); do
      [ -z "$(ss -Hln$option "sport = $port")" ] || continue 2
      sleep 0.1
    done
    echo "nothing listens on $port/$kind" >&2
    exit 1
  done
}
start_daemons
nft -f "$RULES"
ports_open
echo "ready $peer"
while read -r line; do
  [ "$line" = restart ] || continue
  kill "${daemons[@]}"
  wait "${daemons[@]}" || true
  daemons=()
  start_daemons
  ports_open
  echo "ready $peer"
done
