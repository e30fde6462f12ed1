package twin

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/netglance/netglance/internal/netlink"
)

// Messages and attributes of addresses (include/uapi/linux/if_addr.h).
const (
	newAddress = 20

	addressAddress   = 1
	addressLocal     = 2
	addressBroadcast = 4
	addressFlags     = 8
	addressPriority  = 9

	addressNoDetection    = 0x02
	addressOptimistic     = 0x04
	addressFailed         = 0x08
	addressTentative      = 0x40
	addressNoPrefixRoute  = 0x200
	addressHeader         = 8
	addressFlagsSettable  = addressNoPrefixRoute
	addressScopeLink      = 253
	detectionPatience     = 10 * time.Second
	detectionPollInterval = time.Millisecond
)

// addAddresses replays the host's addresses, for good and at once.
func (t *Twin) addAddresses() error {
	var requests []request
	for _, data := range t.host.Tape.messages(protocolRoute, newAddress) {
		if len(data) < addressHeader || data[0] != familyIPv4 && data[0] != familyIPv6 {
			continue
		}
		header := slices.Clone(data[:addressHeader]) // family, prefix length, flags, scope, index
		flags := uint32(data[2])
		if b := attribute(data[addressHeader:], addressFlags); len(b) == 4 {
			flags = nativeWord(b)
		}
		if unusable(flags) {
			continue
		}
		header[2] = 0
		b := append(header, keep(data[addressHeader:], addressAddress, addressLocal, addressBroadcast, addressPriority)...)
		b = netlink.AppendAttribute(b, addressFlags, ne32(flags&addressFlagsSettable|addressNoDetection))
		r := newRequest(newAddress, flagCreate|flagExclude, b, fmt.Sprintf("an address of link %d", nativeWord(data[4:8])))
		r.fine = syscall.EEXIST // loopback's are there
		requests = append(requests, r)
	}
	return t.send(requests)
}

// unusable says that somebody else has an address, or that this is not known yet:
// the kernel takes no packets for it.
func unusable(flags uint32) bool {
	return flags&addressFailed != 0 || flags&addressTentative != 0 && flags&addressOptimistic == 0
}

// awaitAddresses returns when the kernel takes packets for all IPv6 addresses: it
// adds their local routes in its own time (net/ipv6/addrconf.c, addrconf_dad_work).
func (t *Twin) awaitAddresses() error {
	up := map[int]bool{}
	for _, l := range t.host.Network.Interfaces {
		up[l.Index] = l.Up()
	}
	var missing []string
	for _, a := range t.host.Network.Addresses {
		if a.Prefix.Addr().Is6() && up[a.Interface] && !unusable(a.Flags) {
			missing = append(missing, hex.EncodeToString(a.Prefix.Addr().AsSlice())+" 80 ")
		}
	}
	for deadline := time.Now().Add(detectionPatience); len(missing) > 0; time.Sleep(detectionPollInterval) {
		routes, err := t.kernel.ReadFile("/proc/net/ipv6_route")
		if err != nil {
			t.unlike("IPv6 addresses", err)
			return nil
		}
		missing = slices.DeleteFunc(missing, func(start string) bool { return bytes.Contains(routes, []byte(start)) })
		if len(missing) > 0 && time.Now().After(deadline) {
			t.unlike("IPv6 addresses", fmt.Errorf("%d are not there after %s", len(missing), detectionPatience))
			return nil
		}
	}
	return nil
}
