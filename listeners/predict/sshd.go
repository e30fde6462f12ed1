package predict

import (
	"net/netip"
	"path"
	"strings"
)

// readSSHD reads sshd_config(5): of a key that stands several times the first
// counts, but ports and addresses add up.
func readSSHD(c *config) {
	s := &sshd{config: c, family: "any"}
	s.file("/etc/ssh/sshd_config")
	if text, ok := c.open("/etc/default/ssh"); ok {
		for _, d := range directives("/etc/default/ssh", text, "=") {
			if d.key == "sshd_opts" && strings.Join(d.args, "") != "" {
				c.gap(d.file, "it is started with the options %q", strings.Join(d.args, " "))
			}
		}
	}
	s.listenAll()
}

type sshd struct {
	*config
	ports  []uint16
	at     []string
	family string
	said   bool // AddressFamily was set
	inside bool // of a Match block, which can't say where to listen
}

func (s *sshd) file(name string) {
	text, ok := s.open(name)
	if !ok {
		return
	}
	outer := s.inside
	for _, d := range directives(name, text, " \t=") {
		if len(d.args) == 0 {
			continue
		}
		switch {
		case d.key == "match":
			s.inside = !strings.EqualFold(d.args[0], "all")
		case d.key == "include":
			for _, word := range d.args {
				if !path.IsAbs(word) {
					word = "/etc/ssh/" + word
				}
				for _, included := range s.glob(word) {
					s.file(included)
				}
			}
		case s.inside:
		case d.key == "port":
			if port, ok := portNumber(d.args[0]); ok {
				s.ports = append(s.ports, port)
				continue
			}
			s.gap(name, "port %q", d.args[0])
		case d.key == "listenaddress":
			s.at = append(s.at, d.args[0])
			if len(d.args) > 1 {
				s.gap(name, "ListenAddress %s", strings.Join(d.args, " "))
			}
		case d.key == "addressfamily" && !s.said:
			s.family, s.said = strings.ToLower(d.args[0]), true
		}
	}
	s.inside = outer
}

func (s *sshd) listenAll() {
	if len(s.ports) == 0 {
		s.ports = []uint16{22}
	}
	if len(s.at) == 0 {
		s.at = []string{"0.0.0.0", "::"}
	}
	for _, word := range s.at {
		if at, err := netip.ParseAddrPort(word); err == nil {
			s.one(at.Addr(), at.Port())
			continue
		}
		name, ports := word, s.ports
		if host, port, found := strings.Cut(word, ":"); found && !strings.Contains(port, ":") {
			if n, ok := portNumber(port); ok {
				name, ports = host, []uint16{n}
			}
		}
		all, ok := addresses(name)
		if !ok {
			s.gap("/etc/ssh/sshd_config", "ListenAddress %q is a name", word)
			continue
		}
		for _, a := range all {
			for _, port := range ports {
				s.one(a, port)
			}
		}
	}
}

// one: sshd sets IPV6_V6ONLY (sshd.c, listen_on_addrs).
func (s *sshd) one(a netip.Addr, port uint16) {
	if s.family == "inet" && a.Is6() || s.family == "inet6" && a.Is4() {
		return
	}
	s.listen("tcp", a, port, false)
}
