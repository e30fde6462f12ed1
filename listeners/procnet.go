package listeners

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
)

// procNet is where a thread sees the tables of its own network namespace;
// /proc/net is that of the main thread (proc_net(5)).
const procNet = "/proc/thread-self/net/"

// errLine is the error of a line that could not be read.
var errLine = errors.New("listeners: line not understood")

// parseProcNet reads one of /proc/net/{tcp,udp,udplite,raw} and their "6" twins.
// Of TCP only listeners are kept. Bad lines become one error, which quotes the
// first; the others' sockets are there all the same.
func parseProcNet(protocol string, text []byte) ([]socket, error) {
	var sockets []socket
	var bad error
	count := 0
	_, text, _ = bytes.Cut(text, []byte{'\n'}) // the columns' names
	for len(text) > 0 {
		var line []byte
		line, text, _ = bytes.Cut(text, []byte{'\n'})
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		s := socket{protocol: protocol}
		if err := parseProcNetLine(line, &s); err != nil {
			if count++; bad == nil {
				bad = err
			}
			continue
		}
		if protocol != "tcp" || s.state == stateListen {
			sockets = append(sockets, s)
		}
	}
	if count > 1 {
		bad = fmt.Errorf("%w (and %d more lines)", bad, count-1)
	}
	return sockets, bad
}

// parseProcNetLine reads
//
//	sl: LOCAL:PORT REMOTE:PORT ST TX:RX TR:WHEN RETRNSMT UID TIMEOUT INODE …
//
// (net/ipv4/tcp_ipv4.c, get_tcp4_sock and its siblings).
func parseProcNetLine(line []byte, s *socket) error {
	var fields [10][]byte
	if !splitFields(line, fields[:]) {
		return fmt.Errorf("%w: %q", errLine, abbreviated(line))
	}
	local, ok1 := parseHexAddress(fields[1])
	remote, ok2 := parseHexAddress(fields[2])
	state, err1 := strconv.ParseUint(string(fields[3]), 16, 8)
	uid, err2 := strconv.ParseUint(string(fields[7]), 10, 32)
	inode, err3 := strconv.ParseUint(string(fields[9]), 10, 64)
	if !ok1 || !ok2 || errors.Join(err1, err2, err3) != nil {
		return fmt.Errorf("%w: %q", errLine, abbreviated(line))
	}
	s.family = 4
	if local.Addr().Is6() {
		s.family = 6
	}
	s.local, s.state, s.uid, s.inode = local, uint8(state), uint32(uid), inode
	if s.state == stateEstablished {
		s.remote = remote
	}
	return nil
}

// splitFields fills fields with the first words of line; false if there are fewer.
func splitFields(line []byte, fields [][]byte) bool {
	for i := range fields {
		line = bytes.TrimLeft(line, " \t")
		end := bytes.IndexAny(line, " \t")
		if end < 0 {
			end = len(line)
		}
		if end == 0 {
			return false
		}
		fields[i], line = line[:end], line[end:]
	}
	return true
}

// parseHexAddress reads "0100007F:0016": the address as 32-bit words, each printed
// as a number of the recorded machine, which is taken to have this one's byte order.
func parseHexAddress(text []byte) (netip.AddrPort, bool) {
	address, portText, ok := bytes.Cut(text, []byte{':'})
	if !ok || len(address) != 8 && len(address) != 32 {
		return netip.AddrPort{}, false
	}
	port, err := strconv.ParseUint(string(portText), 16, 16)
	if err != nil {
		return netip.AddrPort{}, false
	}
	var raw [16]byte
	n, err := hex.Decode(raw[:], address)
	if err != nil {
		return netip.AddrPort{}, false
	}
	for i := 0; i < n; i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	addr, _ := netip.AddrFromSlice(raw[:n])
	return netip.AddrPortFrom(addr, uint16(port)), true
}

// parseProtocols reads /proc/net/protocols: how many sockets of each protocol this
// network namespace has (net/core/sock.c, proto_seq_printf). Lines that it can't
// read are left out.
func parseProtocols(text []byte) map[string]int {
	counts := make(map[string]int)
	_, text, _ = bytes.Cut(text, []byte{'\n'})
	for len(text) > 0 {
		var line []byte
		line, text, _ = bytes.Cut(text, []byte{'\n'})
		var fields [3][]byte
		if !splitFields(line, fields[:]) {
			continue
		}
		if n, err := strconv.Atoi(string(fields[2])); err == nil {
			counts[string(fields[0])] = n
		}
	}
	return counts
}
