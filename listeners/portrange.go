package listeners

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/netglance/netglance/gaps"
)

// Where the kernel's choice of ports is set (ip-sysctl.rst). One range serves
// IPv4 and IPv6.
const (
	rangeFile    = "/proc/sys/net/ipv4/ip_local_port_range"
	reservedFile = "/proc/sys/net/ipv4/ip_local_reserved_ports"
)

// A portRange is what the kernel chooses ports from: first to last but for those
// reserved. The zero value contains nothing.
type portRange struct {
	first, last uint16
	reserved    []portSpan
}

type portSpan struct{ first, last uint16 }

func (r portRange) contains(port uint16) bool {
	if r.last == 0 || port < r.first || port > r.last {
		return false
	}
	for _, span := range r.reserved {
		if port >= span.first && port <= span.last {
			return false
		}
	}
	return true
}

// readPortRange reads both files; a missing list of reserved ports is an empty one.
func readPortRange(host Host) (portRange, []gaps.Gap) {
	text, err := host.ReadFile(rangeFile)
	if err == nil {
		var r portRange
		if r, err = parsePortRange(text); err == nil {
			reserved, _ := host.ReadFile(reservedFile)
			r.reserved = parseReservedPorts(reserved)
			return r, nil
		}
	}
	return portRange{}, []gaps.Gap{{
		Source: rangeFile,
		Reason: "the range of ports that the kernel chooses from is unknown: UDP clients count as servers",
		Err:    err,
	}}
}

func parsePortRange(text []byte) (portRange, error) {
	fields := bytes.Fields(text)
	if len(fields) != 2 {
		return portRange{}, fmt.Errorf("listeners: %q is no port range", abbreviated(text))
	}
	first, err1 := parsePort(fields[0])
	last, err2 := parsePort(fields[1])
	if err1 != nil || err2 != nil || first > last {
		return portRange{}, fmt.Errorf("listeners: %q is no port range", abbreviated(text))
	}
	return portRange{first: first, last: last}, nil
}

// parseReservedPorts reads "8080,9148-9150". What it can't read it leaves out: the
// ports then count as choosable.
func parseReservedPorts(text []byte) []portSpan {
	var spans []portSpan
	for _, item := range bytes.Split(bytes.TrimSpace(text), []byte{','}) {
		low, high, isSpan := bytes.Cut(item, []byte{'-'})
		if !isSpan {
			high = low
		}
		first, err1 := parsePort(low)
		last, err2 := parsePort(high)
		if err1 == nil && err2 == nil {
			spans = append(spans, portSpan{first, last})
		}
	}
	return spans
}

func parsePort(text []byte) (uint16, error) {
	n, err := strconv.ParseUint(string(text), 10, 16)
	return uint16(n), err
}

// abbreviated is enough of an offending text to recognise it.
func abbreviated(text []byte) []byte { return text[:min(len(text), 80)] }
