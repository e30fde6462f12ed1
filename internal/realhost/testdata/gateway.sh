#!/usr/bin/env bash
# A home router, miniupnpd as Debian ships it, and a host behind it that had it map a port. Runs as the first
# process of its namespaces, says "ready" when both are up, and ends with its standard input. The host behind is
# the namespace of the process whose number stands in $SCRATCH/host.
#   SCRATCH  a directory to mount a file system of its own on
set -euo pipefail
mount -t tmpfs -o mode=755 router "$SCRATCH"
mount -t tmpfs -o mode=755 router /run
cd "$SCRATCH"
unshare --net sleep infinity &
host=$!
until [ "$(readlink /proc/$host/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
at_host() { nsenter --net=/proc/$host/ns/net "$@"; }
ip link set lo up
ip link add lan0 type veth peer name eth0 netns $host
ip link add wan0 type veth peer name provider
ip addr add 192.168.7.1/24 dev lan0
ip addr add 11.0.0.9/24 dev wan0 # miniupnpd refuses addresses for documentation
for link in lan0 wan0 provider; do ip link set $link up; done
at_host ip link set lo up
at_host ip addr add 192.168.7.20/24 dev eth0
at_host ip link set eth0 up
at_host ip route add default via 192.168.7.1

cat >miniupnpd.conf <<CONF
ext_ifname=wan0
ext_ip=11.0.0.9
listening_ip=lan0
http_port=5000
enable_natpmp=yes
enable_upnp=yes
secure_mode=yes
uuid=6e657467-6c61-4e63-a500-000000000001
friendly_name=home router
allow 22-65535 192.168.7.0/24 22-65535
deny 0-65535 0.0.0.0/0 0-65535
CONF
nft -f - <<RULES
table inet filter {
	chain forward { type filter hook forward priority 0; policy drop; jump miniupnpd; }
	chain miniupnpd { }
	chain prerouting { type nat hook prerouting priority -100; policy accept; jump prerouting_miniupnpd; }
	chain postrouting { type nat hook postrouting priority 100; policy accept; jump postrouting_miniupnpd; }
	chain prerouting_miniupnpd { }
	chain postrouting_miniupnpd { }
}
RULES
miniupnpd -d -f "$SCRATCH/miniupnpd.conf" -P "$SCRATCH/pid" >log 2>&1 &
for _ in $(seq 300); do
  [ -z "$(ss -Hlnu 'sport = 5351')" ] || [ -z "$(ss -Hlnt 'sport = 5000')" ] || break
  sleep 0.1
done
# NAT-PMP: map TCP 2222 outside to 22, for an hour (RFC 6886, 3.3).
at_host bash -c 'exec 3<>/dev/udp/192.168.7.1/5351; printf "\0\2\0\0\0\26\10\256\0\0\16\20" >&3; timeout 5 head -c 16 <&3 >answer'
at_host busybox nc -ll -p 22 -e cat &
for _ in $(seq 100); do [ -z "$(at_host ss -Hlnt 'sport = 22')" ] || break; sleep 0.05; done
echo $host >host
[ -s answer ] || { cat log >&2; exit 1; }
echo ready
cat >/dev/null
