package platform

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/netglance/netglance/internal/netlink"
)

// getLink asks for all links: an ifinfomsg of zeros.
func getLink() []byte { return netlink.Request(18, netlink.FlagDump, make([]byte, 16)) }

func TestLoopbackIsInTheDumpOfLinks(t *testing.T) {
	reply, err := Live().Netlink(protocolRoute, getLink())
	if err != nil {
		t.Fatal(err)
	}
	found, done := false, false
	err = netlink.Each(reply, func(m netlink.Message) error {
		if m.Type == netlink.TypeDone {
			done = true
			return nil
		}
		for a := netlink.NewAttributes(m.Data[16:]); a.Next(); {
			if a.Type() == 3 && a.String() == "lo" {
				found = true
			}
		}
		return nil
	})
	if err != nil || !found || !done {
		t.Errorf("error %v, lo found %v, NLMSG_DONE at the end %v", err, found, done)
	}
}

func TestErrorsOfTheKernelAreErrnos(t *testing.T) {
	ifinfo := make([]byte, 16)
	ifinfo[4], ifinfo[5], ifinfo[6] = 0xff, 0xff, 0xff // an index that no link has
	_, err := Live().Netlink(protocolRoute, netlink.Request(18, 0, ifinfo))
	if err == nil {
		t.Fatal("no error for a link that isn't there")
	}
	t.Log(err)
	_, err = Live().ReadFile("/proc/none")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
}
