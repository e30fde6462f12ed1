package xt

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
)

// asked is what a match's options mean.
func asked(t *testing.T, d Decoder, name string, options ...Option) []firewall.Step {
	t.Helper()
	e, err := d.ParseMatch(name, 6, options)
	if err != nil {
		t.Fatal(err)
	}
	return e.Steps()
}

func option(name string, arguments ...string) Option {
	inverted := strings.HasPrefix(name, "!")
	return Option{Name: strings.TrimPrefix(name, "!"), Invert: inverted, Arguments: arguments}
}

var (
	ip4 = Decoder{Family: firewall.FamilyIPv4}
	ip6 = Decoder{Family: firewall.FamilyIPv6}
)

func want(t *testing.T, got []firewall.Step, steps ...firewall.Step) {
	t.Helper()
	if len(got) == 0 && len(steps) == 0 {
		return
	}
	if !reflect.DeepEqual(got, steps) {
		t.Errorf("\n got %s\nwant %s", list(got), list(steps))
	}
}

func list(steps []firewall.Step) string {
	var b strings.Builder
	for _, s := range steps {
		fmt.Fprintf(&b, "\n     %#v", s)
	}
	return b.String()
}

func port(offset uint32, op firewall.Comparison, number uint16) firewall.Step {
	return firewall.Compare{Op: op, Value: transport(offset, 2), Data: be16(number)}
}

func word(v firewall.Value, mask uint32, op firewall.Comparison, data uint32) firewall.Step {
	return firewall.Compare{Op: op, Data: ip4.word32(data), Value: firewall.Bitwise{
		Op: firewall.BitAnd, Left: v, Right: firewall.Constant{Data: ip4.word32(mask)}, Length: 4,
	}}
}

func TestInvertedPortListExcludesEachPortOnItsOwn(t *testing.T) {
	want(t, asked(t, ip4, "multiport", option("!ports", "1,2")),
		port(0, firewall.NotEqual, 1), port(0, firewall.NotEqual, 2),
		port(2, firewall.NotEqual, 1), port(2, firewall.NotEqual, 2))
}

func TestPortListIsAnyOfItsPortsOnEitherSide(t *testing.T) {
	want(t, asked(t, ip4, "multiport", option("ports", "1,2")), firewall.AnyOf{Alternatives: [][]firewall.Step{
		{port(0, firewall.Equal, 1)}, {port(0, firewall.Equal, 2)}, {port(2, firewall.Equal, 1)}, {port(2, firewall.Equal, 2)},
	}})
}

func TestPacketWithoutConntrackEntryMeetsTheStateAlone(t *testing.T) {
	entry := ct(firewall.CTState)
	protocol := firewall.Compare{Op: firewall.Equal, Value: ct(firewall.CTProtocol), Data: []byte{17}}
	want(t, asked(t, ip4, "conntrack", option("ctstate", "UNTRACKED"), option("ctproto", "17")),
		word(entry, 64, firewall.NotEqual, 0),
		firewall.AnyOf{Alternatives: [][]firewall.Step{{word(entry, 65, firewall.NotEqual, 0)}, {protocol}}})
	want(t, asked(t, ip4, "conntrack", option("ctproto", "17")), word(entry, 65, firewall.Equal, 0), protocol)
}

func TestTranslatedIsAStatusAndNoState(t *testing.T) {
	want(t, asked(t, ip4, "conntrack", option("ctstate", "DNAT")), word(ct(firewall.CTStatus), 1<<5, firewall.NotEqual, 0))
	want(t, asked(t, ip4, "conntrack", option("ctstate", "NEW,DNAT")), firewall.AnyOf{Alternatives: [][]firewall.Step{
		{word(ct(firewall.CTState), 8, firewall.NotEqual, 0)}, {word(ct(firewall.CTStatus), 1<<5, firewall.NotEqual, 0)},
	}})
	want(t, asked(t, ip4, "conntrack", option("!ctstate", "NEW,DNAT")),
		word(ct(firewall.CTState), 8, firewall.Equal, 0),
		firewall.Not{Steps: []firewall.Step{word(ct(firewall.CTStatus), 1<<5, firewall.NotEqual, 0)}})
}

func TestICMPTypeAndCodeAreNegatedTogether(t *testing.T) {
	want(t, asked(t, ip4, "icmp", option("!icmp-type", "3/4")), firewall.AnyOf{Alternatives: [][]firewall.Step{
		{firewall.Compare{Op: firewall.NotEqual, Value: transport(0, 1), Data: []byte{3}}},
		{firewall.Compare{Op: firewall.NotEqual, Value: transport(1, 1), Data: []byte{4}}},
	}})
	want(t, asked(t, ip4, "icmp", option("icmp-type", "any")))
	want(t, asked(t, ip4, "icmp", option("!icmp-type", "any")), never())
}

