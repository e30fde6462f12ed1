package pf

import (
	"net/netip"
	"testing"

	"github.com/netglance/netglance/firewall"
)

var seeds = []string{
	"set skip on lo\nset block-policy return\nblock log all\npass out quick\n",
	"web = \"{ 80 443 }\"\ntable <bad> persist { 192.0.2.0/24 !192.0.2.7 }\nblock in quick from <bad>\npass in on egress proto tcp to (egress) port $web keep state (max-src-conn 10, overload <bad> flush global)\n",
	"match in on em0 proto tcp to port 8000:8010 rdr-to 10.1.0.2 port 80:*\nanchor \"x/*\" in on em0 {\nblock return-icmp(1, 2)\n}\nantispoof for { em0 em1 } inet\n",
	"nat on em0 from em1:network to any -> (em0) source-hash sticky-address\nrdr pass on em0 inet proto { tcp udp } to port domain -> { 10.1.0.2 10.1.0.3 } round-robin\nscrub in all fragment reassemble\nno binat on em0\n",
	"@0 pass in inet6 proto ipv6-icmp all icmp6-type echoreq keep state\n  [ Evaluations: 3 ]\nether block out on em0 to ! 00:01:02:03:04:05 l3 all\n",
	"pass in inet from ! (em0:network:0)/24 os \"Linux\" to 10.0.0.1 - 10.0.0.9 flags S/SA user { root, >= 1000 } probability 50% set (prio (3, 4), queue std) \\\n tag $nr ! tagged x divert-to 127.0.0.1 port 22\n",
}

// What parses also prints.
func FuzzParse(f *testing.F) {
	for i, s := range seeds {
		f.Add(s, uint8(i))
	}
	n := home(f)
	f.Fuzz(func(t *testing.T, text string, d uint8) {
		o := Options{Dialect: Dialect(d % 4), Network: n}
		rs, err := Parse("fuzz", []byte(text), o)
		if err != nil {
			return
		}
		_ = rs.String()
	})
}

func FuzzTableEntries(f *testing.F) {
	f.Add("192.0.2.1\n! 192.0.2.2\n10/8 # comment\nfe80::1%em0\n")
	f.Fuzz(func(t *testing.T, text string) {
		l := NewLoader(OpenBSD, nil)
		_ = l.Table("a/b", "t", []string{text})
	})
}

// Whatever parses is evaluated to a partition in which every source has one fate.
func FuzzEvaluate(f *testing.F) {
	for i, s := range seeds {
		f.Add(s, uint8(i), uint16(22))
	}
	n := home(f)
	f.Fuzz(func(t *testing.T, text string, d uint8, port uint16) {
		rs, err := Parse("fuzz", []byte(text), Options{Dialect: Dialect(d % 4), Network: n})
		if err != nil || len(text) > 2000 {
			return
		}
		e := NewEvaluator(rs, n)
		q := firewall.Query{Protocol: protoTCP, Interface: "em0", Destination: netip.MustParseAddr("203.0.113.5"), Port: max(port, 1)}
		q.Source = netip.MustParseAddr("198.51.100.7")
		one := e.Explain(q)
		q.Source = netip.Addr{}
		found := 0
		for _, p := range e.Reach(q) {
			for _, prefix := range p.Sources.Prefixes {
				if !prefix.Contains(netip.MustParseAddr("198.51.100.7")) {
					continue
				}
				if found++; p.Fate != one.Fate {
					t.Errorf("one packet %v, in the partition %v", one.Fate, p.Fate)
				}
			}
		}
		if found != 1 {
			t.Errorf("a source stands in %d parts", found)
		}
		e.Redirections(q)
	})
}
