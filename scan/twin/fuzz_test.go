package twin

import (
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/nft"
	"github.com/netglance/netglance/firewall/rtnetlink"
	"github.com/netglance/netglance/internal/netlink"
	"github.com/netglance/netglance/platform"
)

// keeping keeps every reply of a host.
type keeping struct {
	platform.Host
	replies map[int][][]byte
}

func (k keeping) Netlink(protocol int, request []byte) ([]byte, error) {
	reply, err := k.Host.Netlink(protocol, request)
	if err == nil {
		k.replies[protocol] = append(k.replies[protocol], reply)
	}
	return reply, err
}

// refusing is a kernel that refuses every message.
type refusing struct{ Kernel }

func (refusing) Transact(_ int, messages [][]byte) ([]error, error) {
	said := make([]error, len(messages))
	for i := range said {
		said[i] = errNotRecorded
	}
	return said, nil
}

// A recording may hold anything where the kernel's bytes should be.
func FuzzAnyBytesAreReplayedOrLeftOut(f *testing.F) {
	host, err := platform.OpenRecording("../../testdata/hosts/web-1.ng")
	if err != nil {
		f.Fatal(err)
	}
	real := keeping{host, map[int][][]byte{}}
	nft.Read(serial{real}, nil)
	rtnetlink.Read(real)
	seeds := 0
	for protocol, replies := range real.replies {
		for _, reply := range replies {
			f.Add(protocol, reply)
			seeds++
		}
	}
	if seeds < 10 {
		f.Fatalf("only %d replies are recorded", seeds)
	}
	set := netlink.AppendString(netlink.AppendString([]byte{2, 0, 0, 0}, ipsetName, "a"), ipsetType, "hash:ip")
	f.Add(protocolNetfilter, netlink.Request(ipsetList, 0, netlink.AppendAttribute(set, ipsetMembers, []byte{8, 0, 7, 0, 4, 0, 1, 0})))
	f.Fuzz(func(_ *testing.T, protocol int, reply []byte) {
		tape := NewTape()
		tape.KeepNetlink(protocol, nil, reply)
		t := &Twin{kernel: refusing{}, host: Host{Tape: tape, Network: &firewall.Network{}, Rules: &firewall.Ruleset{}},
			refused: map[*firewall.Rule]bool{}, loaded: map[chainKey][]*firewall.Rule{}}
		for _, step := range []func() error{t.addAddresses, t.addRouting, t.loadSets, t.loadTables, t.loadLegacy} {
			_ = step() // what is refused is a gap
		}
		t.vrfTable(1)
	})
}

// serial asks one question at a time.
type serial struct{ keeping }

func (s serial) Netlink(protocol int, request []byte) ([]byte, error) {
	asking <- struct{}{}
	defer func() { <-asking }()
	return s.keeping.Netlink(protocol, request)
}

var asking = make(chan struct{}, 1)
