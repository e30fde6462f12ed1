#!/usr/bin/env bash
# Makes the host "web-1" in namespaces of its own and records it:
#   sudo testdata/hosts/web-1.sh NETGLANCE [COMMAND...]
# writes web-1.ng beside this file with the given netglance, or runs a command on the host instead.
#
# nginx, redis, sshd and postgres as Debian ships them (nginx-light redis-server openssh-server
# postgresql), behind a ruleset whose author forgot IPv6. Nothing outside the namespaces
# changes but for four empty cgroups, which are removed again.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [ -z "${WEB1_INSIDE:-}" ]; then
  ng=$(realpath "$1"); shift
  WEB1_INSIDE=1 exec unshare --net --uts --mount --pid --fork --mount-proc --propagation private bash "$here/$(basename "$0")" "$ng" "$@"
fi
ng=$1; shift
dir=$(mktemp -d); chmod 755 "$dir"
mkdir "$dir/cgroup"; mount -t cgroup2 none "$dir/cgroup"
cgroups=$dir/cgroup/system.slice
finish() {
  [ $$ != 1 ] || kill -KILL -1 # everything else in this pid namespace
  wait 2>/dev/null || :
  for _ in $(seq 50); do rmdir "$cgroups"/*/ "$cgroups" 2>/dev/null && break; sleep 0.1; done
  umount "$dir/cgroup" && rm -rf "$dir"
}
trap finish EXIT

hostname web-1
sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
ip link set lo up
ip tuntap add eth0 mode tap
ip link set eth0 address 02:00:00:00:00:07 up
ip addr add 203.0.113.7/24 dev eth0
ip addr add 2001:db8::7/64 dev eth0 nodad
ip route add default via 203.0.113.1
ip -6 route add default via 2001:db8::1

nft -f - <<'RULES'
table ip filter {
	set admins {
		type ipv4_addr
		flags interval
		elements = { 10.0.0.0/8, 198.51.100.16/28 }
	}
	chain input {
		type filter hook input priority filter; policy drop;
		ct state established,related accept
		iif lo accept
		icmp type echo-request limit rate 5/second accept
		ip saddr @admins tcp dport 22 accept
		tcp dport { 80, 443 } accept
	}
}
table ip6 filter {
	chain input {
		type filter hook input priority filter; policy accept;
		ct state established,related accept
		iif lo accept
		tcp dport 22 accept
		tcp dport 80 accept
		tcp dport 9100 reject with tcp reset
	}
}
RULES

# unit UNIT COMMAND... runs a command in the cgroup that systemd would give it.
unit() {
  local group="$cgroups/$1.service"; shift
  mkdir -p "$group" && (echo $BASHPID >"$group/cgroup.procs" && exec "$@") &
  disown
}
cat >"$dir/nginx.conf" <<CONF
daemon off; pid $dir/nginx.pid; error_log /dev/null; worker_processes 2;
events {}
http {
  access_log off;
  server { listen 80; listen [::]:80 ipv6only=on; }
  server { listen 9100; listen [::]:9100 ipv6only=on; }
}
CONF
mkdir "$dir/data" && chown postgres "$dir/data"
runuser -u postgres -- /usr/lib/postgresql/*/bin/initdb -A reject -D "$dir/data" >/dev/null
mkdir -p /run/sshd
ssh-keygen -q -t ed25519 -N '' -f "$dir/key"
unit nginx nginx -c "$dir/nginx.conf"
unit redis-server runuser -u redis -- redis-server --port 6379 --bind 0.0.0.0 '::' --protected-mode no --dir "$dir" --save '' --logfile /dev/null
unit ssh /usr/sbin/sshd -D -h "$dir/key" -f /dev/null -o PidFile=none
unit postgresql runuser -u postgres -- /usr/lib/postgresql/*/bin/postgres -D "$dir/data" -c unix_socket_directories= -c logging_collector=off 2>/dev/null
for port in 22 80 5432 6379 9100; do
  for _ in $(seq 100); do [ -n "$(ss -Hltn "sport = $port")" ] && break; sleep 0.1; done
done

if [ $# -gt 0 ]; then
  "$@"
else
  "$ng" record "$here/web-1.ng"
fi
