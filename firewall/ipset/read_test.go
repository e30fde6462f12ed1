package ipset_test

import (
	"io/fs"
	"testing"

	"github.com/netglance/netglance/firewall/ipset"
	"github.com/netglance/netglance/internal/golden"
	"github.com/netglance/netglance/platform"
)

func TestRecordedSetsAreTheSame(t *testing.T) {
	host, err := platform.OpenRecording("testdata/sets.ng")
	if err != nil {
		t.Fatal(err)
	}
	golden.Equal(t, "sets.golden", describe(ipset.New(host)))
}

// answers is a host that gives the same bytes to every request.
type answers struct {
	reply []byte
	err   error
	asked int
}

func (a *answers) Netlink(int, []byte) ([]byte, error) {
	a.asked++
	return a.reply, a.err
}

func TestNothingIsAskedBeforeARuleNamesASet(t *testing.T) {
	host := &answers{}
	sets := ipset.New(host)
	if host.asked != 0 {
		t.Error("asked at once")
	}
	sets.ByName("a")
	sets.ByName("b")
	if host.asked != 1 {
		t.Errorf("the list was read %d times", host.asked)
	}
}

func TestDeniedListIsAGap(t *testing.T) {
	sets := ipset.New(&answers{err: fs.ErrPermission})
	if _, ok := sets.ByIndex(0); ok || len(sets.Gaps()) != 1 || sets.Gaps()[0].Hint == "" {
		t.Errorf("found %v, gaps %v", ok, sets.Gaps())
	}
}

// FuzzReply reads sets from any bytes. The seeds are what a kernel said.
func FuzzReply(f *testing.F) {
	host, err := platform.OpenRecording("testdata/sets.ng")
	if err != nil {
		f.Fatal(err)
	}
	keeper := &keeper{Host: host}
	describe(ipset.New(keeper))
	if len(keeper.replies) < len(names) {
		f.Fatalf("%d seeds", len(keeper.replies))
	}
	for _, reply := range keeper.replies {
		f.Add(reply)
	}
	f.Fuzz(func(t *testing.T, reply []byte) { describe(ipset.New(&answers{reply: reply})) })
}

type keeper struct {
	platform.Host
	replies [][]byte
}

func (k *keeper) Netlink(protocol int, request []byte) ([]byte, error) {
	reply, err := k.Host.Netlink(protocol, request)
	k.replies = append(k.replies, reply)
	return reply, err
}
