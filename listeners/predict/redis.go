package predict

import (
	"net/netip"
	"strings"
)

// readRedis reads redis.conf: "bind", where a minus lets an address be missing, and
// without which it listens everywhere; "port" and "tls-port", 0 for none.
func readRedis(c *config) {
	r := &redis{config: c, ports: map[string]string{"port": "6379", "tls-port": "0"}}
	found := false
	for _, file := range []string{"/etc/redis/redis.conf", "/etc/redis.conf"} {
		if !found && c.host.Exists(file) {
			found = true
			r.file(file)
		}
	}
	if !found {
		c.gap("/etc/redis/redis.conf", "no configuration was found: it may be given another")
	}
	if r.bind == nil {
		r.bind = []string{"*", "-::*"}
	}
	for _, key := range []string{"port", "tls-port"} {
		port, ok := portNumber(r.ports[key])
		if !ok {
			c.gap("/etc/redis/redis.conf", "%s %q", key, r.ports[key])
			continue
		}
		for _, word := range r.bind {
			r.at(strings.TrimPrefix(word, "-"), port)
		}
	}
}

type redis struct {
	*config
	bind  []string
	ports map[string]string
}

func (r *redis) file(name string) {
	text, ok := r.open(name)
	if !ok {
		return
	}
	for _, d := range directives(name, text, " \t") {
		switch {
		case d.key == "bind":
			r.bind = append([]string{}, d.args...)
		case (d.key == "port" || d.key == "tls-port") && len(d.args) > 0:
			r.ports[d.key] = d.args[0]
		case d.key == "include" && len(d.args) > 0:
			for _, included := range r.glob(d.args[0]) {
				r.file(included)
			}
		}
	}
}

func (r *redis) at(word string, port uint16) {
	var all []netip.Addr
	switch word {
	case "*":
		all = []netip.Addr{any4}
	case "::*":
		all = []netip.Addr{any6}
	case "":
		return
	default:
		known := false
		if all, known = addresses(word); !known {
			r.gap("/etc/redis/redis.conf", "bind %q is a name", word)
			return
		}
	}
	for _, a := range all {
		r.listen("tcp", a, port, false) // it sets IPV6_V6ONLY (src/anet.c)
	}
}
