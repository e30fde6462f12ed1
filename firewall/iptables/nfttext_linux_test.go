package iptables_test

import (
	"os"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/nft"
	"github.com/netglance/netglance/internal/kerneltest"
	"github.com/netglance/netglance/platform"
)

// handwritten are rules of which iptables-nft compiles every part itself, without
// x_tables' structs.
const handwritten = `-s 10.0.0.0/8
-d 192.0.2.1 -i eth+
! -s 192.0.0.0/12 -i eth0
-s 10.0.0.0/255.0.255.0
-p tcp --dport 22 -j ACCEPT
-p tcp --dport 1000:2000 --syn
-p tcp --sport 1 --dport 2
-p tcp --sport 1:5 --dport 2
-p udp ! --sport 53
-p tcp ! --dport 10:20
-p tcp --tcp-flags ALL NONE
-p tcp -m limit --limit 5/min --limit-burst 10 -j LOG --log-prefix "a b "
-m limit --limit 1/day
-m mark --mark 1/0xff
-m mark ! --mark 7
-p icmp --icmp-type 8
-p 47
! -p tcp
-m comment --comment "hi \"you\"" -j RETURN
-j NFLOG --nflog-group 3 --nflog-prefix x
-p tcp -m multiport --dports 1,2
-p tcp -m conntrack --ctstate NEW -m tcp --dport 80 -j DROP
! -i eth0
-j OTHER
-g OTHER
-p udplite --dport 5`

// What iptables-nft wrote is shown as "iptables -S" shows it, with the options that
// nft has no words for.
func TestRulesOfIptablesNFTPrintAsIptablesSave(t *testing.T) {
	for _, c := range []struct {
		tool   string
		family firewall.Family
	}{{"iptables", firewall.FamilyIPv4}, {"ip6tables", firewall.FamilyIPv6}} {
		t.Run(c.tool, func(t *testing.T) {
			rules := []string{}
			for _, line := range strings.Split(handwritten, "\n") {
				rules = append(rules, "filter INPUT "+line)
			}
			rules = append(rules, "filter INPUT -s 2001:db8::/33 -p tcp", "filter INPUT -d 2001:db8::1", "filter INPUT -f")
			if _, err := os.Stat("../../../shared/corpora"); err == nil { // iptables' own tests lie beside the project
				rules = append(rules, corpusRules(t, c.tool)...)
			}
			ns := kerneltest.New(t, kerneltest.Layout{})
			if _, err := ns.Run(c.tool+"-nft", "-N", "OTHER"); err != nil {
				t.Fatal(err)
			}
			loaded := loadLegacy(t, ns, c.tool+"-nft", rules)
			text, err := ns.Run(c.tool + "-nft-save")
			if err != nil {
				t.Fatal(err)
			}
			ruleset, found := nft.Read(platform.LiveIn(ns.Path()), nil)
			for _, gap := range found {
				t.Errorf("gap: %s: %v", gap.Reason, gap.Err)
			}
			got, want := lines(ruleset.Tables, c.family), saved(text)
			same, total := 0, 0
			for chain, lines := range want {
				for i, line := range lines {
					total++
					switch {
					case i >= len(got[chain]):
						t.Errorf("%s, rule %d is missing: %s", chain, i+1, line)
					case got[chain][i] == line || printsLess(line, got[chain][i]):
						same++
					default:
						t.Errorf("%s, rule %d\n got %s\nwant %s", chain, i+1, got[chain][i], line)
					}
				}
			}
			if loaded < len(rules)/2 {
				t.Errorf("only %d of %d rules loaded", loaded, len(rules))
			}
			t.Logf("%d of %d rules loaded, %d of %d print as %s-nft-save does", loaded, len(rules), same, total, c.tool)
		})
	}
}
