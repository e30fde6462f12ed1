#!/usr/bin/env bash
# Runs a command on a host whose rules are kept by real managers, in namespaces of its own:
#   sudo managers.sh legacy|nft "docker ufw firewalld" COMMAND...
# The first word says which iptables the managers find; the second which of them run, in order.
# SCRATCH, if set, is an empty directory for it. eth0 is 192.0.2.1 and 2001:db8::1, with default routes; busybox listens on 22, 5432 and 6379.
set -euo pipefail
if [ -z "${MANAGED:-}" ]; then
  MANAGED=1 exec unshare --net --mount --pid --fork --kill-child --mount-proc --propagation private bash "$0" "$@"
fi
backend=$1 managers=$2
shift 2
export PATH=/usr/sbin:/usr/bin:/sbin:/bin

scratch=${SCRATCH:-$(mktemp -d)}
mount -t tmpfs managers "$scratch"
mkdir "$scratch/changed" "$scratch/work" "$scratch/www"
mount -t overlay managers -o "lowerdir=/etc,upperdir=$scratch/changed,workdir=$scratch/work" /etc
mount -t tmpfs managers /run
for tool in iptables ip6tables; do
  for verb in "" -save -restore; do ln -sf "/usr/sbin/$tool-$backend$verb" "/etc/alternatives/$tool$verb"; done
done

ip link set lo up
ip tuntap add eth0 mode tap
ip addr add 192.0.2.1/24 dev eth0
ip addr add 2001:db8::1/64 dev eth0 nodad
ip link set eth0 up
ip route add default via 192.0.2.254
ip -6 route add default via 2001:db8::ff
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.default.accept_dad=0

until_works() {
  for _ in $(seq 120); do "$@" >/dev/null 2>&1 && return; sleep 0.25; done
  echo "gave up on: $*" >&2; tail -5 "$scratch"/*.log >&2; exit 1
}

start_docker() {
  export DOCKER_HOST=unix:///run/docker.sock
  dockerd --host "$DOCKER_HOST" --data-root "$scratch/docker" --exec-root /run/docker --pidfile /run/docker.pid \
    --storage-driver vfs >"$scratch/docker.log" 2>&1 &
  until_works /usr/bin/docker info
  mkdir -p "$scratch/image/bin" && cp /bin/busybox "$scratch/image/bin/"
  tar -C "$scratch/image" -c . | /usr/bin/docker import - web >/dev/null
  /usr/bin/docker run -d --name web -p 8080:80 web /bin/busybox httpd -f -p 80 >/dev/null
  /usr/bin/docker run -d --name loop -p 127.0.0.1:8081:80 web /bin/busybox httpd -f -p 80 >/dev/null
  /usr/bin/docker run -d --name dead -p 8082:81 web /bin/busybox httpd -f -p 80 >/dev/null
  trap '/usr/bin/docker rm -f web loop dead >/dev/null 2>&1 || :' EXIT
}

start_ufw() {
  ufw allow 22/tcp >/dev/null
  ufw allow proto tcp from 10.0.0.0/8 to any port 5432 >/dev/null
  ufw --force enable >/dev/null
}

start_firewalld() {
  mkdir -p /run/dbus /run/firewalld
  dbus-daemon --system --nofork --nopidfile >"$scratch/dbus.log" 2>&1 &
  until_works test -S /run/dbus/system_bus_socket
  firewalld --nofork >"$scratch/firewalld.log" 2>&1 &
  until_works firewall-cmd --state
  firewall-cmd -q --zone=public --add-interface=eth0
}

for m in $managers; do "start_$m"; done
for port in 22 5432 6379; do busybox httpd -f -p "$port" -h "$scratch/www" & done
for port in 22 5432 6379; do until_works bash -c "exec 3<>/dev/tcp/127.0.0.1/$port"; done
"$@"
