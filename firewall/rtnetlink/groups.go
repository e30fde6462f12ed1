package rtnetlink

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strconv"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/gaps"
)

// groups are the multicast groups that the host's links have joined.
func (r *reader) groups() []firewall.Group {
	var groups []firewall.Group
	for _, file := range []struct {
		name   string
		decode func([]byte) []firewall.Group
	}{
		{"/proc/thread-self/net/igmp", decodeIGMP},
		{"/proc/thread-self/net/igmp6", decodeIGMP6},
	} {
		data, err := r.source.ReadFile(file.name)
		switch {
		case err == nil:
			groups = append(groups, file.decode(data)...)
		case !errors.Is(err, fs.ErrNotExist):
			r.gaps = append(r.gaps, gaps.Gap{Source: file.name, Reason: fmt.Sprintf("multicast groups could not be read: %v", err), Err: err})
		}
	}
	slices.SortFunc(groups, func(a, b firewall.Group) int {
		if a.Interface != b.Interface {
			return a.Interface - b.Interface
		}
		return a.Address.Compare(b.Address)
	})
	return slices.Compact(groups)
}

// decodeIGMP reads /proc/net/igmp (net/ipv4/igmp.c, igmp_mc_seq_show): a line a
// link that begins with its index, then a line a group that begins with white
// space and the group as a 32-bit word in host order.
func decodeIGMP(data []byte) []firewall.Group {
	var groups []firewall.Group
	link := 0
	for line := range bytes.Lines(data) {
		fields := bytes.Fields(line)
		if len(fields) < 2 {
			continue
		}
		if line[0] != '\t' && line[0] != ' ' {
			link, _ = strconv.Atoi(string(fields[0]))
			continue
		}
		word, err := hex.DecodeString(string(fields[0]))
		if err != nil || len(word) != 4 || link == 0 {
			continue
		}
		slices.Reverse(word) // little-endian machines alone have recordings
		groups = append(groups, firewall.Group{Interface: link, Address: netip.AddrFrom4([4]byte(word))})
	}
	return groups
}

// decodeIGMP6 reads /proc/net/igmp6 (net/ipv6/mcast.c, igmp6_mc_seq_show): index,
// link, group in network order.
func decodeIGMP6(data []byte) []firewall.Group {
	var groups []firewall.Group
	for line := range bytes.Lines(data) {
		fields := bytes.Fields(line)
		if len(fields) < 3 {
			continue
		}
		link, err := strconv.Atoi(string(fields[0]))
		address, err2 := hex.DecodeString(string(fields[2]))
		if err != nil || err2 != nil || len(address) != 16 {
			continue
		}
		groups = append(groups, firewall.Group{Interface: link, Address: netip.AddrFrom16([16]byte(address))})
	}
	return groups
}
