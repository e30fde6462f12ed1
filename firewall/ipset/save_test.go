package ipset_test

import (
	"os"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall/ipset"
	"github.com/netglance/netglance/internal/golden"
)

func TestSavedTextHoldsTheSetsThatTheKernelHas(t *testing.T) {
	text, err := os.ReadFile("testdata/sets.save")
	if err != nil {
		t.Fatal(err)
	}
	sets, err := ipset.Parse("sets.save", text)
	if err != nil {
		t.Fatal(err)
	}
	golden.Equal(t, "sets.golden", describe(sets))
}

func TestHandWrittenEntries(t *testing.T) {
	for _, c := range []struct{ create, entry, keys string }{
		{"hash:ip", "192.0.2.3-192.0.2.5", "c0000203-c0000205"},
		{"hash:ip netmask 24", "192.0.2.9", "c0000200-c00002ff"},
		{"hash:net", "192.0.2.3-192.0.2.8", "c0000203-c0000203 c0000204-c0000207 c0000208-c0000208"},
		{"hash:net", "0.0.0.0-255.255.255.255", "00000000-ffffffff"},
		{"hash:ip,port", "192.0.2.1,80", "c00002010600000000500000-c00002010600000000500000"},
		{"hash:ip,port", "192.0.2.1,udp:domain", "c00002011100000000350000-c00002011100000000350000"},
		{"hash:ip,port", "192.0.2.1,icmp:ping", "c00002010100000008000000-c00002010100000008000000"},
		{"hash:ip,port", "192.0.2.1,icmp:3/1", "c00002010100000003010000-c00002010100000003010000"},
		{"bitmap:port", "22-23", "0016-0017"},
		{"hash:mac", "02:00:00:00:00:01", "020000000001-020000000001"},
	} {
		sets, err := ipset.Parse("sets", []byte("create a "+c.create+"\nadd a "+c.entry+"\n"))
		if err != nil {
			t.Errorf("%s: %v", c.entry, err)
			continue
		}
		found, _ := sets.ByName("a")
		var b strings.Builder
		describeMembers(&b, found)
		_, keys, _ := strings.Cut(b.String(), "\n")
		if got := strings.Join(strings.Fields(keys), " "); got != c.keys {
			t.Errorf("%s %s: %s, want %s", c.create, c.entry, got, c.keys)
		}
	}
}

func TestBadLinesAreNamed(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"create a hash:ip\nadd b 192.0.2.1", `sets:2: the set "b" was not created before`},
		{"create a hash:ip\nadd a 2001:db8::1", `sets:2: "2001:db8::1": 2001:db8::1 is of the other family than the set`},
		{"create a hash:ip\nadd a here", `sets:2: "here": "here" is no address`},
		{"create a hash:ip family inet6 bitmask ffff::", `sets:1: the option "bitmask ffff::" is not understood`},
		{"create a hash:later", `sets:1: the set type "hash:later" is not known`},
		{"create a hash:ip\ncreate a hash:ip", `sets:2: the set "a" stands here twice`},
		{"create a hash:ip,port\nadd a 192.0.2.1", `sets:2: "192.0.2.1": hash:ip,port has 2 parts`},
		{"create a hash:net\nadd a 10.0.0.0/33", `sets:2: "10.0.0.0/33": "33" is no length of a network`},
		{"create a hash:net comment\nadd a 10.0.0.0/8 comment \"open", `sets:2: a quote is not closed`},
		{"create a hash:net\nadd a 10.0.0.9-10.0.0.1", `sets:2: "10.0.0.9-10.0.0.1": the range ends before it starts`},
		{"flush a", `sets:1: "flush" is neither create nor add`},
	} {
		if _, err := ipset.Parse("sets", []byte(c.text)); err == nil || err.Error() != c.want {
			t.Errorf("%q: %v, want %s", c.text, err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"testdata/sets.save", "testdata/sets.restore"} {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		sets, _ := ipset.Parse("text", text)
		describe(sets)
	})
}
