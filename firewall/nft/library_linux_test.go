package nft_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netns"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/nft"
	"github.com/netglance/netglance/internal/kerneltest"
)

// google/nftables writes here what nft doesn't, and tells what it reads itself. A
// Conn is for one goroutine: a shared one gives one goroutine another's answer.
// Its reading panics where a socket's descriptor is 1024 or more (pselect).
func library(t *testing.T, ns *kerneltest.Namespace, options ...nftables.ConnOption) *nftables.Conn {
	t.Helper()
	at, err := netns.GetFromPath(ns.Path())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { at.Close() })
	conn, err := nftables.New(append(options, nftables.WithNetNSFd(int(at)))...)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func flush(t *testing.T, conn *nftables.Conn) {
	t.Helper()
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
}

func TestAnOwnersTableGoesWithItUnlessItPersists(t *testing.T) {
	ns := kerneltest.New(t, kerneltest.Layout{})
	owner := library(t, ns, nftables.AsLasting())
	owner.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "owned", Flags: nftables.TableFlagOwner})
	owner.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "stays", Flags: nftables.TableFlagOwner | nftables.TableFlagPersist})
	flush(t, owner)
	written, err := library(t, ns).ListTables()
	if err != nil || len(written) != 2 {
		t.Fatalf("the library lists %d tables, %v", len(written), err)
	}
	for i, table := range read(t, ns).Tables {
		if table.Owner == 0 || table.Owner != written[i].Owner || table.Name != written[i].Name {
			t.Errorf("%s of %d, the library says %s of %d", table.Name, table.Owner, written[i].Name, written[i].Owner)
		}
	}
	if err := owner.CloseLasting(); err != nil {
		t.Fatal(err)
	}
	var left []string
	for range 100 { // the kernel notices the closed socket, and deletes, in its own time
		left = nil
		for _, table := range read(t, ns).Tables {
			left = append(left, fmt.Sprintf("%s of %d", table.Name, table.Owner))
		}
		if slices.Equal(left, []string{"stays of 0"}) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("the owner is gone, and there are %q", left)
}

func TestADormantTableIsDormant(t *testing.T) {
	ns := kerneltest.New(t, kerneltest.Layout{})
	conn := library(t, ns)
	conn.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "asleep", Flags: nftables.TableFlagDormant})
	conn.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "awake"})
	flush(t, conn)
	for _, table := range read(t, ns).Tables {
		if table.Dormant != (table.Name == "asleep") {
			t.Errorf("%s: dormant %t", table.Name, table.Dormant)
		}
	}
}

// A writtenSet is a set and what its elements must be read as.
type writtenSet struct {
	set      nftables.Set
	elements []nftables.SetElement
	want     string
}

