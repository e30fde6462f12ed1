package iptables_test

import (
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/iptables"
)

// inFilter parses one rule of the filter table's INPUT chain.
func inFilter(t *testing.T, family firewall.Family, rule string) (*firewall.Chain, error) {
	t.Helper()
	text := "*filter\n:mine - [0:0]\n-A INPUT " + rule + "\nCOMMIT\n"
	tables, err := iptables.ParseFamily("rules", []byte(text), family, nil)
	if len(tables) != 1 || len(tables[0].Chains) != 4 {
		t.Fatalf("%d tables", len(tables))
	}
	return tables[0].Chains[0], err
}

func TestWhatPeopleWriteByHandIsWhatIptablesSaves(t *testing.T) {
	for _, c := range []struct{ written, saved string }{
		{"-p tcp --dport ssh -j ACCEPT", "-p tcp -m tcp --dport 22 -j ACCEPT"},
		{"-p tcp --syn -j DROP", "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j DROP"},
		{"-p tcp ! --syn -m state --state NEW -j DROP", "-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -m state --state NEW -j DROP"},
		{"-p icmp --icmp-type echo-request -j ACCEPT", "-p icmp -m icmp --icmp-type 8 -j ACCEPT"},
		{"-s ! 10/8 -j DROP", "! -s 10.0.0.0/8 -j DROP"},
		{"-s 192.168.1.7/255.255.255.0 -j DROP", "-s 192.168.1.0/24 -j DROP"},
		{"-s 1.2.3.4/0 -j DROP", "-j DROP"},
		{"--source=1.2.3.4 --jump=DROP", "-s 1.2.3.4/32 -j DROP"},
		{"-p 6 -m multiport --destination-ports 22,http -j ACCEPT", "-p tcp -m multiport --dports 22,80 -j ACCEPT"},
		{"-p udp --dport 1024: -j DROP", "-p udp -m udp --dport 1024:65535 -j DROP"},
		{"-j REJECT", "-j REJECT --reject-with icmp-port-unreachable"},
		{"-m limit --limit 300/hour -j LOG --log-level debug", "-m limit --limit 5/min -j LOG --log-level 7"},
		{"-j LOG --log-prefix say\"  ing\"", "-j LOG --log-prefix \"say  ing\""},
		{"-m comment --comment \"a \\\"b\\\"\"", "-m comment --comment \"a \\\"b\\\"\""},
		{"-m recent --set", "-m recent --set --name DEFAULT --mask 255.255.255.255 --rsource"},
		{"-m mark --mark 1 -j MARK --or-mark 2", "-m mark --mark 0x1 -j MARK --set-xmark 0x2/0x2"},
		{"-j CONNMARK --restore-mark", "-j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff"},
		{"-i eth+ -j mine", "-i eth+ -j mine"},
		{"-p all -g mine", "-g mine"},
	} {
		chain, err := inFilter(t, firewall.FamilyIPv4, c.written)
		if err != nil {
			t.Errorf("%s: %v", c.written, err)
			continue
		}
		if got := strings.TrimPrefix(chain.Rules[0].Text(), "-A INPUT "); got != c.saved {
			t.Errorf("%s\nprints %s\n want  %s", c.written, got, c.saved)
		}
	}
}

func TestProtocolStandsBeforeItsOptions(t *testing.T) {
	if _, err := inFilter(t, firewall.FamilyIPv4, "--dport 22 -p tcp -j ACCEPT"); err == nil {
		t.Error("parses, where iptables refuses it")
	}
}

func TestListOfAddressesIsARuleForEach(t *testing.T) {
	chain, err := inFilter(t, firewall.FamilyIPv4, "-s 10.0.0.1,10.0.0.2 -d 10.1.0.0/16,10.2.0.0/16 -j ACCEPT")
	if err != nil || len(chain.Rules) != 4 {
		t.Fatalf("%d rules, %v", len(chain.Rules), err)
	}
	if got := chain.Rules[2].Text(); got != "-A INPUT -s 10.0.0.2/32 -d 10.1.0.0/16 -j ACCEPT" {
		t.Error(got)
	}
}

func TestUnknownMatchIsKeptAndNeverLost(t *testing.T) {
	chain, err := inFilter(t, firewall.FamilyIPv4, "-p tcp -m geoip ! --source-country CN,RU -m tcp --dport 22 -j ACCEPT")
	if err != nil {
		t.Fatal(err)
	}
	var opaque firewall.Opaque
	for _, s := range chain.Rules[0].Steps {
		if o, ok := s.(firewall.Opaque); ok {
			opaque = o
		}
	}
	if opaque.Name != "geoip" || opaque.Target || string(opaque.Data) != "! --source-country CN,RU" {
		t.Errorf("%+v", opaque)
	}
	if got := chain.Rules[0].Text(); got != "-A INPUT -p tcp -m geoip ! --source-country CN,RU -m tcp --dport 22 -j ACCEPT" {
		t.Error(got)
	}
}

