package platform

import (
	"testing"

	"github.com/netglance/netglance/internal/netlink"
)

// A chain's dump costs about as much as this: two messages, three system calls.
func BenchmarkSmallDump(b *testing.B) {
	host := Live()
	request := netlink.Request(34, netlink.FlagDump, []byte{2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	for b.Loop() {
		if _, err := host.Netlink(protocolRoute, request); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSmallFile(b *testing.B) {
	host := Live()
	for b.Loop() {
		if _, err := host.ReadFile("/proc/sys/net/ipv4/ip_forward"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSmallFileInNamespace(b *testing.B) {
	host := LiveIn("/proc/self/ns/net")
	if _, err := host.ReadFile("/proc/sys/net/ipv4/ip_forward"); err != nil {
		b.Skip(err)
	}
	for b.Loop() {
		if _, err := host.ReadFile("/proc/sys/net/ipv4/ip_forward"); err != nil {
			b.Fatal(err)
		}
	}
}
