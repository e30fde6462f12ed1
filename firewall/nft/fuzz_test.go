package nft

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/internal/netlink"
)

// recordedAttribute calls f with an attribute of every message of a type in the
// recordings of our own rulesets.
func recordedAttribute(t testing.TB, messageType uint16, number int, f func([]byte)) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "*.messages"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no recorded messages: %v", err)
	}
	found := false
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		err = netlink.Each(b, func(m netlink.Message) error {
			if m.Type != messageType {
				return nil
			}
			var a attributes
			a.parse(m.Data[nfgenLength:])
			if data := a.get(number); data != nil {
				found = true
				f(data)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if !found {
		t.Fatalf("no message of type %d in %v", messageType, files)
	}
}

// fuzzTable has the names that the seeds use.
func fuzzTable(family firewall.Family) *table {
	t := &table{
		Table:   &firewall.Table{Family: family, Name: "t"},
		chains:  map[string]*firewall.Chain{},
		sets:    map[string]*firewall.Set{},
		objects: map[objectKey]*firewall.Object{},
		sizes:   map[string]uint32{},

		interfaces: &interfaceNames{source: noSource{}},
	}
	t.chains["other"] = &firewall.Chain{Table: t.Table, Name: "other"}
	element := firewall.Element{Key: []byte{0, 1, 2, 3}, KeyEnd: []byte{0, 1, 2, 4}, Data: []byte{1, 2, 3, 4}}
	for _, s := range []firewall.Set{
		{Name: "__set0", Anonymous: true, KeyLength: 4, KeyType: "ipv4_addr"},
		{Name: "__map0", Anonymous: true, Map: true, KeyLength: 4, DataLength: 4, DataType: "ipv4_addr"},
		{Name: "__map1", Anonymous: true, Map: true, VerdictMap: true, KeyLength: 2, DataType: "verdict"},
		{Name: "counters", Map: true, ObjectMap: true, KeyLength: 2, DataType: "counter"},
	} {
		s.Table, s.Elements = t.Table, []firewall.Element{element}
		t.sets[s.Name] = &s
	}
	return t
}

type noSource struct{}

func (noSource) Netlink(int, []byte) ([]byte, error) { return nil, os.ErrNotExist }

// FuzzRule decodes and prints arbitrary expressions.
func FuzzRule(f *testing.F) {
	recordedAttribute(f, newRule, ruleExpressions, func(list []byte) { f.Add(byte(firewall.FamilyInet), list) })
	f.Fuzz(func(t *testing.T, family byte, list []byte) {
		table := fuzzTable(firewall.Family(family))
		c := &chain{Chain: &firewall.Chain{Table: table.Table, Name: "c"}, table: table}
		d := decoder{table: table}
		var a attributes
		a.parse(netlink.AppendAttribute(nil, ruleExpressions, list[:min(len(list), 60_000)]))
		rule := d.rule(c, &a, 1)
		if text := rule.Text(); len(text) > 1<<20 {
			t.Errorf("%d bytes of text for a rule of %d", len(text), len(list))
		}
		_ = ExpressionNames(&rule.Rule)
	})
}

// FuzzElements decodes arbitrary elements and folds them to intervals.
func FuzzElements(f *testing.F) {
	recordedAttribute(f, newElement, listElements, func(list []byte) {
		f.Add(true, false, list)
		f.Add(false, true, list)
	})
	f.Fuzz(func(t *testing.T, interval, concatenation bool, list []byte) {
		table := fuzzTable(firewall.FamilyInet)
		s := &set{Set: &firewall.Set{Table: table.Table, Interval: interval, KeyLength: 2}, table: table}
		if concatenation {
			s.Fields, s.KeyLength = []uint32{4, 2}, 8
		}
		s.setElements(s.decodeElements(nil, list))
		for _, e := range s.Elements {
			if len(e.Key) != int(s.KeyLength) || len(e.KeyEnd) != len(e.Key) {
				t.Errorf("element %x-%x in a set of %d byte keys", e.Key, e.KeyEnd, s.KeyLength)
			}
		}
	})
}