func writtenSets(t *testing.T) []writtenSet {
	interval := func(prefix string) []nftables.SetElement {
		first, end, err := nftables.NetInterval(prefix)
		if err != nil {
			t.Fatal(err)
		}
		return []nftables.SetElement{{Key: first}, {Key: end, IntervalEnd: true}}
	}
	addressAndPort := nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetService)
	return []writtenSet{
		{nftables.Set{Name: "single", KeyType: nftables.TypeIP6Addr}, []nftables.SetElement{{Key: make([]byte, 16)}}, strings.Repeat("0", 32) + "-" + strings.Repeat("0", 32)},
		{nftables.Set{Name: "prefixes", KeyType: nftables.TypeIPAddr, Interval: true}, slices.Concat(interval("10.0.0.0/8"), interval("192.0.2.4/30")), "0a000000-0affffff c0000204-c0000207"},
		{nftables.Set{Name: "open", KeyType: nftables.TypeInetService, Interval: true}, []nftables.SetElement{{Key: []byte{0xff, 0}, IntervalOpen: true}}, "ff00-ffff"},
		{nftables.Set{Name: "pairs", KeyType: addressAndPort, Interval: true, Concatenation: true},
			[]nftables.SetElement{{Key: []byte{10, 0, 0, 1, 0, 22, 0, 0}, KeyEnd: []byte{10, 0, 0, 9, 0, 23, 0, 0}}}, "0a00000100160000-0a00000900170000"},
		{nftables.Set{Name: "marks", KeyType: nftables.TypeMark, KeyByteOrder: binaryutil.NativeEndian},
			[]nftables.SetElement{{Key: binaryutil.NativeEndian.PutUint32(7)}}, fmt.Sprintf("%x-%[1]x", binaryutil.NativeEndian.PutUint32(7))},
		{nftables.Set{Name: "ages", KeyType: nftables.TypeInetService, HasTimeout: true, Timeout: time.Hour},
			[]nftables.SetElement{{Key: []byte{0, 80}, Timeout: 2 * time.Hour}}, "0050-0050 timeout 2h0m0s"},
		{nftables.Set{Name: "ports", KeyType: nftables.TypeInetService, DataType: nftables.TypeInetService, IsMap: true},
			[]nftables.SetElement{{Key: []byte{0, 80}, Val: []byte{0x1f, 0x90}}}, "0050-0050 : 1f90"},
		{nftables.Set{Name: "verdicts", KeyType: nftables.TypeInetService, DataType: nftables.TypeVerdict, IsMap: true},
			[]nftables.SetElement{{Key: []byte{0, 22}, VerdictData: &expr.Verdict{Kind: expr.VerdictAccept}}, {Key: []byte{0, 23}, VerdictData: &expr.Verdict{Kind: expr.VerdictDrop}}},
			"0016-0016 : accept 0017-0017 : drop"},
	}
}

func TestSetsAreReadAsTheLibraryWroteThem(t *testing.T) {
	ns := kerneltest.New(t, kerneltest.Layout{})
	conn := library(t, ns)
	table := conn.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "t"})
	written := writtenSets(t)
	for i := range written {
		written[i].set.Table = table
		if err := conn.AddSet(&written[i].set, written[i].elements); err != nil {
			t.Fatal(written[i].set.Name, err)
		}
	}
	flush(t, conn)
	ruleset := read(t, ns)
	for _, w := range written {
		set := setNamed(t, ruleset, w.set.Name)
		var got []string
		for _, e := range set.Elements {
			text := fmt.Sprintf("%x-%x", e.Key, e.KeyEnd)
			if e.Data != nil {
				text += fmt.Sprintf(" : %x", e.Data)
			}
			if e.Verdict != nil {
				text += " : " + strings.ToLower(e.Verdict.Code.String())
			}
			if e.Timeout != 0 {
				text += " timeout " + e.Timeout.String()
			}
			got = append(got, text)
		}
		if strings.Join(got, " ") != w.want {
			t.Errorf("%s: read %q, written %q", w.set.Name, strings.Join(got, " "), w.want)
		}
		if set.KeyType != w.set.KeyType.Name || set.KeyLength != w.set.KeyType.Bytes || set.Interval != w.set.Interval || set.Map != w.set.IsMap || set.Timeout != w.set.Timeout {
			t.Errorf("%s: read as %q, %d bytes, interval %t, map %t, timeout %s", w.set.Name, set.KeyType, set.KeyLength, set.Interval, set.Map, set.Timeout)
		}
	}
	if pairs := setNamed(t, ruleset, "pairs"); !slices.Equal(pairs.Fields, []uint32{4, 2}) {
		t.Errorf("fields %v", pairs.Fields)
	}
}

