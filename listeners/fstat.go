package listeners

import (
	"strconv"
	"strings"
)

// parseFstat reads OpenBSD's "fstat -n" (fstat(1)): a line a descriptor,
//
//	root sshd 75629 3* internet stream tcp 0x0 *:22
//
// with the protocol control block's address, which datagrams lack. An arrow leads to
// the peer. Whether an unconnected socket of TCP listens isn't told: it is taken to.
// bad counts the lines about sockets that are not understood.
func parseFstat(text []byte) (sockets []bsdSocket, bad int) {
	for line := range strings.Lines(string(text)) {
		s, ours, err := fstatSocket(line)
		switch {
		case err != nil:
			bad++
		case ours && s.local.IsValid():
			sockets = append(sockets, s)
		}
	}
	return sockets, bad
}

var fstatWords = map[string]bsdSocket{
	"internet stream tcp":  {protocol: "tcp", family: 4, v6onlyKnown: true},
	"internet dgram udp":   {protocol: "udp", family: 4, v6onlyKnown: true},
	"internet6 stream tcp": {protocol: "tcp", family: 6, v6onlyKnown: true, v6only: true},
	"internet6 dgram udp":  {protocol: "udp", family: 6, v6onlyKnown: true, v6only: true},
}

func fstatSocket(line string) (s bsdSocket, ours bool, err error) {
	before, after, found := strings.Cut(line, "* internet")
	if !found {
		return s, false, nil
	}
	words := strings.Fields("internet" + after)
	if len(words) < 3 {
		return s, false, nil
	}
	s, ours = fstatWords[strings.Join(words[:3], " ")]
	if !ours {
		return s, false, nil
	}
	words = words[3:]
	if len(words) > 0 && strings.HasPrefix(words[0], "0x") {
		words = words[1:]
	}
	if len(words) == 0 || strings.HasSuffix(words[0], ":*") {
		return s, true, nil // not bound
	}
	if s.local, err = hostPort(words[0], ":", s.family); err != nil {
		return s, true, err
	}
	if len(words) > 2 && (words[1] == "-->" || words[1] == "<--") {
		if s.remote, err = hostPort(words[2], ":", s.family); err != nil {
			return s, true, err
		}
	}
	s.state = udpState(s.remote)
	if s.protocol == "tcp" {
		s.state = stateListen
		if s.remote.IsValid() {
			s.state = stateConnection
		}
	}
	s.fstatHolder(strings.Fields(before))
	return s, true, nil
}

// fstatHolder reads user, command, pid and descriptor; a command may hold blanks.
func (s *bsdSocket) fstatHolder(words []string) {
	last := len(words) - 2
	if last < 2 {
		s.untold = "fstat's line doesn't tell its process"
		return
	}
	pid, err := strconv.Atoi(words[last])
	if err != nil || pid <= 0 {
		s.untold = "fstat's line doesn't tell its process"
		return
	}
	s.holders = []Process{{PID: pid}} // ps tells more of it
}
