package main

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/listeners"
)

// A selection is which sockets were asked for, in the flags that ss has.
type selection struct {
	tcp, udp   bool
	four, six  bool
	portList   string
	ports      []portSpan
	compatible bool
}

type portSpan struct{ from, to uint16 }

func (s *selection) register(flags *pflag.FlagSet) {
	flags.BoolVarP(&s.tcp, "tcp", "t", false, "TCP only (with -u: both)")
	flags.BoolVarP(&s.udp, "udp", "u", false, "UDP and UDP-Lite only")
	flags.BoolVarP(&s.four, "ipv4", "4", false, "what serves IPv4 only; [::] may")
	flags.BoolVarP(&s.six, "ipv6", "6", false, "what serves IPv6 only")
	flags.StringVarP(&s.portList, "ports", "p", "", "these `PORTS` only: 22,80,8000-8100")
	// People type ss's -tuln.
	flags.BoolVarP(&s.compatible, "listening", "l", true, "")
	flags.BoolVarP(&s.compatible, "numeric", "n", true, "")
	flags.MarkHidden("listening")
	flags.MarkHidden("numeric")
}

// parse checks the flags' values.
func (s *selection) parse() error {
	if s.portList == "" {
		return nil
	}
	for _, word := range strings.Split(s.portList, ",") {
		span, ok := parseSpan(strings.TrimSpace(word))
		if !ok {
			return usage("write ports like 22,80,8000-8100", "--ports %q: %q is no port and no range of ports", s.portList, word)
		}
		s.ports = append(s.ports, span)
	}
	return nil
}

func parseSpan(word string) (portSpan, bool) {
	low, high, ranged := strings.Cut(word, "-")
	if !ranged {
		high = low
	}
	from, err1 := strconv.ParseUint(low, 10, 16)
	to, err2 := strconv.ParseUint(high, 10, 16)
	return portSpan{uint16(from), uint16(to)}, err1 == nil && err2 == nil && 0 < from && from <= to
}

func (s *selection) hasPort(port uint16) bool {
	return len(s.ports) == 0 || slices.ContainsFunc(s.ports, func(p portSpan) bool { return p.from <= port && port <= p.to })
}

func (s *selection) hasProtocol(protocol string) bool {
	if !s.tcp && !s.udp {
		return true
	}
	if protocol == "tcp" || protocol == "mptcp" {
		return s.tcp
	}
	return s.udp && strings.HasPrefix(protocol, "udp")
}

func (s *selection) listener(l listeners.Listener) bool {
	family := s.four == s.six || s.four && l.ServesIPv4() || s.six && l.ServesIPv6()
	return family && s.hasProtocol(l.Protocol) && s.hasPort(l.Port)
}

func (s *selection) sockets(all []listeners.Listener) []listeners.Listener {
	return slices.DeleteFunc(slices.Clone(all), func(l listeners.Listener) bool { return !s.listener(l) })
}

// parseEndpoint reads "22/tcp", "tcp/22" or "22", which is TCP.
func parseEndpoint(word string) (port uint16, protocol string, err error) {
	number, protocol, found := strings.Cut(word, "/")
	if !found {
		protocol = "tcp"
	}
	if _, known := correlate.Protocols[number]; known {
		number, protocol = protocol, number
	}
	n, parseErr := strconv.ParseUint(number, 10, 16)
	if _, known := correlate.Protocols[protocol]; !known || parseErr != nil || n == 0 {
		return 0, "", usage("write a port like 22/tcp, 53/udp or 22", "%q is no port", word)
	}
	return uint16(n), protocol, nil
}

func parseAddress(flag, word string) (netip.Addr, error) {
	if word == "" {
		return netip.Addr{}, nil
	}
	a, err := netip.ParseAddr(word)
	if err != nil {
		return a, usage("write one address, for instance 203.0.113.7 or 2001:db8::7", "%s %q is no IP address", flag, word)
	}
	return a.Unmap().WithZone(""), nil
}
