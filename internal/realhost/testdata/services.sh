#!/usr/bin/env bash
# Daemons as Debian ships them, in a network namespace of their own, to be recognised. Runs as the
# first process of its namespaces, says "ready" when all ports are open, and ends with its standard input.
#   SCRATCH  a directory to mount a file system of its own on
set -euo pipefail
mount -t tmpfs -o mode=755 host "$SCRATCH"
mount -t tmpfs -o mode=755 host /run
hostname web-1
cd "$SCRATCH"
ip link set lo up
# An interface for multicast to leave by.
ip link add eth0 type veth peer name peer0
ip addr add 192.0.2.7/24 dev eth0
ip link set eth0 up
ip link set peer0 up
ip route add default via 192.0.2.1

as() { local user=$1; shift; setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups "$@"; }
quiet() { "$@" >>"$SCRATCH/log" 2>&1; }

openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=web-1.example.org -addext subjectAltName=DNS:web-1.example.org \
  -keyout key.pem -out cert.pem 2>/dev/null
chmod 644 key.pem

cat >nginx.conf <<CONF
user www-data;
daemon off; pid $SCRATCH/nginx.pid; error_log /dev/null; worker_processes 1;
events {}
http {
  access_log off;
  ssl_certificate $SCRATCH/cert.pem; ssl_certificate_key $SCRATCH/key.pem;
  server { listen 80; listen 8322; location / { default_type text/html; return 200 '<title>Welcome to web-1</title>'; } }
  server { listen 443 ssl; listen 9643 ssl; location / { default_type text/html; return 200 '<title>Secure web-1</title>'; } }
}
CONF
install -d -m 700 -o postgres -g postgres data
initdb=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
as postgres "$initdb/initdb" --no-sync --auth reject -D data >/dev/null &
init=$!
mkdir -p /run/sshd
ssh-keygen -q -t ed25519 -N '' -f hostkey
quiet nginx -c "$SCRATCH/nginx.conf" &
quiet as redis redis-server --bind 0.0.0.0 --protected-mode no --dir / --save '' &
quiet as redis redis-server --bind 0.0.0.0 --port 6390 --requirepass secret --dir / --save '' &
quiet /usr/sbin/sshd -D -h "$SCRATCH/hostkey" -f /dev/null -p 22 -p 2722 -o PidFile=none &
quiet as memcache memcached -l 127.0.0.1 -U 11211 &
quiet dnsmasq --keep-in-foreground --no-resolv --no-hosts --conf-file=/dev/null --pid-file= --address=/test/192.0.2.1 &
printf 'listen=YES\nbackground=NO\nanonymous_enable=NO\nlocal_enable=YES\nssl_enable=NO\nsecure_chroot_dir=/run\n' >vsftpd.conf
quiet vsftpd "$SCRATCH/vsftpd.conf" &
printf 'agentAddress udp:161\nrocommunity public\nsysName web-1\n' >snmpd.conf
quiet snmpd -f -LE 3 -C -c "$SCRATCH/snmpd.conf" &
printf 'listener 1883\nallow_anonymous true\n' >mosquitto.conf
quiet mosquitto -c "$SCRATCH/mosquitto.conf" &
mkdir -p spool
chown Debian-exim spool
printf 'spool_directory = %s/spool\nlog_file_path = %s/spool/%%slog\nprimary_hostname = mail.example.org\ntls_advertise_hosts = *\ntls_certificate = %s/cert.pem\ntls_privatekey = %s/key.pem\n' \
  "$SCRATCH" "$SCRATCH" "$SCRATCH" "$SCRATCH" >exim.conf
quiet exim4 -C "$SCRATCH/exim.conf" -bdf -oX 25 -oP '' &
printf '[server]\nhost-name=web-1\nenable-dbus=no\nuse-ipv6=no\n[publish]\npublish-workstation=yes\n' >avahi.conf
mkdir -p /run/avahi-daemon
quiet avahi-daemon --no-drop-root --no-chroot -f "$SCRATCH/avahi.conf" &
# Without tables of its own it is up at once, and greets as ever.
install -d -o mysql mysql
quiet as mysql mariadbd --no-defaults --datadir="$SCRATCH/mysql" --socket="$SCRATCH/mysql/sock" --pid-file="$SCRATCH/mysql/pid" --bind-address=127.0.0.1 \
  --skip-grant-tables --skip-networking=0 --skip-innodb --default-storage-engine=Aria &
wait $init
quiet as postgres "$initdb/postgres" -D "$SCRATCH/data" -c unix_socket_directories= -c fsync=off &

for at in tcp/21 tcp/22 tcp/25 tcp/53 tcp/80 tcp/443 tcp/1883 tcp/3306 tcp/5432 tcp/6379 tcp/6390 tcp/11211 udp/53 udp/161 udp/5353 udp/11211; do
  kind=${at%/*} port=${at#*/} option=t
  [ "$kind" = tcp ] || option=u
  for _ in $(seq 300); do
    [ -z "$(ss -Hln$option "sport = $port")" ] || continue 2
    sleep 0.1
  done
  echo "nothing listens on $port/$kind" >&2
  tail -20 "$SCRATCH/log" >&2
  exit 1
done
echo ready
cat >/dev/null
