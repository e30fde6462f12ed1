package platform

import (
	"fmt"
	"slices"
)

// callSysctl is the kind of a recorded Sysctl.
const callSysctl = 'Y'

// KinfoFileSize is the length of OpenBSD's struct kinfo_file (sys/sys/sysctl.h,
// 7.4 to 7.8) for Sysctl("kern.file"). The kernel cuts or pads its own to it.
const KinfoFileSize = 632

// readNodes are the only nodes that are asked for.
var readNodes = []string{
	"kern.hostname", "kern.osrelease", "kern.osproductversion",
	"net.inet.tcp.pcblist_n", "net.inet.udp.pcblist_n", // macOS
	"net.inet.tcp.pcblist", "net.inet.udp.pcblist", "kern.file", // FreeBSD; the last OpenBSD too
	"net.inet.ip.forwarding", "net.inet6.ip6.forwarding",
	"net.pf.default_to_drop", "net.inet.ip.fw.enable", "net.inet6.ip6.fw.enable", // FreeBSD
}

func readNode(name string) error {
	if !slices.Contains(readNodes, name) {
		return fmt.Errorf("sysctl %q: %w", name, ErrNotRead)
	}
	return nil
}

// Sysctl keeps the answer.
func (r *Recorder) Sysctl(name string) ([]byte, error) {
	value, err := r.host.Sysctl(name)
	if readNode(name) == nil {
		r.keep(call{callSysctl, name}, value, err)
	}
	return value, err
}

// Sysctl is the recorded value.
func (r *Recording) Sysctl(name string) ([]byte, error) {
	if err := readNode(name); err != nil {
		return nil, err
	}
	return r.answer(call{callSysctl, name}, "sysctl "+name)
}
