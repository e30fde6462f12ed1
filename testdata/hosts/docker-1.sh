#!/usr/bin/env bash
# Makes the host "docker-1" in namespaces of its own and records it:
#   sudo testdata/hosts/docker-1.sh NETGLANCE [COMMAND...]
# writes docker-1.ng beside this file with the given netglance, or runs a command on the host instead.
#
# Debian's Docker (docker.io, busybox-static) with four containers: web is published, loop on loopback only, nobody
# listens in dead, and guarded has rules of its own. The host's own rules would keep all of them out. A namespace
# of ip netns, blue, serves a port to 10.0.0.0/8. Nothing outside of the namespaces stays behind.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [ -z "${DOCKER1_INSIDE:-}" ]; then
  ng=$(realpath "$1"); shift
  DOCKER1_INSIDE=1 exec unshare --net --uts --mount --pid --fork --kill-child --mount-proc --propagation private bash "$here/$(basename "$0")" "$ng" "$@"
fi
ng=$1; shift
export PATH=/usr/sbin:/usr/bin:/sbin:/bin DOCKER_HOST=unix:///run/docker.sock
dir=$(mktemp -d)
mount -t tmpfs docker-1 "$dir"
mkdir "$dir/changed" "$dir/work" "$dir/www"
mount -t overlay docker-1 -o "lowerdir=/etc,upperdir=$dir/changed,workdir=$dir/work" /etc
mount -t tmpfs docker-1 /run
for tool in iptables ip6tables; do
  for verb in "" -save -restore; do ln -sf "/usr/sbin/$tool-nft$verb" "/etc/alternatives/$tool$verb"; done
done
finish() {
  docker rm -f web loop dead guarded >/dev/null 2>&1 || :
  [ $$ != 1 ] || kill -KILL -1 # everything else in this pid namespace
}
trap finish EXIT
until_works() {
  for _ in $(seq 120); do "$@" >/dev/null 2>&1 && return; sleep 0.25; done
  echo "gave up on: $*" >&2; exit 1
}

hostname docker-1
sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 net.ipv4.ip_forward=1
ip link set lo up
ip tuntap add eth0 mode tap
ip link set eth0 address 02:00:00:00:00:08 up
ip addr add 203.0.113.8/24 dev eth0
ip addr add 2001:db8::8/64 dev eth0 nodad
ip route add default via 203.0.113.1
ip -6 route add default via 2001:db8::1
nft -f - <<'RULES'
table inet guard {
	chain input {
		type filter hook input priority filter; policy drop;
		ct state established,related accept
		iif lo accept
		tcp dport 22 accept
	}
}
RULES

dockerd --host "$DOCKER_HOST" --data-root "$dir/docker" --exec-root /run/docker --pidfile /run/docker.pid --storage-driver vfs >"$dir/docker.log" 2>&1 &
until_works docker info
mkdir -p "$dir/image/bin" && cp /bin/busybox "$dir/image/bin/"
tar -C "$dir/image" -c . | docker import - busybox >/dev/null
start() { docker run -d --name "$1" -p "$2" busybox /bin/busybox httpd -f -p 80 >/dev/null; }
start web 8080:80
start loop 127.0.0.1:8081:80
start dead 8082:81
start guarded 8083:80
nsenter --net="/proc/$(docker inspect -f '{{.State.Pid}}' guarded)/ns/net" nft -f - <<'RULES'
table ip own {
	chain input {
		type filter hook input priority filter; policy drop;
		ip saddr 198.51.100.0/24 tcp dport 80 accept
	}
}
RULES

ip netns add blue
ip link add blue0 type veth peer name eth0 netns blue
ip addr add 10.8.0.1/24 dev blue0
ip link set blue0 up
ip -n blue link set lo up
ip -n blue addr add 10.8.0.2/24 dev eth0
ip -n blue link set eth0 up
ip -n blue route add default via 10.8.0.1
ip netns exec blue nft -f - <<'RULES'
table ip filter {
	chain input {
		type filter hook input priority filter; policy drop;
		ip saddr 10.0.0.0/8 tcp dport 9000 accept
	}
}
RULES
busybox httpd -f -p 22 -h "$dir/www" &
ip netns exec blue busybox httpd -f -p 9000 -h "$dir/www" &
until_works sh -c 'ss -Hltn | grep -q :22'
until_works sh -c 'ip netns exec blue ss -Hltn | grep -q :9000'
sleep 1 # the bridge's ports come up, and docker-proxies listen

if [ $# -gt 0 ]; then "$@"; else "$ng" record "$here/docker-1.ng"; fi
