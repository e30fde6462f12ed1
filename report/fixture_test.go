package report

import (
	"net/netip"
	"time"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/gaps"
	"github.com/netglance/netglance/listeners"
)

type words string

func (w words) String() string { return string(w) }

var (
	table6 = &firewall.Table{Backend: firewall.NFTables, Family: firewall.FamilyIPv6, Name: "filter"}
	inet   = &firewall.Table{Backend: firewall.NFTables, Family: firewall.FamilyInet, Name: "filter"}
	input6 = &firewall.Chain{Table: table6, Name: "input", Base: &firewall.Base{Hook: firewall.Input, Policy: firewall.Accept}}
	input  = &firewall.Chain{Table: inet, Name: "input", Base: &firewall.Base{Hook: firewall.Input, Policy: firewall.Drop}}
	ssh    = &firewall.Rule{Chain: input, Number: 3, Handle: 7, Source: words("ip saddr 10.0.0.0/8 tcp dport 22 accept")}
)

// host is one that has everything a report can show.
func host() Host {
	return Host{
		Name: "web-1", OS: "linux", Kernel: "6.1.0-18-amd64", Backends: []string{"nftables"}, Managers: []string{"ufw"}, Tool: "v1.2.3",
		Interfaces: []Interface{
			{Name: "eth0", Addresses: []netip.Addr{addr("203.0.113.7"), addr("2001:db8::7"), addr("fe80::1")}},
			{Name: "docker0", Addresses: []netip.Addr{addr("172.17.0.1")}},
			{Name: "eth1"},
		},
	}
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func prefixes(all ...string) (out []netip.Prefix) {
	for _, s := range all {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func part(fate firewall.Fate, d firewall.Decision, sources ...string) firewall.Part {
	return firewall.Part{Sources: firewall.Sources{Prefixes: prefixes(sources...)}, Fate: fate, DecidedBy: d}
}

func reach(iface string, family int, destination string, p firewall.Part) correlate.Reach {
	return correlate.Reach{Interface: iface, Family: family, Destinations: []netip.Addr{addr(destination)}, Part: p}
}

func exposures() []correlate.Exposure {
	policyDrop := firewall.Decision{Chain: input, Text: "policy drop"}
	limited := part(firewall.Conditional, firewall.Decision{Chain: input, Rule: ssh, Text: ssh.Text()}, "10.0.0.0/8")
	limited.Outcomes = []firewall.Fate{firewall.Accepted, firewall.Dropped}
	limited.Conditions = []firewall.Condition{{Kind: firewall.Rate, Text: "limit rate 10/minute"}}
	forwarded := part(firewall.Accepted, firewall.Decision{Text: "no rule drops it"}, "0.0.0.0/0")
	forwarded.DeliveredTo = &firewall.Delivery{Address: addr("172.17.0.2"), Port: 80, Interface: "docker0"}
	blocked := &firewall.Set{Table: inet, Name: "blocked", Count: 100000}
	forwarded.Sources.Sets = []firewall.SetMembership{{Set: blocked, Outside: true}}
	odd := part(firewall.Rejected, policyDrop)
	odd.Sources.Masked = []firewall.MaskedAddress{{Address: addr("0.0.0.1"), Mask: addr("0.0.0.1")}}
	return []correlate.Exposure{
		{
			Protocol: "tcp", Port: 22, Addresses: []netip.Addr{addr("0.0.0.0")}, Namespace: "host", Label: correlate.Intentional, Service: "ssh",
			Owners:      []listeners.Process{{PID: 640, Name: "sshd", Executable: "/usr/sbin/sshd", Command: []string{"sshd", "-D"}, User: "root", Started: time.Unix(1700000000, 0), Unit: "ssh.service"}},
			Reach:       []correlate.Reach{reach("eth0", 4, "203.0.113.7", limited), reach("eth0", 4, "203.0.113.7", part(firewall.Dropped, policyDrop, "11.0.0.0/8"))},
			Reasons:     []correlate.Reason{{Code: "rule_names_port", Text: "inet filter input rule 3 names the port: " + ssh.Text()}, {Code: "at_times", Text: "gets through at some times, not at others: limit rate 10/minute"}},
			Fingerprint: "00112233445566aa",
		},
		{
			Protocol: "tcp", Port: 5432, Addresses: []netip.Addr{addr("127.0.0.1"), addr("::1")}, Namespace: "host", Label: correlate.Local, Service: "postgresql",
			Owners:      []listeners.Process{{PID: 701, Name: "postgres", User: "postgres", UID: 113}, {PID: 702, Name: "postgres", User: "postgres", UID: 113}},
			Reach:       []correlate.Reach{reach("eth0", 4, "127.0.0.1", part(firewall.Dropped, firewall.Decision{Text: "martian destination"}, "0.0.0.0/0"))},
			Reasons:     []correlate.Reason{{Code: "bound_to_loopback", Text: "bound to 127.0.0.1 and ::1"}},
			Fingerprint: "00112233445566ab",
		},
		{
			Protocol: "tcp", Port: 6379, Addresses: []netip.Addr{addr("0.0.0.0"), addr("::")}, Namespace: "host", Label: correlate.Exposed, Service: "redis",
			Owners: []listeners.Process{{PID: 812, Name: "redis-server", Unit: "redis.service", Replaced: true, Deleted: true}},
			Reach: []correlate.Reach{
				reach("eth0", 4, "203.0.113.7", part(firewall.Dropped, policyDrop, "0.0.0.0/0")),
				reach("eth0", 6, "2001:db8::7", part(firewall.Accepted, firewall.Decision{Chain: input6, Text: "policy accept"}, "::/0")),
			},
			Reasons:     []correlate.Reason{{Code: "policy_accept", Text: "ip6 filter input has policy accept and no rule for 6379/tcp"}, {Code: "ipv6_open", Text: "IPv6 is left open beside filtered IPv4"}},
			Remedy:      []string{"nft add rule ip6 filter input tcp dport 6379 drop"},
			Fingerprint: "00112233445566ac",
		},
		{
			Protocol: "tcp", Port: 8080, Addresses: []netip.Addr{addr("203.0.113.7")}, Devices: []string{"eth0"}, Namespace: "host", Label: correlate.Exposed, Service: "http-alt",
			Owners:      []listeners.Process{{PID: 2207, Name: "docker-proxy", Container: listeners.Container{ID: "0123456789abcdef0123", Runtime: "docker"}}},
			Reach:       []correlate.Reach{reach("eth0", 4, "203.0.113.7", forwarded)},
			Reasons:     []correlate.Reason{{Code: "no_filter", Text: "no rule drops it"}},
			Fingerprint: "00112233445566ad",
		},
		{
			Protocol: "tcp", Port: 9100, Addresses: []netip.Addr{addr("0.0.0.0")}, Namespace: "host", Label: correlate.Filtered, Service: "node-exporter",
			OwnerGap: "no permission to read /proc/700/fd", OwnerHint: "run it as root",
			Reach:       []correlate.Reach{reach("eth0", 4, "203.0.113.7", part(firewall.Dropped, policyDrop, "0.0.0.0/0")), reach("docker0", 4, "203.0.113.7", odd)},
			Reasons:     []correlate.Reason{{Code: "policy_drop", Text: "inet filter input has policy drop"}, {Code: "owner_unknown", Text: "no permission to read /proc/700/fd"}},
			Fingerprint: "00112233445566ae",
		},
		{
			Protocol: "udp", Port: 51820, Addresses: []netip.Addr{addr("0.0.0.0")}, Namespace: "host", Label: correlate.Unknown, Service: "wireguard", Kernel: true,
			Reach:       []correlate.Reach{reach("eth0", 4, "203.0.113.7", firewall.Part{Conditions: []firewall.Condition{{Kind: firewall.Unread, Text: "could not be read: nf_tables"}}})},
			Reasons:     []correlate.Reason{{Code: "undecided", Text: "could not be read: nf_tables"}},
			Fingerprint: "00112233445566af",
		},
	}
}

func sockets() []listeners.Listener {
	return []listeners.Listener{
		{Protocol: "tcp", Family: 4, State: "listen", Role: listeners.Server, Address: addr("127.0.0.1"), Port: 5432, Inodes: []uint64{3, 4},
			Owners: []listeners.Process{{PID: 701, Name: "postgres", User: "postgres", UID: 113, Unit: "postgresql.service"}, {PID: 702, Name: "postgres", User: "postgres", UID: 113, Unit: "postgresql.service"}}},
		{Protocol: "tcp", Family: 6, State: "listen", Role: listeners.Server, Address: addr("::"), Port: 80, V6OnlyKnown: true, Inodes: []uint64{5},
			Owners: []listeners.Process{{PID: 2207, Name: "nginx", Container: listeners.Container{ID: "0123456789abcdef0123", Runtime: "docker"}}}},
		{Protocol: "tcp", Family: 6, State: "listen", Role: listeners.Server, Address: addr("::1"), Port: 631, V6Only: true, OwnerGap: "no permission", OwnerHint: "run it as root"},
		{Protocol: "udp", Family: 4, State: "unconnected", Role: listeners.ProbableClient, Address: addr("0.0.0.0"), Port: 41000, Device: "wlan0", Inodes: []uint64{6},
			Owners: []listeners.Process{{PID: 9, Name: "firefox", User: "alice", UID: 1000, Unit: "user@1000.service", UserUnit: "app.scope", Replaced: true}}},
		{Protocol: "udp", Family: 4, State: "established", Role: listeners.ConnectedClient, Address: addr("203.0.113.7"), Port: 5000, Remote: netip.MustParseAddrPort("192.0.2.1:53")},
		{Protocol: "udp", Family: 4, State: "unconnected", Role: listeners.Server, Address: addr("0.0.0.0"), Port: 51820, Kernel: true},
	}
}

func gapped() Host {
	h := host()
	h.Gaps = []gaps.Gap{{Source: "nf_tables", Reason: "no permission to read the rules", Hint: "run it as root"}}
	return h
}

func ruleset() *firewall.Ruleset {
	web := &firewall.Chain{Table: inet, Name: "web", Handle: 5}
	dead := &firewall.Chain{Table: inet, Name: "dead", Handle: 6}
	in := &firewall.Chain{Table: inet, Name: "input", Handle: 1, Base: &firewall.Base{Hook: firewall.Input, Policy: firewall.Drop}}
	in.Rules = []*firewall.Rule{
		{Chain: in, Number: 1, Handle: 2, Source: words("tcp dport 80 jump web"), Steps: []firewall.Step{firewall.Verdict{Code: firewall.Jump, Chain: web}}},
		{Chain: in, Number: 2, Handle: 3, Source: words("tcp dport 22 accept"), Comment: "ssh"},
		{Chain: in, Number: 3, Handle: 4, Source: words("tcp dport 443 jump web"), Steps: []firewall.Step{firewall.Verdict{Code: firewall.Jump, Chain: web}}},
	}
	web.Rules = []*firewall.Rule{
		{Chain: web, Number: 1, Handle: 7, Source: words("ip saddr 10.0.0.0/8 accept")},
		{Chain: web, Number: 2, Handle: 8, Source: words("jump web"), Steps: []firewall.Step{firewall.Verdict{Code: firewall.Jump, Chain: web}}},
	}
	nat := &firewall.Table{Backend: firewall.IptablesNFT, Family: firewall.FamilyIPv4, Name: "nat", Handle: 2}
	pre := &firewall.Chain{Table: nat, Name: "PREROUTING", Base: &firewall.Base{Hook: firewall.Prerouting, Type: firewall.NATChain, Priority: -100, Policy: firewall.Accept}}
	nat.Chains = []*firewall.Chain{pre}
	asleep := &firewall.Table{Backend: firewall.NFTables, Family: firewall.FamilyIPv6, Name: "asleep", Dormant: true, Handle: 3}
	early := &firewall.Chain{Table: asleep, Name: "early", Base: &firewall.Base{Hook: firewall.Input, Priority: -10, Policy: firewall.Accept}}
	ingress := &firewall.Chain{Table: asleep, Name: "wire", Base: &firewall.Base{Hook: firewall.Ingress, Policy: firewall.Accept, Devices: []string{"eth0", "eth1"}}}
	asleep.Chains = []*firewall.Chain{early, ingress}
	main := *inet
	main.Handle, main.Chains = 1, []*firewall.Chain{in, web, dead}
	return &firewall.Ruleset{Tables: []*firewall.Table{&main, nat, asleep}}
}

func answers() []Answer {
	return []Answer{{
		Question: Question{Protocol: "tcp", Port: 22, To: "203.0.113.7", From: "10.1.2.3", Via: "eth0"},
		Notes:    []string{"taken to come in by eth0"},
		Explanation: firewall.Explanation{
			Part: firewall.Part{Fate: firewall.Conditional, DecidedBy: firewall.Decision{Chain: input, Rule: ssh, Text: ssh.Text()},
				Sources: firewall.Sources{Prefixes: prefixes("10.1.2.3/32")}, Outcomes: []firewall.Fate{firewall.Accepted, firewall.Dropped},
				Conditions:  []firewall.Condition{{Kind: firewall.Rate, Text: "limit rate 10/minute"}},
				DeliveredTo: &firewall.Delivery{Address: addr("203.0.113.7"), Port: 2222}},
			Path: []firewall.PathStep{
				{Hook: "prerouting", Effect: "destination becomes 203.0.113.7:2222"},
				{Hook: "input", Chain: input, Rule: ssh, Effect: "accept"},
				{Hook: "input", Chain: input, Effect: "policy drop"},
			},
		},
	}, {
		Question:    Question{Protocol: "tcp", Port: 22, To: "203.0.113.7", Via: "eth0"},
		Explanation: firewall.Explanation{Part: firewall.Part{Fate: firewall.Undecided, Sources: firewall.Sources{Prefixes: prefixes("0.0.0.0/0")}}},
	}}
}

// reviewed is ruleset with everything that can be said of rules.
func reviewed() (*firewall.Ruleset, correlate.RulesReview) {
	rules := ruleset()
	in, web, dead := rules.Tables[0].Chains[0], rules.Tables[0].Chains[1], rules.Tables[0].Chains[2]
	wire := rules.Tables[2].Chains[1]
	return rules, correlate.RulesReview{
		Opens: map[*firewall.Rule]string{in.Rules[1]: "IPv4 22/tcp from 10.0.0.0/8 by eth0; IPv6 everything, forwarded, from some sources; IPv6 icmpv6, other protocols from anywhere"},
		Openings: map[*firewall.Rule][]firewall.Opening{in.Rules[1]: {
			{Family: firewall.FamilyIPv4, Ports: []firewall.PortRange{{Protocol: 6, First: 22, Last: 22}}, Sources: prefixes("10.0.0.0/8"), Interfaces: []string{"eth0"}},
			{Family: firewall.FamilyIPv6, AllPorts: true, SomeSources: true, Forwarded: true},
			{Family: firewall.FamilyIPv6, Protocols: []uint8{58}, OtherProtocols: true},
		}},
		By: map[*firewall.Rule][]firewall.Decision{in.Rules[2]: {{Chain: in, Rule: in.Rules[0], Text: in.Rules[0].Text()}, {Chain: in, Text: "policy drop"}}},
		Rules: map[*firewall.Rule][]correlate.Reason{
			in.Rules[1]:  {{Code: "nobody_serves", Text: "no socket listens on 22/tcp"}},
			in.Rules[2]:  {{Code: "shadowed", Text: "all that it matches is taken by inet filter input rule 1 (tcp dport 80 jump web)"}},
			web.Rules[1]: {{Code: "not_known", Text: "whether it can ever act takes too much work to tell"}},
		},
		Chains: map[*firewall.Chain][]correlate.Reason{
			dead: {{Code: "no_caller", Text: "no base chain leads here"}},
			wire: {{Code: "device_missing", Text: "this host has no eth1"}},
		},
		OneSided: []correlate.Reason{{Code: "one_sided", Text: "6379/tcp is open for IPv6 and filtered for IPv4, coming in by eth0"}},
	}
}