func TestUnknownTargetMayDecide(t *testing.T) {
	chain, err := inFilter(t, firewall.FamilyIPv4, "-j TARPIT --tarpit")
	if err != nil {
		t.Fatal(err)
	}
	if o, ok := chain.Rules[0].Steps[0].(firewall.Opaque); !ok || o.Name != "TARPIT" || !o.Target {
		t.Errorf("%+v", chain.Rules[0].Steps)
	}
}

func TestBrokenLineIsNamed(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"*filter\n-A INPUT -p tcp --dport\n", "rules:2: --dport without its argument"},
		{"*filter\n\n-A INPUT -j ACCEPT --dport 22\n", "rules:3: unknown option \"--dport\""},
		{"*filter\n-A mine -j DROP\n", "rules:2: the table filter has no chain \"mine\""},
		{"*filter\n-A INPUT -s nowhere.example -j DROP\n", "rules:2: \"nowhere.example\" is no address of this family (ip)"},
		{"*filter\n-A INPUT -m comment --comment \"open\n", "rules:2: a quote is not closed"},
		{"-A INPUT -j DROP\n", "rules:1: \"-A INPUT -j DROP\" stands before a table's name (\"*filter\")"},
		{"*filter\n:INPUT REJECT [0:0]\n", "rules:2: policy \"REJECT\" is neither ACCEPT nor DROP"},
		{"*filtre\n", "rules:1: unknown table \"filtre\""},
		{"*filter\n-A INPUT -p tcp --dport 70000\n", "rules:2: -m tcp: --dport 70000: no number of 16 bits"},
		{"*filter\n-X\n", "rules:2: \"-X\" is no rule"},
	} {
		_, err := iptables.Parse("rules", []byte(c.text), nil)
		if err == nil || err.Error() != c.want {
			t.Errorf("%q\n gives %v\n  want %s", c.text, err, c.want)
		}
	}
}

func TestFamilyIsToldByTheText(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       firewall.Family
	}{
		{"rules", "# Generated by ip6tables-save v1.8.9\n*filter\nCOMMIT\n", firewall.FamilyIPv6},
		{"rules.v6", "# Generated by iptables-save v1.8.9\n*filter\nCOMMIT\n", firewall.FamilyIPv4},
		{"rules.v6", "*filter\n-A INPUT -j DROP\nCOMMIT\n", firewall.FamilyIPv6},
		{"rules.v4", "*filter\n-A INPUT ! -s fe80::/10 -j DROP\nCOMMIT\n", firewall.FamilyIPv6},
		{"rules", "*filter\n-A INPUT -p ipv6-icmp -j ACCEPT\nCOMMIT\n", firewall.FamilyIPv6},
		{"rules", "*filter\n-A INPUT -j DROP\nCOMMIT\n", firewall.FamilyIPv4},
	} {
		tables, err := iptables.Parse(c.name, []byte(c.text), nil)
		if err != nil || len(tables) != 1 || tables[0].Family != c.want {
			t.Errorf("%s %q: %v %v, want %v", c.name, c.text, tables, err, c.want)
		}
	}
}

func TestTableThatIsNotWrittenDownHasItsChainsAllTheSame(t *testing.T) {
	tables, err := iptables.Parse("rules", []byte("*nat\nCOMMIT\n*filter\n:INPUT DROP\nCOMMIT\n"), nil)
	if err != nil || len(tables) != 2 {
		t.Fatal(tables, err)
	}
	var got []string
	for _, c := range append(tables[0].Chains, tables[1].Chains...) {
		got = append(got, c.Name+" "+c.Base.Policy.String())
	}
	want := "PREROUTING accept, INPUT accept, OUTPUT accept, POSTROUTING accept, INPUT drop, FORWARD accept, OUTPUT accept"
	if strings.Join(got, ", ") != want {
		t.Error(got)
	}
}

func TestRuleThatIsInsertedComesFirst(t *testing.T) {
	tables, err := iptables.Parse("rules", []byte("*filter\n-A INPUT -j DROP\n-I INPUT -i lo -j ACCEPT\n-I INPUT 2 -i eth0 -j ACCEPT\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range tables[0].Chains[0].Rules {
		got = append(got, r.Text())
	}
	if strings.Join(got, "; ") != "-A INPUT -i lo -j ACCEPT; -A INPUT -i eth0 -j ACCEPT; -A INPUT -j DROP" {
		t.Error(got)
	}
}
