package ifconfig

import (
	"math/bits"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/netglance/netglance/firewall"
)

// Flags of an interface whose numbers are the same on all three systems and in the
// model (net/if.h: IFF_UP, IFF_BROADCAST, IFF_LOOPBACK, IFF_POINTOPOINT, IFF_RUNNING).
const (
	flagLoopback = 0x08
	sharedFlags  = 0x5b
)

// Hardware types of the model (ARPHRD_*).
const (
	typeEther    = 1
	typeLoopback = 772
	typeNone     = 65534
)

// Flags of the model's addresses (IFA_F_*).
const (
	flagDADFailed = 0x08
	flagTentative = 0x40
)

// parseLinks reads "ifconfig -a". bad counts lines about addresses that are not
// understood.
func parseLinks(n *firewall.Network, text []byte) (bad int) {
	added := false
	for line := range strings.Lines(string(text)) {
		if line[0] != '\t' && line[0] != ' ' {
			added = addLink(n, line)
			continue
		}
		if !added {
			continue
		}
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		link := &n.Interfaces[len(n.Interfaces)-1]
		switch words[0] {
		case "groups:":
			link.GroupNames = append(link.GroupNames, words[1:]...)
		case "ether", "lladdr":
			link.HardwareAddr = hardwareAddress(words[1])
			if !link.Loopback() {
				link.Type = typeEther
			}
		case "inet", "inet6":
			a, ok := parseAddress(words, words[0] == "inet")
			if !ok {
				bad++
				continue
			}
			a.Interface = link.Index
			n.Addresses = append(n.Addresses, a)
		}
	}
	return bad
}

// addLink reads "em0: flags=8843<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST> metric 0 mtu 1500".
// Interfaces that only show packets to bpf(4) are left out: none comes in by them.
func addLink(n *firewall.Network, line string) bool {
	name, rest, found := strings.Cut(line, ": flags=")
	if !found || name == "" || strings.HasPrefix(name, "pflog") || strings.HasPrefix(name, "pfsync") {
		return false
	}
	hex, _, _ := strings.Cut(rest, "<")
	flags, err := strconv.ParseUint(hex, 16, 64)
	if err != nil {
		return false
	}
	link := firewall.Interface{Index: len(n.Interfaces) + 1, Name: name, Flags: uint32(flags & sharedFlags), Type: typeNone}
	if link.Flags&flagLoopback != 0 {
		link.Type = typeLoopback
	}
	words := strings.Fields(rest)
	if i := slices.Index(words, "mtu"); i >= 0 && i+1 < len(words) {
		mtu, _ := strconv.ParseUint(words[i+1], 10, 32)
		link.MTU = uint32(mtu)
	}
	n.Interfaces = append(n.Interfaces, link)
	return true
}

func hardwareAddress(text string) (b []byte) {
	for part := range strings.SplitSeq(text, ":") {
		octet, err := strconv.ParseUint(part, 16, 8)
		if err != nil {
			return nil
		}
		b = append(b, byte(octet))
	}
	return b
}

// parseAddress reads an address line:
//
//	inet 192.0.2.10 netmask 0xffffff00 broadcast 192.0.2.255
//	inet 10.8.0.1 --> 10.8.0.2 netmask 0xffffffff
//	inet6 fe80::1%lo0 prefixlen 64 scopeid 0x1
//
// "vhid 1" and further words after it say more than the model keeps.
func parseAddress(words []string, four bool) (a firewall.Address, ok bool) {
	host, length, sized := strings.Cut(words[1], "/")
	host, _, _ = strings.Cut(host, "%") // the interface is known
	own, err := netip.ParseAddr(host)
	if err != nil || own.Is4() != four {
		return a, false
	}
	prefix := own.BitLen()
	if sized {
		if prefix, err = strconv.Atoi(length); err != nil {
			return a, false
		}
	}
	for i := 2; i < len(words); i++ {
		value := ""
		if i+1 < len(words) {
			value = words[i+1]
		}
		switch words[i] {
		case "netmask":
			if prefix, ok = maskLength(value); !ok {
				return a, false
			}
		case "prefixlen":
			if prefix, err = strconv.Atoi(value); err != nil {
				return a, false
			}
		case "broadcast":
			a.Broadcast, _ = netip.ParseAddr(value)
		case "-->":
			peer, _, _ := strings.Cut(value, "%")
			a.Peer, _ = netip.ParseAddr(peer)
		case "tentative":
			a.Flags |= flagTentative
		case "duplicated":
			a.Flags |= flagTentative | flagDADFailed
		}
	}
	a.Prefix = netip.PrefixFrom(own, prefix)
	return a, a.Prefix.IsValid()
}

// maskLength reads 0xffffff00, or 255.255.255.0.
func maskLength(text string) (int, bool) {
	var mask uint32
	if hex, ok := strings.CutPrefix(text, "0x"); ok {
		number, err := strconv.ParseUint(hex, 16, 32)
		if err != nil {
			return 0, false
		}
		mask = uint32(number)
	} else {
		dotted, err := netip.ParseAddr(text)
		if err != nil || !dotted.Is4() {
			return 0, false
		}
		for _, octet := range dotted.As4() {
			mask = mask<<8 | uint32(octet)
		}
	}
	length := bits.LeadingZeros32(^mask)
	return length, mask<<length == 0
}
