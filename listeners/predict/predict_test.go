package predict

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/netglance/netglance/listeners"
)

// tree is files by name; a content that starts with "-> " is a link.
type tree map[string]string

func (t tree) ReadFile(name string) ([]byte, error) {
	if text, ok := t[path.Clean(name)]; ok && !strings.HasPrefix(text, "-> ") {
		return []byte(text), nil
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

func (t tree) ReadDir(name string) (names []string, err error) {
	for file := range t {
		if rest, ok := strings.CutPrefix(file, strings.TrimSuffix(name, "/")+"/"); ok {
			first, _, _ := strings.Cut(rest, "/")
			names = append(names, first)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if names == nil {
		err = fs.ErrNotExist
	}
	return names, err
}

func (t tree) Readlink(name string) (string, error) {
	if target, ok := strings.CutPrefix(t[name], "-> "); ok {
		return target, nil
	}
	return "", fs.ErrInvalid
}

func (t tree) Exists(name string) bool {
	_, err := t.ReadDir(name)
	return t[name] != "" || err == nil
}
func (t tree) Netlink(int, []byte) ([]byte, error) { return nil, errors.ErrUnsupported }
func (t tree) SocketHolders() ([]byte, error)      { return nil, errors.ErrUnsupported }

func predicted(t tree, start ...string) (sockets string, missing []string) {
	found, gaps := Read(t, start)
	var words []string
	for _, l := range found {
		both := ""
		if l.DualStack() {
			both = " (and IPv4)"
		}
		words = append(words, fmt.Sprintf("%s %s:%d%s", l.Protocol, l.Address, l.Port, both))
	}
	for _, g := range gaps {
		missing = append(missing, g.Source+": "+g.Reason)
	}
	return strings.Join(words, ", "), missing
}

const installed = "x"

func TestWhereDaemonsWillListen(t *testing.T) {
	const everywhere22 = "tcp 0.0.0.0:22, tcp :::22"
	for _, c := range []struct {
		name string
		tree tree
		want string
		gap  string // a part of the only gap; empty for none
	}{
		{"nothing", tree{"/etc/hostname": "x"}, "", ""},

		{"sshd: defaults", tree{"/usr/sbin/sshd": installed}, everywhere22, ""},
		{"sshd: what is commented out, and a Match block, says nothing", tree{"/usr/sbin/sshd": installed, "/etc/ssh/sshd_config": "#Port 2222\nMatch User git\n  Port 99\n  PasswordAuthentication no\n"}, everywhere22, ""},
		{"sshd: two ports", tree{"/usr/sbin/sshd": installed, "/etc/ssh/sshd_config": "Port 22\nport=2222\nAddressFamily inet\n"}, "tcp 0.0.0.0:22, tcp 0.0.0.0:2222", ""},
		{"sshd: addresses with and without port", tree{"/usr/sbin/sshd": installed, "/etc/ssh/sshd_config": "Port 22\nListenAddress 192.0.2.1\nListenAddress [2001:db8::1]:2222\nListenAddress 192.0.2.2:23\n"},
			"tcp 192.0.2.1:22, tcp 192.0.2.2:23, tcp 2001:db8::1:2222", ""},
		{"sshd: included before the rest, and only *.conf", tree{"/usr/sbin/sshd": installed, "/etc/ssh/sshd_config": "Include /etc/ssh/sshd_config.d/*.conf\n", "/etc/ssh/sshd_config.d/a.conf": "Port 2200\nMatch all\nPort 2201\n", "/etc/ssh/sshd_config.d/b.bak": "Port 1\n"},
			"tcp 0.0.0.0:2200, tcp :::2200, tcp 0.0.0.0:2201, tcp :::2201", ""},
		{"sshd: a Match block ends with its file", tree{"/usr/sbin/sshd": installed, "/etc/ssh/sshd_config": "Include a.conf\nPort 24\n", "/etc/ssh/a.conf": "Match User x\nPort 1\n"}, "tcp 0.0.0.0:24, tcp :::24", ""},
		{"sshd: a name", tree{"/usr/sbin/sshd": installed, "/etc/ssh/sshd_config": "ListenAddress vpn.example.org\n"}, "", `ListenAddress "vpn.example.org" is a name`},
		{"sshd: options of the service", tree{"/usr/sbin/sshd": installed, "/etc/default/ssh": "SSHD_OPTS=\"-p 2222\"\n"}, everywhere22, `started with the options "-p 2222"`},
		{"a configuration without its program", tree{"/etc/ssh/sshd_config": "Port 22\n"}, "", ""},

		{"nginx: servers of included sites", tree{"/usr/sbin/nginx": installed, "/etc/nginx/nginx.conf": "user www-data;\nevents {}\nhttp {\n  include sites-enabled/*; # all\n}\n",
			"/etc/nginx/sites-enabled/default": "server {\n listen 80 default_server;\n listen [::]:80;\n root /x;\n location / { return 200 \"listen 81;\"; }\n}\nserver { listen 443 ssl; listen 443 quic; server_name ${x}; }\n"},
			"tcp 0.0.0.0:80, tcp :::80, tcp 0.0.0.0:443, udp 0.0.0.0:443", ""},
		{"nginx: no listen is port 80", tree{"/usr/sbin/nginx": installed, "/etc/nginx/nginx.conf": "http { server { server_name a; } }"}, "tcp 0.0.0.0:80", ""},
		{"nginx: addresses, Unix sockets, streams", tree{"/usr/sbin/nginx": installed, "/etc/nginx/nginx.conf": "http { server { listen unix:/run/x; listen 127.0.0.1:8080; listen *:81; listen 192.0.2.1; listen [::]:82 ipv6only=off; } }\nstream { server { listen 53 udp; } }"},
			"tcp 192.0.2.1:80, tcp 0.0.0.0:81, tcp :::82 (and IPv4), tcp 127.0.0.1:8080, udp 0.0.0.0:53", ""},
		{"nginx: upstreams listen nowhere", tree{"/usr/sbin/nginx": installed, "/etc/nginx/nginx.conf": "http { upstream a { server 192.0.2.1:99; } # listen 1;\n server { listen 80; } }"}, "tcp 0.0.0.0:80", ""},
		{"nginx: a name, a comment with a brace, and a quote", tree{"/usr/sbin/nginx": installed, "/etc/nginx/nginx.conf": "http { # }\n log_format a '{ listen 1; \\' }';\n server { listen web.example.org:80; listen 81; } }"}, "tcp 0.0.0.0:81", "listen web.example.org:80"},

		{"apache: ports.conf, with and without TLS", tree{"/usr/sbin/apache2": installed, "/etc/apache2/apache2.conf": "IncludeOptional mods-enabled/*.load\nInclude ports.conf\n",
			"/etc/apache2/ports.conf": "Listen 80\n<IfModule ssl_module>\n\tListen 443\n</IfModule>\n<IfModule mod_gnutls.c>\n\tListen 444\n</IfModule>\n<IfModule !mod_x.c>\nListen 192.0.2.1:81\n</IfModule>\n", "/etc/apache2/mods-enabled/ssl.load": "LoadModule ssl_module /x.so\n"},
			"tcp :::80 (and IPv4), tcp 192.0.2.1:81, tcp :::443 (and IPv4)", ""},
		{"apache: a condition that isn't known", tree{"/usr/sbin/apache2": installed, "/etc/apache2/apache2.conf": "<IfDefine TEST>\nListen 8080\n</IfDefine>\n<IfDefine X>\nTimeOut 1\n</IfDefine>\n<VirtualHost *:99>\n</VirtualHost>\n"}, "tcp :::8080 (and IPv4)", "<ifdefine TEST> is taken to hold around Listen 8080"},

		{"postgres: localhost is the default", tree{"/usr/lib/postgresql/15/bin/postgres": installed, "/etc/postgresql/15/main/postgresql.conf": "#listen_addresses = '*'\nport = 5433 # (change requires restart)\n"}, "tcp 127.0.0.1:5433, tcp ::1:5433", ""},
		{"postgres: everywhere, and ALTER SYSTEM comes last", tree{"/usr/lib/postgresql/15/bin/postgres": installed, "/etc/postgresql/15/main/postgresql.conf": "data_directory = '/var/lib/postgresql/15/main'\nlisten_addresses = 'localhost'\ninclude_dir = 'conf.d'\n",
			"/etc/postgresql/15/main/conf.d/a.conf": "port 5555\n", "/var/lib/postgresql/15/main/postgresql.auto.conf": "listen_addresses = '*'\n"}, "tcp 0.0.0.0:5555, tcp :::5555", ""},
		{"postgres: none, and a name", tree{"/usr/lib/postgresql/15/bin/postgres": installed, "/etc/postgresql/15/a/postgresql.conf": "listen_addresses = ''\n", "/etc/postgresql/15/b/postgresql.conf": "listen_addresses = '192.0.2.1, db'\n"}, "tcp 192.0.2.1:5432", `"db" is a name`},
		{"postgres: started by hand", tree{"/usr/lib/postgresql/15/bin/postgres": installed, "/etc/postgresql/15/main/postgresql.conf": "\n", "/etc/postgresql/15/main/start.conf": "# auto, manual or disabled\nmanual\n"}, "tcp 127.0.0.1:5432, tcp ::1:5432", "its cluster's start is manual"},
		{"postgres: started with the system", tree{"/usr/lib/postgresql/15/bin/postgres": installed, "/etc/postgresql/15/main/postgresql.conf": "\n", "/etc/postgresql/15/main/start.conf": "# auto, manual or disabled\nauto\n"}, "tcp 127.0.0.1:5432, tcp ::1:5432", ""},
		{"postgres: a program without a cluster", tree{"/usr/lib/postgresql/15/bin/postgres": installed}, "", "no cluster was found"},

		{"redis: as Debian binds it", tree{"/usr/bin/redis-server": installed, "/etc/redis/redis.conf": "bind 127.0.0.1 -::1\nport 6379\n"}, "tcp 127.0.0.1:6379, tcp ::1:6379", ""},
		{"redis: without bind everywhere", tree{"/usr/bin/redis-server": installed, "/etc/redis/redis.conf": "# bind 127.0.0.1\nprotected-mode no\ntls-port 6380\n"}, "tcp 0.0.0.0:6379, tcp :::6379, tcp 0.0.0.0:6380, tcp :::6380", ""},
		{"redis: no port", tree{"/usr/bin/redis-server": installed, "/etc/redis/redis.conf": "port 0\n"}, "", ""},

		{"mariadb: what is included later counts", tree{"/usr/sbin/mariadbd": installed, "/usr/sbin/mysqld": "-> mariadbd", "/etc/mysql/my.cnf": "[client-server]\n!includedir /etc/mysql/mariadb.conf.d/\n", "/etc/mysql/mariadb.conf.d/50-server.cnf": "[mysqld]\nbind-address = 127.0.0.1\n", "/etc/mysql/mariadb.conf.d/60-x.cnf": "[client]\nport=1\n[mariadb]\nport = 3307\n"},
			"tcp 127.0.0.1:3307", ""},
		{"mariadb: everywhere by default", tree{"/usr/sbin/mariadbd": installed}, "tcp :::3306 (and IPv4)", ""},
		{"mariadb: no network", tree{"/usr/sbin/mariadbd": installed, "/etc/mysql/my.cnf": "[server]\nskip_networking\n"}, "", ""},
		{"mysql: its second port", tree{"/usr/sbin/mysqld": installed, "/etc/my.cnf": "[mysqld]\nbind_address=192.0.2.1\n"}, "tcp 192.0.2.1:3306, tcp :::33060 (and IPv4)", ""},

		{"dnsmasq: listen-address alone binds everywhere", tree{"/usr/sbin/dnsmasq": installed, "/etc/dnsmasq.conf": "listen-address=127.0.0.1\ndhcp-range=192.0.2.10,192.0.2.20\n"}, "tcp 0.0.0.0:53, tcp :::53, udp 0.0.0.0:53, udp :::53, udp 0.0.0.0:67", ""},
		{"dnsmasq: bound", tree{"/usr/sbin/dnsmasq": installed, "/etc/dnsmasq.conf": "#port=5353\n", "/etc/dnsmasq.d/x": "bind-interfaces\nlisten-address=192.0.2.1\nport=54\n", "/etc/dnsmasq.d/README": "port=1"},
			"tcp 127.0.0.1:54, tcp 192.0.2.1:54, tcp ::1:54, udp 127.0.0.1:54, udp 192.0.2.1:54, udp ::1:54", ""},
		{"dnsmasq: no DNS", tree{"/usr/sbin/dnsmasq": installed, "/etc/dnsmasq.conf": "port=0\nenable-tftp\n"}, "udp 0.0.0.0:69", ""},

		{"memcached: as Debian binds it", tree{"/usr/bin/memcached": installed, "/etc/memcached.conf": "-d\n-m 64\n-p 11211\n-l 127.0.0.1\n-l ::1\n"}, "tcp 127.0.0.1:11211, tcp ::1:11211", ""},
		{"memcached: UDP everywhere", tree{"/usr/bin/memcached": installed, "/etc/memcached.conf": "-U 11211\n"}, "tcp 0.0.0.0:11211, tcp :::11211, udp 0.0.0.0:11211, udp :::11211", ""},
	} {
		got, gaps := predicted(c.tree)
		if got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, got, c.want)
		}
		if len(gaps) > 1 || (len(gaps) == 1) != (c.gap != "") || len(gaps) == 1 && !strings.Contains(gaps[0], c.gap) {
			t.Errorf("%s: gaps %q, want %q", c.name, gaps, c.gap)
		}
	}
}

const socketUnit = "[Socket]\nListenStream=22\nListenDatagram=127.0.0.1:5000\n"

func TestWhoStartsWhatListens(t *testing.T) {
	wants := "/etc/systemd/system/multi-user.target.wants/"
	ssh := tree{"/usr/sbin/sshd": installed, "/lib/systemd/systemd": installed}
	with := func(more tree) tree {
		out := tree{}
		for _, all := range []tree{ssh, more} {
			for k, v := range all {
				out[k] = v
			}
		}
		return out
	}
	for _, c := range []struct {
		name  string
		tree  tree
		start []string
		want  string // of the first listener: unit and prediction
		gap   string
	}{
		{"enabled", with(tree{wants + "ssh.service": "-> /lib/systemd/system/ssh.service"}), nil, "ssh.service|the program's defaults; ssh.service is started with the system", ""},
		{"by nothing", ssh, nil, "|the program's defaults; nothing in the image starts it", ""},
		{"masked", with(tree{wants + "ssh.service": "-> /lib/systemd/system/ssh.service", "/etc/systemd/system/ssh.service": "-> /dev/null"}), nil, "|the program's defaults; nothing in the image starts it", ""},
		{"by a container's command", ssh, []string{"/usr/sbin/sshd", "-D"}, "|the program's defaults; the image starts it", ""},
		{"by a runlevel, without systemd", tree{"/usr/sbin/sshd": installed, "/etc/rc2.d/S01ssh": "-> ../init.d/ssh"}, nil, "ssh.service|the program's defaults; ssh.service is started with the system", ""},
		{"by a runlevel, but systemd ignores those", with(tree{"/etc/rc2.d/S01ssh": "-> ../init.d/ssh"}), nil, "|the program's defaults; nothing in the image starts it", ""},
		{"a unit that listens for another", tree{"/lib/systemd/system/x.socket": socketUnit, "/etc/systemd/system/sockets.target.wants/x.socket": "-> /lib/systemd/system/x.socket"}, nil, "|its unit is started with the system", ""},
		{"a unit that nothing starts", tree{"/lib/systemd/system/x.socket": socketUnit}, nil, "", ""},
		{"an unknown service", tree{wants + "cups.service": "-> /x", wants + "cron.service": "-> /x", wants + "systemd-resolved.service": "-> /x"}, nil, "", "cups.service: it is started with the system, and netglance doesn't know where it listens"},
		{"an unknown command of a container", tree{"/x": "x"}, []string{"python3", "app.py"}, "", `the image's command: it starts "python3 app.py"`},
	} {
		found, gaps := Read(c.tree, c.start)
		got := ""
		if len(found) > 0 {
			got = found[0].Owners[0].Unit + "|" + found[0].Predicted
			if found[0].Owners[0].PID == 1 {
				got = "|" + found[0].Predicted
			}
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if (len(gaps) > 0) != (c.gap != "") || len(gaps) > 0 && !strings.HasPrefix(gaps[0].Source+": "+gaps[0].Reason, c.gap) {
			t.Errorf("%s: gaps %v, want %q", c.name, gaps, c.gap)
		}
	}
	sockets, _ := predicted(tree{"/lib/systemd/system/x.socket": socketUnit, "/etc/systemd/system/sockets.target.wants/x.socket": "-> /lib/systemd/system/x.socket"})
	if sockets != "tcp :::22 (and IPv4), udp 127.0.0.1:5000" {
		t.Errorf("the unit's sockets are %s", sockets)
	}
}

func TestDaemonsAreInOrder(t *testing.T) {
	if !slices.IsSortedFunc(daemons, func(a, b daemon) int { return strings.Compare(a.name, b.name) }) {
		t.Error("daemons are not sorted by name: gaps would come in another order")
	}
}

// Files include each other, and themselves.
func TestIncludesEnd(t *testing.T) {
	loop := tree{"/usr/sbin/sshd": installed, "/etc/ssh/sshd_config": "Include sshd_config\nInclude /etc/ssh/*\n", "/usr/sbin/nginx": installed, "/etc/nginx/nginx.conf": "http { include nginx.conf; include *; }",
		"/usr/bin/redis-server": installed, "/etc/redis/redis.conf": "include /etc/redis/*\n", "/usr/sbin/dnsmasq": installed, "/etc/dnsmasq.conf": "conf-file=/etc/dnsmasq.conf\nconf-dir=/etc\n",
		"/usr/sbin/apache2": installed, "/etc/apache2/apache2.conf": "Include apache2.conf\nInclude *.conf\n"}
	if sockets, _ := predicted(loop); !strings.Contains(sockets, "tcp 0.0.0.0:22") {
		t.Error(sockets)
	}
}

func FuzzConfigurations(f *testing.F) {
	f.Add("Port 22\nListenAddress [::1]:2222\nMatch all\nInclude *\n")
	f.Add("http { server { listen 80; include x; } }")
	f.Add("Listen 80\n<IfModule x>\nListen 443\n</IfModule>\nInclude \"ports.conf\"\n")
	f.Add("listen_addresses = '*'\nport=5432\ninclude_dir 'x'\n")
	f.Add("bind * -::*\nport 6379\n")
	f.Add("[mysqld]\nbind-address = 127.0.0.1\n!includedir /etc\n")
	f.Add("port=53\nlisten-address=127.0.0.1,::1\nbind-interfaces\n")
	f.Add("-l 127.0.0.1\n-p 11211\n")
	f.Fuzz(func(t *testing.T, text string) {
		all := tree{"/etc/ssh/sshd_config": text, "/etc/nginx/nginx.conf": text, "/etc/apache2/apache2.conf": text, "/etc/postgresql/15/main/postgresql.conf": text, "/etc/redis/redis.conf": text,
			"/etc/my.cnf": text, "/etc/dnsmasq.conf": text, "/etc/memcached.conf": text, "/etc/systemd/system/x.socket": text, "/etc/systemd/system/sockets.target.wants/x.socket": "-> x"}
		for _, d := range daemons {
			all[strings.ReplaceAll(d.programs[0], "*", "15")] = installed
		}
		found, _ := Read(all, nil)
		for _, l := range found {
			if l.Port == 0 || !l.Address.IsValid() || l.Predicted == "" || l.Role != listeners.Server {
				t.Errorf("%+v", l)
			}
		}
	})
}
