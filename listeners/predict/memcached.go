package predict

import "strings"

// readMemcached reads Debian's memcached.conf, a line an option of memcached(1).
func readMemcached(c *config) {
	const file = "/etc/memcached.conf"
	text, ok := c.open(file)
	if !ok {
		c.gap(file, "no configuration was found")
	}
	port, udp := "11211", "0"
	var at []string
	for line := range strings.Lines(text) {
		option, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		value = strings.TrimSpace(value)
		switch {
		case option == "-p" || option == "--port":
			port = value
		case option == "-U" || option == "--udp-port":
			udp = value
		case option == "-l" || option == "--listen":
			at = append(at, strings.Split(value, ",")...)
		case strings.HasPrefix(option, "-s"):
			return // a Unix socket, and no other
		}
	}
	if at == nil {
		at = []string{"0.0.0.0", "::"}
	}
	for _, protocol := range []struct{ name, port string }{{"tcp", port}, {"udp", udp}} {
		number, ok := portNumber(protocol.port)
		if !ok {
			c.gap(file, "port %q", protocol.port)
		}
		for _, word := range at {
			all, known := addresses(strings.TrimSpace(word))
			if !known {
				c.gap(file, "-l %s", word)
				continue
			}
			for _, a := range all {
				c.listen(protocol.name, a, number, false)
			}
		}
	}
}