func TestPhysicalDeviceOfAnUnbridgedPacketFailsUnlessInverted(t *testing.T) {
	name := firewall.Compare{Value: firewall.BridgePort{}, Data: append([]byte("eth1"), make([]byte, 12)...)}
	want(t, asked(t, ip4, "physdev", option("physdev-in", "eth1")), name)
	want(t, asked(t, ip4, "physdev", option("!physdev-in", "eth1")), firewall.Not{Steps: []firewall.Step{name}})
}

func TestInterfaceWildcardComparesWhatStandsBeforeIt(t *testing.T) {
	want(t, asked(t, ip4, "physdev", option("physdev-out", "veth+")),
		firewall.Compare{Value: firewall.BridgePort{Out: true}, Data: []byte("veth")})
}

func TestPacketThatComesInHasNoOwner(t *testing.T) {
	root := firewall.Compare{Value: firewall.ByteOrder{Value: meta(firewall.MetaSKUID), ToNetwork: true, Size: 4, Length: 4}, Data: be32(0)}
	want(t, asked(t, ip4, "owner", option("uid-owner", "0")), root)
	want(t, asked(t, ip4, "owner", option("!uid-owner", "0")), firewall.Not{Steps: []firewall.Step{root}})
}

func TestIPv6LengthFieldLeavesItsHeaderOut(t *testing.T) {
	want(t, asked(t, ip6, "length", option("length", "0:39")), never())
	want(t, asked(t, ip6, "length", option("!length", "0:39")))
	want(t, asked(t, ip6, "length", option("length", "20:60")), firewall.Range{Value: network(4, 2), From: be16(0), To: be16(20)})
	want(t, asked(t, ip4, "length", option("length", "60")), firewall.Compare{Value: network(2, 2), Data: be16(60)})
}

func TestIPv6AddressTypesAreAskedForAllAtOnce(t *testing.T) {
	first := firewall.Slice{Value: network(24, 16), Length: 1}
	got := asked(t, ip6, "addrtype", option("dst-type", "MULTICAST,LOCAL"))
	want(t, got,
		firewall.Compare{Value: first, Data: []byte{0xff}},
		firewall.Compare{Value: firewall.FIB{Result: firewall.FIBType, Flags: firewall.FIBDaddr}, Data: ip6.word32(2)})
}

func TestRememberingAnAddressMatchesAlways(t *testing.T) {
	got := asked(t, ip4, "recent", option("set"))
	if _, ok := got[0].(firewall.Passive); len(got) != 1 || !ok {
		t.Errorf("--set: %s", list(got))
	}
	want(t, asked(t, ip4, "recent", option("!set")), never())
}

func TestCertainChanceIsNone(t *testing.T) {
	want(t, asked(t, ip4, "statistic", option("mode", "random"), option("probability", "1")))
	want(t, asked(t, ip4, "statistic", option("mode", "random"), option("probability", "0")), never())
	got := asked(t, ip4, "statistic", option("mode", "random"), option("probability", "0.5"))
	if c, ok := got[0].(firewall.Chance); !ok || c.Kind != firewall.Random {
		t.Errorf("0.5: %s", list(got))
	}
}

func TestMissingSegmentSizeMatchesOnlyInverted(t *testing.T) {
	size := firewall.Range{Value: firewall.ExtHdr{Op: firewall.ExtHdrTCPOpt, Type: 2, Offset: 2, Length: 2}, From: be16(1), To: be16(1400)}
	want(t, asked(t, ip4, "tcpmss", option("mss", "1:1400")), size)
	want(t, asked(t, ip4, "tcpmss", option("!mss", "1:1400")), firewall.Not{Steps: []firewall.Step{size}})
}

func TestMarkKeepsTheBitsOutsideItsMask(t *testing.T) {
	e, err := ip4.ParseTarget("MARK", 0, []Option{option("set-xmark", "0x5/0xff")})
	if err != nil {
		t.Fatal(err)
	}
	mark := meta(firewall.MetaMark)
	want(t, e.Steps(), firewall.Assign{Target: mark, Value: firewall.Bitwise{
		Op: firewall.BitXor, Length: 4, Right: firewall.Constant{Data: ip4.word32(5)},
		Left: firewall.Bitwise{Op: firewall.BitAnd, Left: mark, Right: firewall.Constant{Data: ip4.word32(0xffffff00)}, Length: 4},
	}})
}

