package realhost

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// probeVariable has the test binary probe: it is run again at the peer.
const probeVariable = "NETGLANCE_REALHOST_PROBE"

// A probe is also a question for "explain --batch".
type probe struct {
	Protocol string     `json:"protocol"`
	Port     uint16     `json:"port"`
	To       netip.Addr `json:"to"`
	From     netip.Addr `json:"from"`
	Via      string     `json:"via"`
}

func (p probe) String() string {
	return fmt.Sprintf("%d/%s from %s to %s", p.Port, p.Protocol, p.From, p.To)
}

// silence is how long a probe waits: a lost SYN is sent again after one second.
const silence = 2500 * time.Millisecond

// probeAll sends all probes at once and prints a verdict for each: "accept",
// "reject" or "drop".
func probeAll(in io.Reader, out io.Writer) int {
	var probes []probe
	lines := json.NewDecoder(bufio.NewReader(in))
	for lines.More() {
		var p probe
		if err := lines.Decode(&p); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		probes = append(probes, p)
	}
	verdicts := make([]string, len(probes))
	var all sync.WaitGroup
	for i, p := range probes {
		all.Go(func() { verdicts[i] = p.send() })
	}
	all.Wait()
	for _, v := range verdicts {
		fmt.Fprintln(out, v)
	}
	return 0
}

func (p probe) send() string {
	d := net.Dialer{Timeout: silence}
	if p.Protocol == "udp" {
		d.LocalAddr = &net.UDPAddr{IP: p.From.AsSlice()}
	} else {
		d.LocalAddr = &net.TCPAddr{IP: p.From.AsSlice()}
	}
	c, err := d.Dial(p.Protocol, netip.AddrPortFrom(p.To, p.Port).String())
	if err == nil && p.Protocol == "udp" {
		err = askName(c)
	}
	if err == nil {
		c.Close()
		return "accept"
	}
	var late net.Error
	switch {
	case errors.As(err, &late) && late.Timeout():
		return "drop"
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EHOSTUNREACH):
		return "reject"
	}
	return err.Error()
}

// askName sends a question for the addresses of "a.test" (RFC 1035, 4.1) and waits for any answer.
func askName(c net.Conn) error {
	question := []byte("\x13\x37\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x04test\x00\x00\x01\x00\x01")
	if err := c.SetDeadline(time.Now().Add(silence)); err != nil {
		return err
	}
	if _, err := c.Write(question); err != nil {
		return err
	}
	_, err := c.Read(make([]byte, 512))
	return err
}
