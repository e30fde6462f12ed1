package platform

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/netglance/netglance/internal/golden"
	"github.com/netglance/netglance/internal/netlink"
)

func TestOnlyReadsPass(t *testing.T) {
	link := netlink.Request(18, netlink.FlagDump, make([]byte, 16))
	for _, c := range []struct {
		name     string
		protocol int
		request  []byte
		passes   bool
	}{
		{"a dump of links", 0, link, true},
		{"all tc filters of a link", 0, netlink.Request(46, netlink.FlagDump, nil), true},
		{"one tc filter, for which its module may be loaded", 0, netlink.Request(46, 0, nil), false},
		{"a new tc filter", 0, netlink.Request(44, 0, nil), false},
		{"IPsec policies", 6, netlink.Request(21, netlink.FlagDump, nil), true},
		{"a deleted IPsec policy", 6, netlink.Request(20, 0, nil), false},
		{"another default for IPsec", 6, netlink.Request(39, 0, nil), false},
		{"a new link", 0, netlink.Request(16, 0, nil), false},
		{"a deleted link", 0, netlink.Request(17, 0, nil), false},
		{"a changed link", 0, netlink.Request(19, 0, nil), false},
		{"a socket to be destroyed", 4, netlink.Request(21, 0, nil), false},
		{"nf_tables: rules", 12, netlink.Request(10<<8|7, 0, nil), true},
		{"nf_tables: a new rule", 12, netlink.Request(10<<8|6, 0, nil), false},
		{"nf_tables: counters read and reset", 12, netlink.Request(10<<8|21, 0, nil), false},
		{"nf_tables: rules read and reset", 12, netlink.Request(10<<8|25, 0, nil), false},
		{"the start of an nfnetlink batch", 12, netlink.Request(16, 0, nil), false},
		{"ipset: list", 12, netlink.Request(6<<8|7, 0, nil), true},
		{"ipset: flush", 12, netlink.Request(6<<8|4, 0, nil), false},
		{"conntrack", 12, netlink.Request(1<<8|1, 0, nil), false},
		{"a read of one protocol on another", 4, link, false},
		{"a protocol that is never used", 15, netlink.Request(20, 0, nil), false},
		{"a deletion behind a read", 0, append(slices.Clone(link), netlink.Request(17, 0, nil)...), false},
		{"a header cut short", 0, link[:15], false},
		{"a length beyond the bytes", 0, link[:20], false},
		{"nothing", 0, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := readRequest(c.protocol, c.request)
			if (err == nil) != c.passes {
				t.Fatalf("error %v", err)
			}
			if err != nil && !errors.Is(err, ErrNotRead) {
				t.Errorf("error %v is no ErrNotRead", err)
			}
		})
	}
}

// What may be sent is a reviewed list: a change shows in the golden file.
func TestEveryRequestThatPasses(t *testing.T) {
	var list strings.Builder
	for protocol := range 32 {
		for messageType := range 1 << 16 {
			name, err := readRequest(protocol, netlink.Request(uint16(messageType), netlink.FlagDump, nil))
			if err == nil {
				fmt.Fprintf(&list, "%2d %#06x %s\n", protocol, messageType, name)
			}
		}
	}
	golden.Equal(t, "requests.txt", []byte(list.String()))
}