func TestChainsAndRulesAreReadAsTheLibraryWroteThem(t *testing.T) {
	ns := kerneltest.New(t, kerneltest.Layout{Interfaces: []kerneltest.Interface{{Name: "eth0"}}})
	conn := library(t, ns)
	table := conn.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "t"})
	device := conn.AddTable(&nftables.Table{Family: nftables.TableFamilyNetdev, Name: "d"})
	drop := nftables.ChainPolicyDrop
	input := conn.AddChain(&nftables.Chain{Table: table, Name: "in", Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookInput,
		Priority: nftables.ChainPriorityRef(-7), Policy: &drop})
	conn.AddChain(&nftables.Chain{Table: device, Name: "early", Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookIngress,
		Priority: nftables.ChainPriorityRef(3), Device: "eth0"})
	tcp := []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{6}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
	}
	for _, more := range [][]expr.Any{
		{&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{0, 22}}, &expr.Verdict{Kind: expr.VerdictAccept}},
		{&expr.Range{Op: expr.CmpOpNeq, Register: 1, FromData: []byte{0, 1}, ToData: []byte{3, 255}}, &expr.Verdict{Kind: expr.VerdictDrop}},
		{&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 2, Mask: []byte{0xff, 0}, Xor: []byte{0, 0}},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{0x1f, 0}}, &expr.Counter{}, &expr.Verdict{Kind: expr.VerdictReturn}},
		{&expr.Cmp{Op: expr.CmpOpGte, Register: 1, Data: []byte{4, 0}}, &expr.Limit{Rate: 5, Unit: expr.LimitTimeMinute, Burst: 5, Type: expr.LimitTypePkts},
			&expr.Reject{Type: 1, Code: 0}}, // NFT_REJECT_TCP_RST
	} {
		conn.AddRule(&nftables.Rule{Table: table, Chain: input, Exprs: slices.Concat(tcp, more)})
	}
	flush(t, conn)
	ruleset := read(t, ns)
	want := map[string]firewall.Base{
		"in":    {Hook: firewall.Input, Priority: -7, Policy: firewall.Drop},
		"early": {Hook: firewall.Ingress, Priority: 3, Policy: firewall.Accept, Devices: []string{"eth0"}},
	}
	var texts []string
	for _, table := range ruleset.Tables {
		for _, chain := range table.Chains {
			w, b := want[chain.Name], chain.Base
			if b == nil || b.Hook != w.Hook || b.Priority != w.Priority || b.Policy != w.Policy || !slices.Equal(b.Devices, w.Devices) {
				t.Errorf("%s: %+v, written %+v", chain.Name, b, w)
			}
			for _, rule := range chain.Rules {
				texts = append(texts, rule.Text())
			}
		}
	}
	if !slices.Equal(texts, []string{
		"tcp dport 22 accept",
		"tcp dport != 1-1023 drop",
		"tcp dport & 65280 == 7936 counter return",
		"tcp dport >= 1024 limit rate 5/minute reject with tcp reset",
	}) {
		t.Errorf("rules %q", texts)
	}
}

// Why rules are not read with the library: it passes over expressions that it
// doesn't know, without an error, and what is left looks like another rule. If this
// fails after an upgrade it has learned the expression, not to say what it drops.
func TestTheLibraryLosesExpressionsThatAreReadHere(t *testing.T) {
	ns := kerneltest.New(t, kerneltest.Layout{})
	conn := library(t, ns)
	for rule, lost := range map[string]string{
		"meta mark 1-5 accept":        "byteorder",
		"socket transparent 1 accept": "socket",
		"rt classid 1 accept":         "rt",
	} {
		t.Run(rule, func(t *testing.T) {
			err := ns.NFT("table inet t { }\ndelete table inet t\ntable inet t { chain c { " + rule + "; }; }\n")
			if err != nil {
				t.Fatal(err)
			}
			here := read(t, ns).Tables[0].Chains[0].Rules[0]
			if !slices.Contains(nft.ExpressionNames(here), lost) {
				t.Errorf("%v lacks %s", nft.ExpressionNames(here), lost)
			}
			table := &nftables.Table{Family: nftables.TableFamilyINet, Name: "t"}
			rules, err := conn.GetRules(table, &nftables.Chain{Table: table, Name: "c"})
			if err != nil || len(rules) != 1 {
				t.Fatalf("the library reads %d rules, %v", len(rules), err)
			}
			if got, whole := len(rules[0].Exprs), len(nft.ExpressionNames(here)); got != whole-1 {
				t.Errorf("the library reads %d expressions of %d", got, whole)
			}
		})
	}
}