func TestMarksAreInTheMachinesOwnOrder(t *testing.T) {
	big := Decoder{Family: firewall.FamilyIPv4, BigEndian: true}
	want(t, asked(t, ip4, "mark", option("mark", "0x1")), firewall.Compare{Value: meta(firewall.MetaMark), Data: []byte{1, 0, 0, 0}})
	want(t, asked(t, big, "mark", option("mark", "0x1")), firewall.Compare{Value: meta(firewall.MetaMark), Data: []byte{0, 0, 0, 1}})
	blob := []byte{0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}
	want(t, big.Match("mark", 1, blob).Steps(), firewall.Compare{Value: meta(firewall.MetaMark), Data: []byte{0, 0, 0, 1}})
}

func TestTransparentProxyDropsWithoutASocket(t *testing.T) {
	e, err := ip4.ParseTarget("TPROXY", 6, []Option{option("on-port", "3128")})
	if err != nil {
		t.Fatal(err)
	}
	want(t, e.Steps(),
		firewall.TProxy{Family: firewall.FamilyIPv4, Port: firewall.Constant{Data: be16(3128)}, DropWithoutSocket: true},
		firewall.Verdict{Code: firewall.Accept})
}

func TestJumpOverTheHeaderReadsTheTransportHeader(t *testing.T) {
	got := asked(t, ip4, "u32", option("u32", "0>>22&0x3C@0&0xffff=22"))
	want(t, got, firewall.Compare{Data: be32(22), Value: firewall.Bitwise{
		Op: firewall.BitAnd, Left: transport(0, 4), Right: firewall.Constant{Data: be32(0xffff)}, Length: 4,
	}})
	other := asked(t, ip4, "u32", option("u32", "0>>22&0x3C@12>>26&0x3C@0=1"))
	if c, ok := other[0].(firewall.Chance); !ok || c.Kind != firewall.Sender {
		t.Errorf("a second jump: %s", list(other))
	}
}

// sets are ipsets by name and by number.
func sets() Decoder {
	members := &firewall.Set{Name: "pairs"}
	all := []IPSet{
		{Name: "pairs", Type: "hash:ip,port", Family: firewall.FamilyIPv4, Members: members},
		{Name: "six", Type: "hash:net", Family: firewall.FamilyIPv6, Members: &firewall.Set{Name: "six"}},
	}
	all = append(all, IPSet{Name: "both", Type: "list:set", Lists: all[:2]})
	return Decoder{
		Family: firewall.FamilyIPv4,
		SetByIndex: func(index uint16) (IPSet, bool) {
			if int(index) >= len(all) {
				return IPSet{}, false
			}
			return all[index], true
		},
		SetByName: func(name string) (IPSet, bool) {
			for _, s := range all {
				if s.Name == name {
					return s, true
				}
			}
			return IPSet{}, false
		},
	}
}

func TestSetIsAskedForTheProtocolToo(t *testing.T) {
	got := asked(t, sets(), "set", option("match-set", "pairs", "src,dst"))
	in, ok := got[0].(firewall.InSet)
	if !ok || in.Set.Name != "pairs" || in.Invert {
		t.Fatal(list(got))
	}
	key := firewall.Concat{Parts: []firewall.Value{network(12, 4), meta(firewall.MetaL4Proto), transport(2, 2)}}
	if !reflect.DeepEqual(in.Value, key) {
		t.Errorf("key %#v", in.Value)
	}
}

func TestSetOfTheOtherFamilyMatchesNothing(t *testing.T) {
	want(t, asked(t, sets(), "set", option("match-set", "six", "src")), never())
	want(t, asked(t, sets(), "set", option("!match-set", "six", "src")), firewall.Not{Steps: []firewall.Step{never()}})
}

func TestListOfSetsIsAnyOfThem(t *testing.T) {
	got := asked(t, sets(), "set", option("match-set", "both", "src,dst"))
	if a, ok := got[0].(firewall.AnyOf); !ok || len(a.Alternatives) != 2 {
		t.Error(list(got))
	}
}

func TestSetIsNamedByItsNumberInTheKernel(t *testing.T) {
	blob := make([]byte, 48)
	copy(blob, []byte{0, 0, 2, 2 | 1}) // set 0, two parts, the first from the source, inverted
	e := sets().Match("set", 4, blob)
	if e.String() != "-m set ! --match-set pairs src,dst" {
		t.Error(e.String())
	}
	if _, ok := e.Steps()[0].(firewall.Not); !ok {
		t.Error(list(e.Steps()))
	}
}

func TestSetThatCouldNotBeReadIsUnread(t *testing.T) {
	for _, d := range []Decoder{ip4, sets()} {
		blob := make([]byte, 48)
		blob[0], blob[2] = 9, 1
		got := d.Match("set", 4, blob).Steps()
		if c, ok := got[0].(firewall.Chance); !ok || c.Kind != firewall.Unread {
			t.Error(list(got))
		}
	}
}
