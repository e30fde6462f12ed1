package predict

import (
	"path"
	"strings"
)

// readDnsmasq reads dnsmasq.conf (dnsmasq(8)): without bind-interfaces it listens
// everywhere, and looks at what came by which interface itself.
func readDnsmasq(c *config) {
	d := &dnsmasq{config: c, port: 53}
	d.file("/etc/dnsmasq.conf")
	// Debian's service adds the directory by its defaults.
	for _, name := range c.glob("/etc/dnsmasq.d/*") {
		if base := path.Base(name); base != "README" && !strings.HasPrefix(base, ".") && !strings.HasSuffix(base, "~") && !strings.Contains(base, ".dpkg-") {
			d.file(name)
		}
	}
	d.listenAll()
}

type dnsmasq struct {
	*config
	port       uint16
	at         []string
	interfaces []string
	bound      bool
	dhcp, tftp bool
}

func (d *dnsmasq) file(name string) {
	text, ok := d.open(name)
	if !ok {
		return
	}
	for _, l := range directives(name, text, "=") {
		switch strings.TrimSpace(l.key) {
		case "port":
			if port, ok := portNumber(l.rest); ok {
				d.port = port
			} else {
				d.gap(name, "port %q", l.rest)
			}
		case "listen-address":
			d.at = append(d.at, strings.Split(l.rest, ",")...)
		case "interface":
			d.interfaces = append(d.interfaces, strings.Split(l.rest, ",")...)
		case "bind-interfaces", "bind-dynamic":
			d.bound = true
		case "dhcp-range":
			d.dhcp = true
		case "enable-tftp":
			d.tftp = true
		case "conf-file":
			d.file(l.rest)
		case "conf-dir":
			dir, _, filtered := strings.Cut(l.rest, ",")
			if filtered {
				d.gap(name, "conf-dir=%s: all files of the directory are read", l.rest)
			}
			for _, included := range d.glob(path.Join(dir, "*")) {
				d.file(included)
			}
		}
	}
}

func (d *dnsmasq) listenAll() {
	if d.dhcp {
		d.listen("udp", any4, 67, false)
	}
	if d.tftp {
		d.listen("udp", any4, 69, false)
	}
	if !d.bound || len(d.at)+len(d.interfaces) == 0 {
		for _, protocol := range []string{"tcp", "udp"} {
			d.everywhere(protocol, d.port)
		}
		return
	}
	words := d.at
	for _, name := range d.interfaces {
		if name = strings.TrimSpace(name); name == "lo" {
			words = append(words, "localhost")
		} else {
			d.gap("/etc/dnsmasq.conf", "interface=%s: its addresses are not known", name)
			for _, protocol := range []string{"tcp", "udp"} {
				d.everywhere(protocol, d.port)
			}
		}
	}
	for _, word := range append(words, "localhost") { // lo is always added (dnsmasq(8), --interface)
		all, ok := addresses(strings.TrimSpace(word))
		if !ok {
			d.gap("/etc/dnsmasq.conf", "listen-address=%s", word)
			continue
		}
		for _, a := range all {
			d.listen("tcp", a, d.port, false)
			d.listen("udp", a, d.port, false)
		}
	}
}
