package service

import (
	"bytes"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// flood writes the same for ever, or until the other side goes.
func flood(begin, again string) func(net.Conn) {
	return func(c net.Conn) {
		go silence(c)
		more := []byte(strings.Repeat(again, 4096/len(again)+1))
		if _, err := c.Write([]byte(begin)); err != nil {
			return
		}
		for {
			if _, err := c.Write(more); err != nil {
				return
			}
		}
	}
}

// drip writes a byte a second for ever.
func drip(bytes string) func(net.Conn) {
	return func(c net.Conn) {
		go silence(c)
		for i := 0; ; i++ {
			if _, err := c.Write([]byte{bytes[i%len(bytes)]}); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
	}
}

// cut answers whatever it is asked with the beginning of something, and goes.
func cut(words string) func(net.Conn) {
	return func(c net.Conn) {
		c.Read(make([]byte, 4096))
		c.Write([]byte(words))
	}
}

var hostile = []struct {
	name  string
	serve func(net.Conn)
}{
	{"an endless banner", flood("220 ", "A")},
	{"an endless banner of SSH", flood("SSH-2.0-", "A")},
	{"endless lines before the version", flood("", "hello\r\n")},
	{"endless lines of a greeting", flood("220-hello\r\n", "220-and more\r\n")},
	{"endless zeroes", flood("", "\x00")},
	{"endless options of telnet", flood("", "\xff\xfd\x18")},
	{"an option of telnet without an end", flood("\xff\xfd\x18\xff\xfa", "A")},
	{"an endless status line", flood("HTTP/1.1 200 ", "A")},
	{"endless headers", flood("HTTP/1.1 200 OK\r\n", "X: y\r\n")},
	{"an endless header", flood("HTTP/1.1 200 OK\r\nServer: ", "A")},
	{"an endless body", flood("HTTP/1.1 200 OK\r\n\r\n", "<title>")},
	{"endless chunks", flood("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nA\r\n")},
	{"interim answers without an end", flood("", "HTTP/1.1 100 Continue\r\n\r\n")},
	{"an endless list of capabilities", flood("* OK ready\r\n", "* CAPABILITY A\r\n")},
	{"an endless reply of RTSP", flood("RTSP/1.0 200 OK\r\n", "A: b\r\n")},
	{"a handshake of TLS without an end", flood("\x16\x03\x03\x40\x00\x0b\xff\xff\xff", "\x16\x03\x03\x40\x00"+strings.Repeat("A", 0x4000))},
	{"alerts of TLS without an end", flood("", "\x15\x03\x03\x00\x02\x01\x00")},
	{"packets of MySQL without an end", flood("", "\xff\xff\x00\x00\x0a5.7")},
	{"modules without an end", flood("@RSYNCD: 31.0\n", "module\tcomment\n")},
	{"slow drip", drip("220 hello\r\n")},
	{"slow drip of HTTP", drip("HTTP/1.1 200 OK\r\nServer: slow\r\n\r\n")},
	{"slow drip of TLS", drip("\x16\x03\x03\x40\x00\x02")},
	{"nothing at all", silence},
	{"gone at once", func(net.Conn) {}},
	{"gone amid the banner", cut("SSH-2.0-Open")},
	{"gone amid the headers", cut("HTTP/1.1 200 OK\r\nServer: ng")},
	{"gone amid a record of TLS", cut("\x16\x03\x03\x40\x00\x02\x00")},
	{"gone amid a document", cut("\x2c\x00\x00\x00\x02version\x00\x07")},
}

// The ports at which the whole of the protocols is met, and one where nobody is expected.
var hostilePorts = []uint16{21, 22, 23, 25, 53, 80, 110, 143, 389, 443, 445, 554, 631, 873, 1433, 1883, 3306, 3389, 5432, 5672, 5900, 6379, 9100, 11211, 27017, 40000}

func TestHostilePeersCostBoundedTimeAndBytes(t *testing.T) {
	for _, h := range hostile {
		t.Run(h.name, func(t *testing.T) {
			for _, port := range hostilePorts {
				n := &network{serve: h.serve}
				s, took := identify(t, n, "tcp", port)
				if took > maxTime {
					t.Errorf("port %d took %v", port, took)
				}
				if c := n.connections.Load(); c > maxConnections {
					t.Errorf("port %d: %d connections", port, c)
				}
				if r := n.read.Load(); r > maxConnections*maxReadTLS/4 {
					t.Errorf("port %d: %d bytes read", port, r)
				}
				checkTexts(t, s)
			}
		})
	}
}

func checkTexts(t *testing.T, s Service) {
	t.Helper()
	for _, text := range []string{s.Name, s.Product, s.Version, s.Info, s.Hostname, s.Title} {
		if len(text) > 4*maxText || !utf8.ValidString(text) {
			t.Errorf("not bounded, or not UTF-8: %q", text)
		}
	}
	if len(s.Banner) > 4*maxBanner || !utf8.ValidString(s.Banner) {
		t.Errorf("not bounded, or not UTF-8: %q", s.Banner)
	}
}

// A connection's bounds hold its memory too: what was read is all that is kept.
func TestAnEndlessBodyIsNotKept(t *testing.T) {
	n := &network{serve: flood("HTTP/1.1 200 OK\r\n\r\n", "A")}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	identify(t, n, "tcp", 80)
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 16<<20 {
		t.Errorf("%d bytes were allocated in all", grown)
	}
}

func TestEscapesStayTextAndDoNotHideTheProduct(t *testing.T) {
	n := &network{serve: script("", "GET", "HTTP/1.1 200 OK\r\nServer: ng\x9binx/1.0\r\n\r\n<title>\x1b]0;owned\x07\xff</title>")}
	s, _ := identify(t, n, "tcp", 80)
	if s.Product != `ng\x9binx` || s.Version != "1.0" || s.Title != "\x1b]0;owned\x07"+`\xff` {
		t.Errorf("%q %q %q", s.Product, s.Version, s.Title)
	}
}

// What is sent to a printer's raw port may be printed.
func TestNothingIsSaidToAPrinter(t *testing.T) {
	for _, port := range []uint16{9100, 9107, 515} {
		n := &network{serve: silence, said: make(chan string, 100)}
		asked := &onlyPort{n, port}
		identifyWith(t, asked.dial, "tcp", port)
		close(n.said)
		for said := range n.said {
			t.Errorf("%d was told %q", port, said)
		}
	}
}

// Changing, storing, running or logging in: none of these words is ever sent.
func TestNoRequestChangesThePeerOrLogsIn(t *testing.T) {
	forbidden := []string{"SET", "DEL ", "PUT ", "DELETE ", "USER ", "PASS ", "LOGIN", "AUTHENTICATE", "AUTH ", "MAIL FROM", "CONFIG", "EVAL", "insert", "update", "saslStart", "Authorization"}
	for _, port := range hostilePorts {
		for _, serve := range []func(net.Conn){silence, cut("HTTP/1.1 200 OK\r\n\r\n"), script("220 hello\r\n", "", "250 yes\r\n"), script("* OK\r\n", "", "a OK\r\n")} {
			n := &network{serve: serve, said: make(chan string, 1000)}
			identify(t, n, "tcp", port)
			close(n.said)
			for said := range n.said {
				for _, word := range forbidden {
					if bytes.Contains([]byte(said), []byte(word)) {
						t.Errorf("port %d was told %q", port, said)
					}
				}
			}
		}
	}
}
