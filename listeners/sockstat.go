package listeners

import (
	"strconv"
	"strings"
)

// parseSockstat reads FreeBSD's "sockstat -46l". Columns are found by the one that
// names the protocol, since names may hold blanks and a name of ten letters runs into
// the process number after it. bad counts the lines that are not understood.
func parseSockstat(text []byte) (sockets []bsdSocket, bad int) {
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "USER" {
			continue
		}
		at := protocolColumn(words)
		if at < 0 {
			continue // of another protocol: divert4, icmp6, sctp
		}
		s, err := sockstatSocket(words, at)
		switch {
		case err != nil:
			bad++
		case s.local.IsValid():
			sockets = append(sockets, s)
		}
	}
	return sockets, bad
}

// familyWords are how sockstat and netstat name protocol and family.
var familyWords = map[string]bsdSocket{
	"tcp4":  {protocol: "tcp", family: 4, v6onlyKnown: true},
	"tcp6":  {protocol: "tcp", family: 6, v6onlyKnown: true, v6only: true},
	"tcp46": {protocol: "tcp", family: 6, v6onlyKnown: true},
	"udp4":  {protocol: "udp", family: 4, v6onlyKnown: true},
	"udp6":  {protocol: "udp", family: 6, v6onlyKnown: true, v6only: true},
	"udp46": {protocol: "udp", family: 6, v6onlyKnown: true},
}

// protocolColumn is where the protocol stands, with an address on either side; -1
// if nowhere.
func protocolColumn(words []string) int {
	for i := len(words) - 3; i >= 3; i-- {
		if _, ok := familyWords[words[i]]; ok {
			return i
		}
	}
	return -1
}

func sockstatSocket(words []string, at int) (s bsdSocket, err error) {
	s = familyWords[words[at]]
	local, remote := words[at+1], words[at+2]
	if strings.HasSuffix(local, ":*") {
		return s, nil // not bound
	}
	if s.local, err = hostPort(local, ":", s.family); err != nil {
		return s, err
	}
	connected := !strings.HasSuffix(remote, ":*")
	if connected {
		if s.remote, err = hostPort(remote, ":", s.family); err != nil {
			return s, err
		}
	}
	s.state = udpState(s.remote)
	if s.protocol == "tcp" {
		s.state = stateListen
		if connected {
			s.state = stateConnection
		}
	}
	s.sockstatHolder(words[:at])
	return s, nil
}

// sockstatHolder reads user, command, pid and descriptor. "?" stands for a process
// where there is none.
func (s *bsdSocket) sockstatHolder(words []string) {
	last := len(words) - 2 // before the descriptor
	pid, err := strconv.Atoi(words[last])
	switch {
	case words[last] == "?":
		s.untold = "no process holds it: the kernel itself listens, or it was being opened or closed"
	case last < 2 || err != nil:
		s.untold = "sockstat ran its name and its process number together"
	case pid == 0:
		s.kernel = true
	default:
		s.holders = []Process{{PID: pid}} // ps tells more of it
	}
}
