package outside

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/netglance/netglance/firewall"
)

// readServices reads IPVS's services, if its module is loaded (ip_vs_info_seq_show,
// net/netfilter/ipvs/ip_vs_ctl.c).
func readServices(source Source, _ *firewall.Network) (f finding) {
	text, err := source.ReadFile("/proc/net/ip_vs")
	if errors.Is(err, fs.ErrNotExist) {
		return f
	}
	if err == nil {
		f.services, err = parseServices(string(text))
	}
	if err != nil {
		return unreadable("IPVS services", err)
	}
	return f
}

var ipvsProtocols = map[string]uint8{"TCP": 6, "UDP": 17, "SCTP": 132}

// parseServices reads lines of services, "TCP  CB007107:0050 rr", "FWM  00000001 wlc",
// and below each those of its servers, "  -> 0A000002:1F90 Masq 1 0 0", after three
// lines of heading.
func parseServices(text string) (list []firewall.VirtualService, err error) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 3 {
			continue
		}
		protocol := ipvsProtocols[fields[0]]
		switch {
		case fields[0] == "FWM":
			mark, err := strconv.ParseUint(fields[1], 16, 32)
			if err != nil {
				return nil, fmt.Errorf("/proc/net/ip_vs: %q", line)
			}
			list = append(list, firewall.VirtualService{Mark: uint32(mark), Text: fmt.Sprintf("IPVS service of mark %d (%s)", mark, fields[2])})
		case protocol != 0:
			at, err := ipvsEndpoint(fields[1])
			if err != nil {
				return nil, fmt.Errorf("/proc/net/ip_vs: %q: %w", line, err)
			}
			list = append(list, firewall.VirtualService{Protocol: protocol, Address: at.Addr(), Port: at.Port(),
				Text: fmt.Sprintf("IPVS service %s %s (%s)", strings.ToLower(fields[0]), at, fields[2])})
		case fields[0] == "->" && len(fields) >= 4 && len(list) > 0 && fields[1] != "RemoteAddress:Port":
			at, err := ipvsEndpoint(fields[1])
			if err != nil {
				return nil, fmt.Errorf("/proc/net/ip_vs: %q: %w", line, err)
			}
			if fields[3] != "0" { // no weight: no new flows
				s := &list[len(list)-1]
				s.Servers = append(s.Servers, at)
			}
		}
	}
	for i := range list {
		slices.SortFunc(list[i].Servers, netip.AddrPort.Compare)
	}
	return list, nil
}

// ipvsEndpoint reads "CB007107:0050" or "[2001:0db8:…]:0050".
func ipvsEndpoint(text string) (netip.AddrPort, error) {
	colon := strings.LastIndexByte(text, ':')
	if colon < 0 {
		return netip.AddrPort{}, fmt.Errorf("no port in %q", text)
	}
	port, err := strconv.ParseUint(text[colon+1:], 16, 16)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if inner, ok := strings.CutPrefix(text[:colon], "["); ok {
		address, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		return netip.AddrPortFrom(address, uint16(port)), err
	}
	b, err := hex.DecodeString(text[:colon])
	if err != nil || len(b) != 4 {
		return netip.AddrPort{}, fmt.Errorf("address %q", text[:colon])
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, binary.BigEndian.Uint32(b)))), uint16(port)), nil
}
