package platform

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/netglance/netglance/internal/netlink"
)

func linkDump() []byte { return netlink.Request(18, netlink.FlagDump, make([]byte, 16)) }

// linkNames are the names in a reply to linkDump, and whether it ended with NLMSG_DONE.
func linkNames(t *testing.T, reply []byte) (names []string, done bool) {
	t.Helper()
	err := netlink.Each(reply, func(m netlink.Message) error {
		done = m.Type == netlink.TypeDone
		if done {
			return nil
		}
		for a := netlink.NewAttributes(m.Data[16:]); a.Next(); {
			if a.Type() == 3 {
				names = append(names, a.String())
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names, done
}

func TestDumpIsWhole(t *testing.T) {
	reply, err := Live().Netlink(protocolRoute, linkDump())
	if err != nil {
		t.Fatal(err)
	}
	names, done := linkNames(t, reply)
	if len(names) == 0 || names[0] != "lo" || !done {
		t.Errorf("links %q, NLMSG_DONE at the end %v", names, done)
	}
}

func TestReplyOfOneMessageHasNoAcknowledgement(t *testing.T) {
	loopback := make([]byte, 16)
	binary.NativeEndian.PutUint32(loopback[4:], 1)
	reply, err := Live().Netlink(protocolRoute, netlink.Request(18, 0, loopback))
	if err != nil {
		t.Fatal(err)
	}
	if names, _ := linkNames(t, reply); len(names) != 1 || names[0] != "lo" {
		t.Errorf("links %q", names)
	}
}

func TestErrorsOfTheKernelAreErrnos(t *testing.T) {
	host := Live()
	noLink := make([]byte, 16)
	binary.NativeEndian.PutUint32(noLink[4:], 1<<30)
	_, err := host.Netlink(protocolRoute, netlink.Request(18, 0, noLink))
	if !errors.Is(err, syscall.ENODEV) || !strings.Contains(err.Error(), "RTM_GETLINK") {
		t.Errorf("error %v, want ENODEV and the request's name", err)
	}
	noTable := netlink.AppendString([]byte{2, 0, 0, 0}, 1, "netglance-none")
	_, err = host.Netlink(protocolNetfilter, netlink.Request(subsystemNFTables|1, 0, noTable))
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
		t.Errorf("error %v, want fs.ErrNotExist (or fs.ErrPermission without root)", err)
	}
	if _, err := host.Netlink(protocolRoute, linkDump()); err != nil {
		t.Errorf("after an error: %v", err)
	}
}

func TestRequestThatChangesIsNotSent(t *testing.T) {
	pool := socketPool{open: func(int) (*socket, error) {
		t.Error("a socket was opened")
		return openSocket(protocolRoute)
	}}
	if _, err := pool.request(protocolRoute, netlink.Request(17, 0, make([]byte, 16))); !errors.Is(err, ErrNotRead) {
		t.Errorf("error %v, want ErrNotRead", err)
	}
}

func TestMessageLongerThanTheBufferIsReadAgain(t *testing.T) {
	opened := 0
	pool := socketPool{open: func(protocol int) (*socket, error) {
		opened++
		s, err := openSocket(protocol)
		if err == nil {
			s.buffer = make([]byte, 64)
		}
		return s, err
	}}
	reply, err := pool.request(protocolRoute, linkDump())
	if err != nil {
		t.Fatal(err)
	}
	want, err := Live().Netlink(protocolRoute, linkDump())
	if err != nil {
		t.Fatal(err)
	}
	got, _ := linkNames(t, reply)
	expected, _ := linkNames(t, want)
	if strings.Join(got, " ") != strings.Join(expected, " ") {
		t.Errorf("links %q, want %q", got, expected)
	}
	if opened < 2 {
		t.Error("the buffer was long enough: the test shows nothing")
	}
}

func TestRequestsInParallelGetTheirOwnAnswers(t *testing.T) {
	host := Live()
	before := descriptors(t)
	var running sync.WaitGroup
	for i := range 32 {
		running.Go(func() {
			index := make([]byte, 16)
			binary.NativeEndian.PutUint32(index[4:], uint32(1+i%2<<30)) // lo, or none
			for range 50 {
				reply, err := host.Netlink(protocolRoute, netlink.Request(18, 0, index))
				switch {
				case i%2 == 0 && (err != nil || !bytes.Contains(reply, []byte("lo\x00"))):
					t.Errorf("lo: % x, error %v", reply, err)
				case i%2 == 1 && !errors.Is(err, syscall.ENODEV):
					t.Errorf("no link: error %v", err)
				}
			}
		})
	}
	running.Wait()
	if after := descriptors(t); after > before+idleSockets {
		t.Errorf("%d descriptors before, %d after: sockets are not closed", before, after)
	}
}
