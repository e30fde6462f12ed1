package service

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// The bounds of what a peer can cost. Nothing that it sends moves them.
const (
	maxTime          = 20 * time.Second // for a port
	maxConversation  = 6 * time.Second  // for a connection, however it drips
	greetingExpected = 5 * time.Second  // how long a service that speaks first may think (mail servers look up names)
	greetingUnlikely = 2 * time.Second  // how long anything else is listened to
	answerWait       = 3 * time.Second
	guessWait        = 2 * time.Second        // for an answer to what is not expected there
	guesses          = 7                      // at a time
	quiet            = 300 * time.Millisecond // the pause after which an answer without an end is over

	maxConnections = 24
	maxRead        = 128 << 10 // bytes a connection
	maxReadTLS     = 512 << 10 // bytes below TLS, whose library ends at 256 KiB of certificates
	maxBanner      = 1 << 10   // bytes that are kept to be shown
	maxText        = 256       // bytes of a product, a version, a title
)

var errBounds = errors.New("the peer went beyond the bounds of a conversation")

// A peer is the port that is asked. It opens connections until its bounds are met.
type peer struct {
	ctx    context.Context
	dial   Dial
	target Target
	all    []protocol // that it may speak
	// secure opens TLS on each connection, alpn what is offered then.
	secure bool
	alpn   []string
	// patience is how long an answer is waited for.
	patience time.Duration
	// connections is how many were opened, shared by copies.
	connections *atomic.Int32
	heard       *hearing
}

// hearing is the first conversation that gave anything.
type hearing struct {
	first   *conversation
	unshown bool // its words are no banner
}

// banner is what was heard first.
func (h *hearing) banner() []byte {
	if h.first == nil || h.unshown {
		return nil
	}
	return h.first.first
}

func (p *peer) port() uint16 { return p.target.Addr.Port() }

// open begins a conversation. Whoever opens it closes it.
func (p *peer) open() (*conversation, error) {
	if p.connections.Add(1) > maxConnections {
		return nil, errBounds
	}
	ctx, cancel := context.WithTimeout(p.ctx, maxConversation)
	raw, err := p.dial(ctx, p.target.Protocol, p.target.Addr.String())
	if err != nil {
		cancel()
		return nil, err
	}
	end, _ := ctx.Deadline()
	c := &conversation{peer: p, raw: raw, end: end, left: maxRead, cancel: cancel}
	c.stop = context.AfterFunc(ctx, func() { raw.Close() })
	c.conn = raw
	if p.secure {
		if _, err := c.secure(tlsConfig(p, p.alpn)); err != nil {
			c.close()
			return nil, err
		}
	}
	return c, nil
}

// A conversation is one connection, bounded in time and bytes.
type conversation struct {
	peer   *peer
	raw    net.Conn // closed when time is up
	conn   net.Conn // raw, or TLS over it
	end    time.Time
	left   int    // bytes that may still be read
	heard  []byte // read and not yet taken
	first  []byte // what came before anything more was said to it, for claims and the banner
	spoken bool   // something was said since it was first heard
	cancel context.CancelFunc
	stop   func() bool
}

func (c *conversation) close() {
	c.stop()
	c.cancel()
	c.raw.Close()
}

func (c *conversation) say(b []byte) error {
	c.spoken = len(c.first) > 0
	c.conn.SetWriteDeadline(c.end)
	_, err := c.conn.Write(b)
	return err
}

// more waits for further bytes until the time given.
func (c *conversation) more(until time.Time) error {
	if c.left <= 0 {
		return errBounds
	}
	if c.end.Before(until) {
		until = c.end
	}
	c.conn.SetReadDeadline(until)
	buffer := make([]byte, min(c.left, 16<<10))
	n, err := c.conn.Read(buffer)
	c.left -= n
	c.heard = append(c.heard, buffer[:n]...)
	if room := maxBanner - len(c.first); room > 0 && !c.spoken {
		c.first = append(c.first, buffer[:min(n, room)]...)
	}
	if n > 0 {
		if c.peer.heard.first == nil {
			c.peer.heard.first = c
		}
		return nil
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// until reads until done says so, and returns all that was heard, which stays to be taken.
func (c *conversation) until(wait time.Duration, done func([]byte) bool) ([]byte, error) {
	limit := time.Now().Add(wait)
	for !done(c.heard) {
		if err := c.more(limit); err != nil {
			return c.heard, err
		}
	}
	return c.heard, nil
}

// bytes reads and takes n bytes.
func (c *conversation) bytes(n int) ([]byte, error) {
	heard, err := c.until(c.peer.patience, func(b []byte) bool { return len(b) >= n })
	if err != nil {
		return nil, err
	}
	c.heard = heard[n:]
	return heard[:n:n], nil
}

// line reads and takes a line, without its end.
func (c *conversation) line(wait time.Duration) (string, error) {
	heard, err := c.until(wait, func(b []byte) bool { return bytes.IndexByte(b, '\n') >= 0 })
	if err != nil {
		return "", err
	}
	line, rest, _ := bytes.Cut(heard, []byte("\n"))
	c.heard = rest
	return string(bytes.TrimSuffix(line, []byte("\r"))), nil
}

// greeting is what the peer says unasked: at least one byte, then what follows without a pause.
func (c *conversation) greeting(wait time.Duration) []byte {
	c.until(wait, func(b []byte) bool { return len(b) > 0 })
	return c.rest()
}

// rest is what comes until there is a pause. It stays to be taken.
func (c *conversation) rest() []byte {
	for len(c.heard) > 0 && len(c.heard) < maxBanner {
		if c.more(time.Now().Add(quiet)) != nil {
			break
		}
	}
	return c.heard
}

// ask says something and returns what is answered until done says that it is whole,
// taking it.
func (c *conversation) ask(question []byte, done func([]byte) bool) []byte {
	c.say(question) // a peer that refuses has said why, and gone
	heard, _ := c.until(c.peer.patience, done)
	c.heard = nil
	return heard
}

func anything(b []byte) bool { return len(b) > 0 }

// Read gives the bytes to a reader such as bufio's, within the same bounds.
func (c *conversation) Read(b []byte) (int, error) {
	if len(c.heard) == 0 {
		if err := c.more(time.Now().Add(c.peer.patience)); err != nil {
			return 0, err
		}
	}
	n := copy(b, c.heard)
	c.heard = c.heard[n:]
	return n, nil
}

// secure begins TLS on the connection. What was heard before is dropped.
func (c *conversation) secure(config *tls.Config) (tls.ConnectionState, error) {
	c.heard, c.first, c.spoken = nil, nil, false
	bounded := &boundedConn{Conn: c.raw, left: maxReadTLS}
	secured := tls.Client(bounded, config)
	end := c.end
	if c.peer.patience < answerWait {
		end = time.Now().Add(c.peer.patience)
	}
	ctx, cancel := context.WithDeadline(c.peer.ctx, end)
	defer cancel()
	if err := secured.HandshakeContext(ctx); err != nil {
		c.first = bounded.first
		return secured.ConnectionState(), err
	}
	c.conn = secured
	return secured.ConnectionState(), nil
}

// A boundedConn gives no more bytes than are left, and keeps the first ones.
type boundedConn struct {
	net.Conn
	left  int
	first []byte
}

func (b *boundedConn) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errBounds
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	if room := maxBanner - len(b.first); room > 0 {
		b.first = append(b.first, p[:min(n, room)]...)
	}
	return n, err
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}
