package predict

import (
	"net/netip"
	"path"
	"slices"
	"strings"
)

// readNginx reads nginx.conf: "listen" of the servers in http, stream and mail
// (nginx.org, ngx_http_core_module, listen).
func readNginx(c *config) {
	for _, file := range []string{"/etc/nginx/nginx.conf", "/usr/local/nginx/conf/nginx.conf"} {
		if text, ok := c.open(file); ok {
			n := &nginx{config: c, dir: path.Dir(file)}
			n.block(file, nginxTokens(text))
			return
		}
	}
	c.gap("/etc/nginx/nginx.conf", "no configuration was found")
}

type nginx struct {
	*config
	dir   string
	stack []string
	// listens says of the innermost server that it had a listen.
	listens bool
	depth   int
}

// block reads tokens to the end of a file.
func (n *nginx) block(file string, tokens []string) {
	var statement []string
	for _, t := range tokens {
		switch t {
		case "{":
			n.stack = append(n.stack, strings.Join(statement[:min(1, len(statement))], ""))
			if n.inServer() {
				n.listens = false
			}
			statement = nil
		case "}":
			if n.inServer() && !n.listens && n.under("http") {
				n.listen("tcp", any4, 80, false) // the default, for root
			}
			n.stack = n.stack[:max(0, len(n.stack)-1)]
			statement = nil
		case ";":
			n.statement(file, statement)
			statement = nil
		default:
			statement = append(statement, t)
		}
	}
}

func (n *nginx) inServer() bool { return len(n.stack) > 0 && n.stack[len(n.stack)-1] == "server" }

func (n *nginx) under(block string) bool { return slices.Contains(n.stack, block) }

// maxDepth is how deep files may include each other.
const maxDepth = 16

func (n *nginx) statement(file string, s []string) {
	switch {
	case len(s) == 2 && s[0] == "include":
		pattern := s[1]
		if !path.IsAbs(pattern) {
			pattern = path.Join(n.dir, pattern)
		}
		for _, name := range n.glob(pattern) {
			if text, ok := n.open(name); ok && n.depth < maxDepth {
				n.depth++
				n.block(name, nginxTokens(text))
				n.depth--
			}
		}
	case len(s) >= 2 && s[0] == "listen" && n.inServer():
		n.listens = true
		n.listenAt(file, s[1], s[2:])
	}
}

func (n *nginx) listenAt(file, where string, parameters []string) {
	if strings.HasPrefix(where, "unix:") {
		return
	}
	protocol, both := "tcp", false
	for _, p := range parameters {
		switch p {
		case "quic", "udp":
			protocol = "udp"
		case "ipv6only=off":
			both = true
		}
	}
	if port, ok := portNumber(where); ok {
		n.listen(protocol, any4, port, false)
		return
	}
	if at, err := netip.ParseAddrPort(where); err == nil {
		n.listen(protocol, at.Addr(), at.Port(), both)
		return
	}
	host, word := where, "80"
	if at := strings.LastIndexByte(where, ':'); at >= 0 && !strings.HasSuffix(where, "]") {
		host, word = where[:at], where[at+1:]
	}
	port, ok := portNumber(word)
	all, known := addresses(host)
	if host == "*" {
		all, known = []netip.Addr{any4}, true
	}
	if !ok || !known {
		n.gap(file, "listen %s", where)
		return
	}
	for _, a := range all {
		n.listen(protocol, a, port, both)
	}
}

// nginxTokens splits a configuration into words and the signs { } and ;.
func nginxTokens(text string) (out []string) {
	word := strings.Builder{}
	flush := func() {
		if word.Len() > 0 {
			out = append(out, word.String())
			word.Reset()
		}
	}
	for i := 0; i < len(text); i++ {
		switch b := text[i]; b {
		case '#':
			if word.Len() > 0 {
				word.WriteByte(b)
				continue
			}
			for i < len(text) && text[i] != '\n' {
				i++
			}
		case '"', '\'':
			for i++; i < len(text) && text[i] != b; i++ {
				if text[i] == '\\' && i+1 < len(text) {
					i++
				}
				word.WriteByte(text[i])
			}
		case '{':
			if strings.HasSuffix(word.String(), "$") { // ${variable}
				word.WriteByte(b)
				continue
			}
			flush()
			out = append(out, "{")
		case '}':
			if strings.Contains(word.String(), "${") {
				word.WriteByte(b)
				continue
			}
			flush()
			out = append(out, "}")
		case ';':
			flush()
			out = append(out, ";")
		case ' ', '\t', '\n', '\r':
			flush()
		default:
			word.WriteByte(b)
		}
	}
	flush()
	return out
}
