package pf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
)

// What pfctl printed on others' Macs and firewalls, as if it ran here.
func TestRulesetsAsSeenInTheWild(t *testing.T) {
	const dir = "../../../shared/corpora/pf/pf-captures"
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no corpus of captures beside the repository")
	}
	capture := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	mac := &fakeHost{os: "darwin", print: map[string]string{
		"pfctl -s info":          "Status: Enabled for 0 days 00:03:31           Debug: Urgent\n",
		"pfctl -v -s Interfaces": "lo0 (skip)\n",
		"pfctl -v -s Anchors":    capture("macos-10.10-alf.pfctl-v-sAnchors.txt"),
		"pfctl -s rules":         capture("macos-stock.pfctl-sr.txt"),
		"pfctl -s nat":           capture("macos-stock.pfctl-sn.txt"),
		"pfctl -s Tables":        "",
	}}
	for anchor, rules := range map[string]string{
		"com.apple":                         capture("macos-10.10-alf.pfctl-a-com.apple-sr.txt"),
		"com.apple/200.AirDrop":             "",
		"com.apple/200.AirDrop/Bonjour":     capture("macos-10.10-alf.pfctl-a-200.AirDrop-Bonjour-sr.txt"),
		"com.apple/250.ApplicationFirewall": capture("macos-10.10-alf.pfctl-a-250.ApplicationFirewall-sr.txt"),
	} {
		mac.print["pfctl -a "+anchor+" -s rules"], mac.print["pfctl -a "+anchor+" -s nat"], mac.print["pfctl -a "+anchor+" -s Tables"] = rules, "", ""
	}
	rules, found := Read(mac, &firewall.Network{})
	if rules == nil {
		t.Fatalf("gaps %+v", found)
	}
	apple := rules.Main.child("com.apple")
	if bonjour := apple.child("200.AirDrop").child("Bonjour"); len(bonjour.Filter) != 2 || !strings.Contains(bonjour.Filter[0].text(MacOS), "port = 5353") {
		t.Errorf("200.AirDrop/Bonjour: %+v", bonjour.Filter)
	}
	if len(apple.child("250.ApplicationFirewall").Filter) != 3 || len(rules.Main.Filter) != 1 {
		t.Errorf("main %+v", rules.Main.Filter)
	}

	sense := &fakeHost{os: "freebsd", print: map[string]string{
		"pfctl -s info":          "Status: Enabled for 0 days 01:00:00           Debug: Urgent\n",
		"pfctl -v -s Interfaces": "", "pfctl -v -s Anchors": "",
		"pfctl -s rules":  capture("pfsense-2.6-lab.pfctl-sr.txt"),
		"pfctl -s nat":    capture("pfsense-2.6-lab.pfctl-sn.txt"),
		"pfctl -s Tables": capture("pfsense-2.6-lab.pfctl-sT.txt"),
	}}
	rules, found = Read(sense, &firewall.Network{})
	if rules == nil {
		t.Fatalf("pfSense: gaps %+v", found)
	}
	if len(rules.Main.Filter) < 10 || len(rules.Main.Tables) < 3 || len(found) != len(rules.Main.Tables) { // no table's entries were captured
		t.Errorf("pfSense: %d rules, %d tables, gaps %+v", len(rules.Main.Filter), len(rules.Main.Tables), found)
	}
	for _, table := range rules.Main.Tables {
		if table.Unread == "" {
			t.Errorf("pfSense: the entries of <%s> count as read", table.Name)
		}
	}
}
