// Package predict says where a host that doesn't run will listen: by its .socket
// units and by the configuration of daemons that people run. What it doesn't
// understand of them is a gap.
package predict

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/netglance/netglance/gaps"
	"github.com/netglance/netglance/listeners"
)

// A Host is the files of one that doesn't run.
type Host interface {
	listeners.Host
	// Exists says that a file is there.
	Exists(name string) bool
}

// A daemon is a program that listens by its configuration.
type daemon struct {
	name string
	// programs are where its file may be, units the services that start it.
	programs, units []string
	user            string
	read            func(*config)
}

// daemons are those whose configuration is read, by name.
var daemons = []daemon{
	{"apache2", []string{"/usr/sbin/apache2", "/usr/sbin/httpd", "/usr/local/apache2/bin/httpd"}, []string{"apache2.service", "httpd.service"}, "root", readApache},
	{"dnsmasq", []string{"/usr/sbin/dnsmasq"}, []string{"dnsmasq.service"}, "dnsmasq", readDnsmasq},
	{"mariadbd", []string{"/usr/sbin/mariadbd", "/usr/libexec/mariadbd"}, []string{"mariadb.service", "mysql.service"}, "mysql", readMySQL},
	{"memcached", []string{"/usr/bin/memcached"}, []string{"memcached.service"}, "memcache", readMemcached},
	{"mysqld", []string{"/usr/sbin/mysqld", "/usr/libexec/mysqld"}, []string{"mysql.service", "mysqld.service"}, "mysql", readMySQL},
	{"nginx", []string{"/usr/sbin/nginx", "/usr/local/nginx/sbin/nginx"}, []string{"nginx.service"}, "root", readNginx},
	{"postgres", []string{"/usr/lib/postgresql/*/bin/postgres", "/usr/bin/postgres", "/usr/pgsql-*/bin/postgres"}, []string{"postgresql.service"}, "postgres", readPostgres},
	{"redis-server", []string{"/usr/bin/redis-server", "/usr/local/bin/redis-server"}, []string{"redis-server.service", "redis.service"}, "redis", readRedis},
	{"sshd", []string{"/usr/sbin/sshd"}, []string{"ssh.service", "sshd.service"}, "root", readSSHD},
}

// Read predicts who will listen. start is the command that a container of the
// image runs; empty if it is none.
// Gaps about services that may listen anywhere have ErrUnforeseen.
func Read(host Host, start []string) ([]listeners.Listener, []gaps.Gap) {
	s := readServices(host, start)
	var out []listeners.Listener
	for _, l := range listeners.UnitListeners(host, s.starts) {
		l.Predicted = "its unit is started with the system"
		out = append(out, l)
	}
	missing := s.unknown()
	for _, d := range daemons {
		program := s.program(d)
		if program == "" {
			continue
		}
		c := &config{host: host, daemon: d, seen: map[string]bool{}}
		c.process = listeners.Process{Name: d.name, Executable: program, User: d.user}
		how := s.startedBy(d, program)
		if unit := how.unit; unit != "" {
			c.process.Unit = unit
		}
		d.read(c)
		for _, l := range c.out {
			l.Predicted = cmp.Or(strings.Join(c.files, ", "), "the program's defaults") + "; " + how.text
			out = append(out, l)
		}
		missing = append(missing, c.gaps...)
	}
	slices.SortStableFunc(out, func(a, b listeners.Listener) int {
		return cmp.Or(strings.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Port, b.Port), a.Address.Compare(b.Address))
	})
	return out, missing
}

// ErrUnforeseen is in the error of a gap that may hide a listener.
var ErrUnforeseen = errors.New("where it listens is not predicted")

// A config is the configuration of one daemon, while it is read.
type config struct {
	daemon
	host    Host
	process listeners.Process
	out     []listeners.Listener
	gaps    []gaps.Gap
	// files are those that were read, and seen what was included already.
	files []string
	seen  map[string]bool
}

// gap says what is not understood, and where.
func (c *config) gap(file, format string, arguments ...any) {
	g := gaps.Gap{Source: file, Reason: c.name + ": " + fmt.Sprintf(format, arguments...), Hint: "look at a host that runs: netglance firewall", Err: ErrUnforeseen}
	if !slices.Contains(c.gaps, g) {
		c.gaps = append(c.gaps, g)
	}
}

// maxIncluded is how many files a configuration may have.
const maxIncluded = 1000

// open is a file's text; empty if there is none. A file that can't be read is a gap.
func (c *config) open(file string) (string, bool) {
	if c.seen[file] || len(c.seen) > maxIncluded {
		return "", false
	}
	c.seen[file] = true
	content, err := c.host.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", false
	case err != nil:
		c.gap(file, "the file could not be read: %v", err)
		return "", false
	}
	if len(c.files) == 0 {
		c.files = append(c.files, file)
	}
	return string(content), true
}

// glob are the files that a pattern names, sorted; in one directory, or with a
// pattern for one directory before it.
func (c *config) glob(pattern string) []string { return glob(c.host, pattern) }

// Glob are the files of the host that a pattern names, sorted.
func Glob(host Host, pattern string) []string { return glob(host, pattern) }

func glob(host Host, pattern string) (out []string) {
	if !strings.ContainsAny(pattern, "*?[") {
		return []string{pattern}
	}
	dirs := []string{path.Dir(pattern)}
	if strings.ContainsAny(dirs[0], "*?[") {
		dirs = glob(host, dirs[0])
	}
	for _, dir := range dirs {
		names, err := host.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, name := range names {
			if ok, err := path.Match(path.Base(pattern), name); ok && err == nil {
				out = append(out, path.Join(dir, name))
			}
		}
	}
	return out
}

var any4, any6 = netip.IPv4Unspecified(), netip.IPv6Unspecified()

// listen adds a socket. An IPv6 one serves IPv4 too if both says so.
func (c *config) listen(protocol string, a netip.Addr, port uint16, both bool) {
	l := listeners.Listener{Protocol: protocol, Family: 4, State: "listen", Role: listeners.Server, Address: a, Port: port, V6OnlyKnown: true, Owners: []listeners.Process{c.process}}
	if protocol == "udp" {
		l.State = "unconnected"
	}
	if a.Is6() {
		l.Family, l.V6Only = 6, !both
	}
	same := func(o listeners.Listener) bool { return o.Protocol == protocol && o.Address == a && o.Port == port }
	if port != 0 && !slices.ContainsFunc(c.out, same) {
		c.out = append(c.out, l)
	}
}

// everywhere adds a socket for each family.
func (c *config) everywhere(protocol string, port uint16) {
	c.listen(protocol, any4, port, false)
	c.listen(protocol, any6, port, false)
}

// local are the addresses that "localhost" has.
var local = []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()}

// addresses are those that a word stands for; false for a name that only a
// resolver knows.
func addresses(word string) ([]netip.Addr, bool) {
	word = strings.TrimSuffix(strings.TrimPrefix(word, "["), "]")
	if word == "localhost" {
		return local, true
	}
	a, err := netip.ParseAddr(word)
	return []netip.Addr{a}, err == nil
}

func portNumber(word string) (uint16, bool) {
	n, err := strconv.ParseUint(word, 10, 16)
	return uint16(n), err == nil
}
