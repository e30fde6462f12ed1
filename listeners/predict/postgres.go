package predict

import (
	"net/netip"
	"path"
	"strings"
)

// readPostgres reads postgresql.conf of every cluster: listen_addresses, which is
// localhost by default, and port.
func readPostgres(c *config) {
	clusters := append(c.glob("/etc/postgresql/*/*/postgresql.conf"), c.glob("/var/lib/pgsql/data/postgresql.conf")...)
	found := false
	for _, file := range clusters {
		if !c.host.Exists(file) {
			continue
		}
		found = true
		p := &postgres{config: c, settings: map[string]string{"listen_addresses": "localhost", "port": "5432"}}
		p.file(file)
		p.start(path.Join(path.Dir(file), "start.conf"))
		// ALTER SYSTEM writes over it.
		if data := p.settings["data_directory"]; data != "" {
			p.file(path.Join(data, "postgresql.auto.conf"))
		}
		p.listenAll(file)
	}
	if !found {
		c.gap("/etc/postgresql", "no cluster was found")
	}
}

// start reads Debian's start.conf, which is one word: auto, manual or disabled.
func (p *postgres) start(name string) {
	text, _ := p.open(name)
	for _, d := range directives(name, text, " ") {
		if d.key != "auto" {
			p.gap(name, "its cluster's start is %s", d.key)
		}
	}
}

type postgres struct {
	*config
	settings map[string]string
}

// file: the last one counts; "=" may be left out.
func (p *postgres) file(name string) {
	text, ok := p.open(name)
	if !ok {
		return
	}
	for _, d := range directives(name, text, " \t=") {
		value := ""
		if len(d.args) > 0 {
			value = d.args[0]
		}
		switch d.key {
		case "include", "include_if_exists":
			p.file(relative(name, value))
		case "include_dir":
			for _, included := range p.glob(path.Join(relative(name, value), "*.conf")) {
				p.file(included)
			}
		default:
			p.settings[d.key] = value
		}
	}
}

func relative(to, name string) string {
	if path.IsAbs(name) {
		return name
	}
	return path.Join(path.Dir(to), name)
}

func (p *postgres) listenAll(file string) {
	port, ok := portNumber(p.settings["port"])
	if !ok {
		p.gap(file, "port %q", p.settings["port"])
		return
	}
	for _, word := range strings.Split(p.settings["listen_addresses"], ",") {
		var all []netip.Addr
		switch word = strings.TrimSpace(word); word {
		case "":
			continue
		case "*":
			all = []netip.Addr{any4, any6}
		default:
			if all, ok = addresses(word); !ok {
				p.gap(file, "listen_addresses %q is a name", word)
				continue
			}
		}
		for _, a := range all {
			p.listen("tcp", a, port, false) // it sets IPV6_V6ONLY (src/backend/libpq/pqcomm.c)
		}
	}
}
