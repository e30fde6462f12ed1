package service

import (
	"bufio"
	"bytes"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/netglance/netglance/internal/lazyregexp"
)

var httpProtocol = protocol{
	name: "http",
	ports: []uint16{80, 81, 88, 591, 631, 3000, 3128, 2375, 2379, 2380, 4243, 5000, 5601, 5800, 5984, 5985, 7000, 7001, 8000, 8001, 8008, 8009, 8010, 8080,
		8081, 8082, 8086, 8088, 8090, 8123, 8181, 8200, 8500, 8888, 8983, 9000, 9001, 9080, 9090, 9091, 9093, 9200, 10000, 10255, 15672, 32400},
	securePorts: []uint16{443, 631, 2376, 2379, 4443, 5986, 6443, 7443, 8006, 8243, 8443, 8834, 9090, 9200, 9443, 10250, 10443},
	claims:      claimsHTTP,
	talk:        talkHTTP,
}

func claimsHTTP(b []byte) bool {
	return !claimsTLS(b) && (bytes.HasPrefix(b, []byte("HTTP/")) || spokeHTTP2(b))
}

// spokeHTTP2 says that the first frame is one of SETTINGS (RFC 9113, 3.4), of a
// server that knows no older HTTP.
func spokeHTTP2(b []byte) bool {
	return len(b) >= 9 && b[0] == 0 && b[1] == 0 && bytes.Equal(b[3:9], []byte{4, 0, 0, 0, 0, 0})
}

// maxPage is how much of a page is read.
const maxPage = 64 << 10

type page struct {
	status int
	header http.Header
	body   []byte
}

// A request is sent as it stands: GET unless there is a body.
type request struct {
	path, contentType string
	body              []byte
}

func talkHTTP(c *conversation) (Service, bool) {
	front, ok := c.fetch(request{path: "/"})
	if !ok {
		if spokeHTTP2(c.first) {
			return Service{Name: "http", Info: "HTTP/2 only"}, true
		}
		return Service{}, false
	}
	if claimsTLS(c.first) {
		return Service{}, false
	}
	c.close()
	s := front.service()
	head, _, _ := bytes.Cut(c.first, []byte("\r\n\r\n"))
	s.Banner = string(head)
	for _, a := range applications {
		if found, ok := a.ask(c.peer, front); ok {
			found.Title, found.Banner = s.Title, s.Banner
			return found, true
		}
	}
	return s, true
}

// fetch asks for a page. It is false when the answer isn't HTTP.
func (c *conversation) fetch(r request) (page, bool) {
	method, length := "GET", ""
	if r.body != nil {
		method = "POST"
		length = fmt.Sprintf("Content-Type: %s\r\nContent-Length: %d\r\n", r.contentType, len(r.body))
	}
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: netglance\r\nAccept: */*\r\n%sConnection: close\r\n\r\n",
		method, r.path, c.peer.host(), length)
	if c.say(append([]byte(head), r.body...)) != nil && len(c.heard) == 0 && c.more(c.end) != nil {
		return page{}, false
	}
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return page{}, false
	}
	defer answer.Body.Close()
	// A body that ends too early is read as far as it goes.
	body, _ := io.ReadAll(io.LimitReader(answer.Body, maxPage))
	return page{answer.StatusCode, answer.Header, body}, true
}

// host is the Host header's: the name that the user gave, or the address.
func (p *peer) host() string {
	name := p.target.Hostname
	if name == "" {
		name = p.target.Addr.Addr().WithZone("").String()
	}
	if number := p.port(); number != 80 && number != 443 {
		return net.JoinHostPort(name, strconv.Itoa(int(number)))
	}
	if a, err := netip.ParseAddr(name); err == nil && a.Is6() {
		return "[" + name + "]"
	}
	return name
}

// get asks for a further page on a connection of its own.
func (p *peer) get(r request) (page, bool) {
	c, err := p.open()
	if err != nil {
		return page{}, false
	}
	defer c.close()
	return c.fetch(r)
}

var (
	titleTag  = lazyregexp.New(`(?is)<title[^>]*>(.{0,1000}?)</title`)
	realmName = lazyregexp.New(`(?i)realm="?([^",]*)`)
)

func (g page) service() Service {
	s := Service{Name: "http"}
	server := g.header.Get("Server")
	first, rest, _ := strings.Cut(server, " ")
	s.Product, s.Version = productVersion(first)
	s.Info = strings.Trim(strings.ReplaceAll(rest, ") ", ", "), "() ")
	if s.Version == "" && server != "" {
		s.Product, s.Version = productVersion(server)
		s.Info = ""
	}
	s.Info = join(s.Info, g.header.Get("X-Powered-By"))
	switch {
	case g.status == 401:
		s.Access = AccessDenied
		if m := realmName.FindStringSubmatch(g.header.Get("WWW-Authenticate")); m != nil && m[1] != "" {
			s.Info = join(s.Info, "asks for a login to "+strconv.Quote(m[1]))
		}
	case g.status/100 == 3 && g.header.Get("Location") != "":
		s.Info = join(s.Info, "redirects to "+g.header.Get("Location"))
	}
	if m := titleTag.FindSubmatch(g.body); m != nil {
		s.Title = strings.Join(strings.Fields(html.UnescapeString(string(m[1]))), " ")
	}
	return s
}

func join(parts ...string) string {
	var kept []string
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, "; ")
}
