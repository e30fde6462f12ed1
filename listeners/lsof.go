package listeners

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// parseLsof reads "lsof -nP -iTCP -sTCP:LISTEN -iUDP -F pcuLftPnT": a line a field,
// its first letter says which (lsof(8), OUTPUT FOR OTHER PROGRAMS). bad counts the
// files that are not understood. lsof doesn't tell whether a socket of IPv6 takes
// IPv4.
func parseLsof(text []byte) (sockets []bsdSocket, bad int) {
	var l lsofFile
	finish := func() {
		if l.protocol == "" || l.name == "" {
			return
		}
		s, err := l.socket()
		if err != nil {
			bad++
		} else if s.local.IsValid() {
			sockets = append(sockets, s)
		}
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			continue
		}
		switch value := line[1:]; line[0] {
		case 'p':
			finish()
			l = lsofFile{}
			l.process.PID, _ = strconv.Atoi(value)
		case 'c':
			l.process.Name = value
		case 'u':
			uid, _ := strconv.ParseUint(value, 10, 32)
			l.process.UID = uint32(uid)
		case 'L':
			l.process.User = value
		case 'f':
			finish()
			l = lsofFile{process: l.process}
		case 't':
			l.family = map[string]int{"IPv4": 4, "IPv6": 6}[value]
		case 'P':
			l.protocol = strings.ToLower(value)
		case 'n':
			l.name = value
		case 'T':
			if state, ok := strings.CutPrefix(value, "ST="); ok {
				l.state = state
			}
		}
	}
	finish()
	return sockets, bad
}

// A lsofFile is a descriptor of a process.
type lsofFile struct {
	process               Process
	family                int // 0 where lsof didn't say
	protocol, name, state string
}

func (l *lsofFile) socket() (bsdSocket, error) {
	s := bsdSocket{protocol: l.protocol, family: l.family, holders: []Process{l.process}}
	if l.protocol != "tcp" && l.protocol != "udp" {
		return s, nil // not asked for
	}
	local, remote, connected := strings.Cut(l.name, "->")
	if strings.HasSuffix(local, ":*") {
		return s, nil // not bound
	}
	var err error
	if s.local, err = hostPort(local, ":", s.family); err != nil {
		return s, err
	}
	if connected {
		if s.remote, err = hostPort(remote, ":", s.family); err != nil {
			return s, err
		}
	}
	if s.family == 0 {
		s.family = familyOf(s.local.Addr())
	}
	s.state = udpState(s.remote)
	if l.protocol == "tcp" {
		s.state = stateConnection
		if l.state == "LISTEN" || l.state == "" && !connected {
			s.state = stateListen
		}
	}
	return s, nil
}

func familyOf(a netip.Addr) int {
	if a.Is4() {
		return 4
	}
	return 6
}

// hostPort reads an address and a port as tools print them: "*" for any address,
// IPv6 in brackets or not, the port after the last separator. Family 0 is not told:
// "*" is then taken for that of IPv6, which may take IPv4 too.
func hostPort(text, separator string, family int) (netip.AddrPort, error) {
	at := strings.LastIndex(text, separator)
	if at < 0 {
		return netip.AddrPort{}, fmt.Errorf("listeners: no port in %q", text)
	}
	port, err := strconv.ParseUint(text[at+1:], 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("listeners: port of %q: %w", text, err)
	}
	host := strings.TrimSuffix(strings.TrimPrefix(text[:at], "["), "]")
	if host == "*" {
		return netip.AddrPortFrom(anyAddress(family), uint16(port)), nil
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("listeners: %w", err)
	}
	if family != 0 && address.Is4() != (family == 4) {
		return netip.AddrPort{}, fmt.Errorf("listeners: %q in the family of IPv%d", host, family)
	}
	return netip.AddrPortFrom(withoutKAME(address), uint16(port)), nil
}
