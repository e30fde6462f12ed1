package listeners

import (
	"slices"
	"strconv"
	"strings"
)

// parseNetstat reads macOS's "netstat -anvl". Which column has the process differs
// from release to release ("pid", "process:pid"), and names hold blanks: it is
// counted from the right, as the header has it. bad counts the lines about sockets
// that are not understood.
func parseNetstat(text []byte) (sockets []bsdSocket, bad int) {
	afterPID := -1 // columns; -1 where the process isn't told
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) > 0 && words[0] == "Proto" {
			afterPID = columnsAfterPID(words)
			continue
		}
		if len(words) < 5 {
			continue
		}
		s, ours := familyWords[words[0]]
		if !ours {
			continue
		}
		if err := s.netstatAddresses(words); err != nil {
			bad++
			continue
		}
		s.netstatHolder(words, afterPID)
		if s.local.IsValid() {
			sockets = append(sockets, s)
		}
	}
	return sockets, bad
}

func columnsAfterPID(header []string) int {
	at := slices.IndexFunc(header, func(word string) bool { return word == "pid" || word == "process:pid" })
	if at < 0 {
		return -1
	}
	return len(header) - 1 - at
}

// netstatAddresses reads "Proto Recv-Q Send-Q Local Foreign (state)", where the port
// follows the last dot.
func (s *bsdSocket) netstatAddresses(words []string) (err error) {
	state := ""
	if len(words) > 5 {
		state = words[5]
	}
	if strings.HasSuffix(words[3], ".*") || s.protocol == "tcp" && state != "LISTEN" {
		return nil // not bound, or a connection
	}
	if s.local, err = hostPort(words[3], ".", s.family); err != nil {
		return err
	}
	if !strings.HasSuffix(words[4], ".*") {
		if s.remote, err = hostPort(words[4], ".", s.family); err != nil {
			return err
		}
	}
	s.state = udpState(s.remote)
	if s.protocol == "tcp" {
		s.state = stateListen
	}
	return nil
}

func (s *bsdSocket) netstatHolder(words []string, afterPID int) {
	at := len(words) - 1 - afterPID
	if afterPID < 0 || at < 5 {
		s.untold = "netstat doesn't tell which process holds it"
		return
	}
	_, number, named := strings.Cut(words[at], ":")
	if !named {
		number = words[at]
	} else if i := strings.LastIndexByte(number, ':'); i >= 0 {
		number = number[i+1:]
	}
	pid, err := strconv.Atoi(number)
	switch {
	case err != nil || pid < 0:
		s.untold = "netstat doesn't tell which process holds it"
	case pid == 0:
		s.kernel = true
	default:
		s.holders = []Process{{PID: pid}}
	}
}
