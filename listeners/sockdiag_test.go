package listeners

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"slices"
	"testing"

	"github.com/netglance/netglance/internal/netlink"
)

var recordedDumps = []string{
	"tcp-4", "tcp-6", "mptcp-4", "mptcp-6", "udp-4", "udp-6", "udp-4-chosen", "udp-6-chosen",
	"udplite-4", "udplite-6", "udplite-4-chosen", "udplite-6-chosen",
}

// message is one answer of sock_diag: an inet_diag_msg and attributes.
func message(family, state byte, attributes ...byte) []byte {
	data := make([]byte, diagMessageLength)
	data[0], data[1] = family, state
	return netlink.Request(sockDiagByFamily, 0, append(data, attributes...))
}

func errnoMessage(messageType uint16, errno int32) []byte {
	return netlink.Request(messageType, 0, binary.NativeEndian.AppendUint32(nil, uint32(errno)))
}

func TestDiagMessagesThatAreWrong(t *testing.T) {
	end := errnoMessage(netlink.TypeDone, 0)
	good := message(afInet, stateListen)
	for _, c := range []struct {
		name   string
		buffer []byte
		want   int // sockets all the same
		is     error
	}{
		{"nothing at all", nil, 0, netlink.ErrTruncated},
		{"no end", good, 1, netlink.ErrTruncated},
		{"half a message", slices.Concat(good, good[:50]), 1, netlink.ErrTruncated},
		{"a short socket between two", slices.Concat(good, netlink.Request(sockDiagByFamily, 0, make([]byte, 71)), good, end), 2, netlink.ErrTruncated},
		{"an address family that is none", slices.Concat(message(99, stateListen), good, end), 1, nil},
		{"a bad attribute", slices.Concat(message(afInet, stateListen, 200, 0, 1, 0), good, end), 1, netlink.ErrTruncated},
		{"v6only of two bytes", slices.Concat(message(afInet6, stateListen, 6, 0, attrSKV6Only, 0, 1, 1, 0, 0), end), 0, nil},
		{"refused", errnoMessage(netlink.TypeError, -1), 0, fs.ErrPermission},
		{"no such protocol, told at the end", errnoMessage(netlink.TypeDone, -2), 0, fs.ErrNotExist},
		{"another error", errnoMessage(netlink.TypeError, -105), 0, nil},
	} {
		sockets, err := parseSockDiag("tcp", c.buffer)
		if len(sockets) != c.want || err == nil || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %d sockets, %v; want %d and %v", c.name, len(sockets), err, c.want, c.is)
		}
	}
	if sockets, err := parseSockDiag("tcp", slices.Concat(good, end)); len(sockets) != 1 || err != nil {
		t.Errorf("a good dump: %d sockets, %v", len(sockets), err)
	}
}

func TestUnknownStatesAndAttributesAreKept(t *testing.T) {
	buffer := slices.Concat(message(afInet, 13, 8, 0, 99, 0, 1, 2, 3, 4), errnoMessage(netlink.TypeDone, 0))
	sockets, err := parseSockDiag("udp", buffer)
	if err != nil || len(sockets) != 1 || stateName(sockets[0].state) != "state(13)" {
		t.Errorf("%v, %v", sockets, err)
	}
}

// An old kernel that ignores INET_DIAG_REQ_PROTOCOL must not take the request for
// one about TCP, which is the low byte of MPTCP's number.
func TestMPTCPRequestIsNotTCPsToOldKernels(t *testing.T) {
	request := diagRequest(afInet, protoMPTCP, 1<<stateListen, false)
	if protocol := request[netlink.HeaderLength+1]; protocol != 0 {
		t.Errorf("sdiag_protocol is %d, want 0", protocol)
	}
}

func FuzzSockDiag(f *testing.F) {
	for _, name := range recordedDumps {
		f.Add(readTestdata(f, "sockdiag/"+name))
	}
	f.Fuzz(func(t *testing.T, buffer []byte) {
		sockets, err := parseSockDiag("udp", buffer)
		if len(sockets) > len(buffer)/(netlink.HeaderLength+diagMessageLength) {
			t.Errorf("%d sockets out of %d bytes (%v)", len(sockets), len(buffer), err)
		}
		for _, s := range sockets {
			if s.family != 4 && s.family != 6 || !s.local.IsValid() {
				t.Errorf("socket %+v", s)
			}
		}
		group(sockets, nil, portRange{})
	})
}

func FuzzLinkName(f *testing.F) {
	f.Add(readTestdata(f, "sockdiag/link-77"))
	f.Fuzz(func(t *testing.T, buffer []byte) {
		if name, err := parseLinkName(buffer); err == nil && name == "" {
			t.Error("no name and no error")
		}
	})
}

func TestDeviceThatIsGoneKeepsItsIndex(t *testing.T) {
	names, found := deviceNames(&fakeHost{}, []socket{{device: 42}, {device: 42}, {}})
	if names[42] != "if42" || len(found) != 1 {
		t.Errorf("%v, %v", names, found)
	}
	if _, err := parseLinkName(netlink.Request(newLink, 0, make([]byte, ifinfomsgLength))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a link without a name: %v", err)
	}
}
