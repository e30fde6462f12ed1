package managers

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/iptables"
)

type files map[string]string

func (f files) ReadFile(name string) ([]byte, error) {
	if text, ok := f[name]; ok {
		return []byte(text), nil
	}
	return nil, fs.ErrNotExist
}

// userRules is a file as ufw writes it.
const userRules = `*filter
:ufw-user-input - [0:0]
:ufw-user-forward - [0:0]
:ufw-user-output - [0:0]
:ufw-user-logging-input - [0:0]
:ufw-user-limit - [0:0]
:ufw-user-limit-accept - [0:0]
### RULES ###

### tuple ### reject_log tcp 3306 0.0.0.0/0 any 0.0.0.0/0 in
-A ufw-user-logging-input -p tcp --dport 3306 -j RETURN
-A ufw-user-input -p tcp --dport 3306 -j ufw-user-logging-input
-A ufw-user-input -p tcp --dport 3306 -j REJECT --reject-with tcp-reset

### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 OpenSSH - in
-A ufw-user-input -p tcp --dport 22 -j ACCEPT -m comment --comment 'dapp_OpenSSH'

### tuple ### limit tcp 2222 0.0.0.0/0 any 0.0.0.0/0 in
-A ufw-user-input -p tcp --dport 2222 -m conntrack --ctstate NEW -m recent --set
-A ufw-user-input -p tcp --dport 2222 -m conntrack --ctstate NEW -m recent --update --seconds 30 --hitcount 6 -j ufw-user-limit
-A ufw-user-input -p tcp --dport 2222 -j ufw-user-limit-accept

### tuple ### allow udp 137,138 0.0.0.0/0 any 0.0.0.0/0 Samba - in
-A ufw-user-input -p udp -m multiport --dports 137,138 -j ACCEPT -m comment --comment 'dapp_Samba'

### tuple ### allow tcp 139,445 0.0.0.0/0 any 0.0.0.0/0 Samba - in
-A ufw-user-input -p tcp -m multiport --dports 139,445 -j ACCEPT -m comment --comment 'dapp_Samba'

### tuple ### allow tcp 80,443 192.0.2.1 any 10.0.0.0/8 in_eth0 comment=7468652073686f70
-A ufw-user-input -i eth0 -p tcp -m multiport --dports 80,443 -d 192.0.2.1 -s 10.0.0.0/8 -j ACCEPT

### tuple ### deny any any 0.0.0.0/0 any 203.0.113.9 in
-A ufw-user-input -s 203.0.113.9 -j DROP

### tuple ### route:allow tcp 80 172.17.0.2 any 0.0.0.0/0 in
-A ufw-user-forward -p tcp -d 172.17.0.2 --dport 80 -j ACCEPT

### tuple ### allow udp any 0.0.0.0/0 53 0.0.0.0/0 in
-A ufw-user-input -p udp --sport 53 -j ACCEPT

### tuple ### allow tcp 25 0.0.0.0/0 any 0.0.0.0/0 out
-A ufw-user-output -p tcp --dport 25 -j ACCEPT

### END RULES ###
COMMIT
`

const user6Rules = `*filter
:ufw6-user-input - [0:0]
### tuple ### allow tcp 22 ::/0 any ::/0 OpenSSH - in
-A ufw6-user-input -p tcp --dport 22 -j ACCEPT -m comment --comment 'dapp_OpenSSH'

### tuple ### allow tcp 25 ::/0 any 2001:db8::/32 in
-A ufw6-user-input -p tcp --dport 25 -s 2001:db8::/32 -j ACCEPT
COMMIT
`

// loaded is what the kernel has when a text for iptables-restore was loaded.
func loaded(t *testing.T, name, text string, family firewall.Family) []*firewall.Table {
	t.Helper()
	tables, err := iptables.ParseFamily(name, []byte(text), family, nil)
	if err != nil {
		t.Fatal(err)
	}
	return tables
}

func wordsOf(w *Words, rules *firewall.Ruleset, chain string) (all []string) {
	for _, t := range rules.Tables {
		for _, c := range t.Chains {
			if c.Name != chain {
				continue
			}
			for _, r := range c.Rules {
				words, _ := w.Rule(r)
				all = append(all, words)
			}
		}
	}
	return all
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func ufwHost(t *testing.T, four, six string) (*Words, *firewall.Ruleset) {
	t.Helper()
	rules := &firewall.Ruleset{Tables: append(loaded(t, "v4", four, firewall.FamilyIPv4), loaded(t, "v6", six, firewall.FamilyIPv6)...)}
	return Read(files{"/etc/ufw/user.rules": userRules, "/etc/ufw/user6.rules": user6Rules}, rules), rules
}

// The numbers are those of "ufw status numbered": rules of one application count once.
func TestRulesOfUFWByTheirNumbers(t *testing.T) {
	w, rules := ufwHost(t, userRules, user6Rules)
	expect(t, wordsOf(w, rules, "ufw-user-input"),
		"ufw rule 1: reject log 3306/tcp", "ufw rule 1: reject log 3306/tcp",
		"ufw rule 2: allow OpenSSH",
		"ufw rule 3: limit 2222/tcp", "ufw rule 3: limit 2222/tcp", "ufw rule 3: limit 2222/tcp",
		"ufw rule 4: allow Samba", "ufw rule 4: allow Samba",
		"ufw rule 5: allow in on eth0 80,443/tcp to 192.0.2.1 from 10.0.0.0/8 # the shop",
		"ufw rule 6: deny from 203.0.113.9",
		"ufw rule 8: allow proto udp from any port 53")
	expect(t, wordsOf(w, rules, "ufw-user-forward"), "ufw rule 7: route allow 80/tcp to 172.17.0.2")
	expect(t, wordsOf(w, rules, "ufw-user-output"), "ufw rule 9: allow out 25/tcp")
	expect(t, wordsOf(w, rules, "ufw6-user-input"), "ufw rule 10: allow OpenSSH (v6)", "ufw rule 11: allow 25/tcp from 2001:db8::/32")
}

// A rule that somebody added by hand, or a file that changed after it was loaded.
func TestNoNumberIsClaimedWhereTheFileIsNotWhatIsLoaded(t *testing.T) {
	for name, four := range map[string]string{
		"one more":  strings.Replace(userRules, "### END", "-A ufw-user-input -j ACCEPT\n### END", 1),
		"one less":  strings.Replace(userRules, "-A ufw-user-input -p udp --sport 53 -j ACCEPT\n", "", 1),
		"a changed": strings.Replace(userRules, "--dport 22 -j ACCEPT", "--dport 23 -j ACCEPT", 1),
	} {
		w, rules := ufwHost(t, four, user6Rules)
		for _, words := range wordsOf(w, rules, "ufw-user-input") {
			if words != "a rule of ufw's" {
				t.Errorf("%s: %q", name, words)
			}
		}
	}
	rules := &firewall.Ruleset{Tables: loaded(t, "v4", userRules, firewall.FamilyIPv4)}
	if words := wordsOf(Read(files{}, rules), rules, "ufw-user-input"); words[0] != "a rule of ufw's" {
		t.Errorf("without the file: %q", words)
	}
}

func TestManagersByTheirChains(t *testing.T) {
	const text = `*nat
:DOCKER - [0:0]
:KUBE-SERVICES - [0:0]
:CNI-DN-0a1b - [0:0]
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
-A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m comment --comment "default/web:http cluster IP" -m tcp --dport 80 -j ACCEPT
-A CNI-DN-0a1b -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.88.0.2:80
COMMIT
*filter
:f2b-sshd - [0:0]
:ts-input - [0:0]
:LIBVIRT_INP - [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
:IN_public_allow - [0:0]
:INPUT_ZONES - [0:0]
:mine - [0:0]
-A f2b-sshd -s 203.0.113.9/32 -j REJECT --reject-with icmp-port-unreachable
-A ts-input -i tailscale0 -j ACCEPT
-A LIBVIRT_INP -i virbr0 -p udp -m udp --dport 53 -j ACCEPT
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER-USER -s 10.0.0.0/8 -j ACCEPT
-A IN_public_allow -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW,UNTRACKED -j ACCEPT
-A mine -p tcp -m tcp --dport 22 -j ACCEPT
COMMIT
*mangle
:shorewall - [0:0]
:net-fw - [0:0]
:net2loc - [0:0]
-A net-fw -p tcp -m tcp --dport 22 -j ACCEPT
-A net2loc -p tcp -m tcp --dport 22 -j ACCEPT
COMMIT
`
	rules := &firewall.Ruleset{Tables: loaded(t, "rules", text, firewall.FamilyIPv4)}
	w := Read(files{
		"/usr/lib/firewalld/zones/public.xml": `<zone><service name="ssh"/></zone>`,
		"/usr/lib/firewalld/services/ssh.xml": `<service><port protocol="tcp" port="22"/></service>`,
	}, rules)
	for chain, want := range map[string]string{
		"KUBE-SERVICES":   "Kubernetes, default/web:http cluster IP",
		"CNI-DN-0a1b":     "CNI's chain CNI-DN-0a1b",
		"f2b-sshd":        "fail2ban jail sshd",
		"ts-input":        "Tailscale's chain ts-input",
		"LIBVIRT_INP":     "libvirt's chain LIBVIRT_INP",
		"DOCKER-USER":     "the administrator's rule in DOCKER-USER",
		"DOCKER":          "Docker: port 8080 published to 172.17.0.2:80\nDocker: published port 80 of container 172.17.0.2",
		"IN_public_allow": "firewalld zone public: service ssh",
		"net-fw":          "Shorewall, from zone net to fw,",
		"net2loc":         "Shorewall, from zone net to loc,",
		"mine":            "",
	} {
		expect(t, wordsOf(w, rules, chain), strings.Split(want, "\n")...)
	}
}

// A textRule prints as a text.
type textRule string

func (s textRule) String() string { return string(s) }

func TestPartsOfAZone(t *testing.T) {
	table := &firewall.Table{Name: "firewalld", Family: firewall.FamilyInet, Backend: firewall.NFTables}
	host := files{
		"/etc/firewalld/zones/public.xml":               `<zone><service name="ssh"/><service name="dhcpv6-client"/><port port="8000-8010" protocol="udp"/></zone>`,
		"/usr/lib/firewalld/zones/public.xml":           `<zone><service name="http"/></zone>`,
		"/usr/lib/firewalld/services/ssh.xml":           `<service><port protocol="tcp" port="22"/></service>`,
		"/usr/lib/firewalld/services/http.xml":          `<service><port protocol="tcp" port="80"/></service>`,
		"/usr/lib/firewalld/services/dhcpv6-client.xml": `<service><port protocol="udp" port="546"/><destination ipv6="fe80::/64"/></service>`,
	}
	for _, c := range []struct{ chain, text, want string }{
		{"filter_IN_public_allow", "tcp dport 22 accept", "firewalld zone public: service ssh"},
		{"filter_IN_public_allow", "ip6 daddr fe80::/64 udp dport 546 accept", "firewalld zone public: service dhcpv6-client"},
		{"filter_IN_public_allow", "udp dport 8000-8010 accept", "firewalld zone public: port 8000-8010/udp"},
		{"filter_IN_public_allow", "tcp dport 80 accept", "firewalld zone public: 80/tcp, which its file doesn't have: open until firewalld reloads"},
		{"filter_IN_public_allow", "ip saddr 10.0.0.0/8 tcp dport 22 accept", "firewalld zone public, rich rule,"},
		{"filter_IN_public_deny", "tcp dport 22 drop", "firewalld zone public, rich rule,"},
		{"filter_IN_my_zone_allow", "tcp dport 22 accept", "firewalld zone my_zone: 22/tcp"},
		{"filter_IN_trusted", "accept", "the target of firewalld zone trusted"},
		{"filter_IN_policy_allow-host-ipv6_allow", "tcp dport 22 accept", "firewalld policy allow-host-ipv6: 22/tcp"},
		{"filter_INPUT", "reject with icmpx admin-prohibited", "firewalld's chain filter_INPUT"},
	} {
		chain := &firewall.Chain{Table: table, Name: c.chain}
		table.Chains = []*firewall.Chain{chain}
		r := &firewall.Rule{Chain: chain, Number: 1, Source: textRule(c.text)}
		chain.Rules = []*firewall.Rule{r}
		words, _ := Read(host, &firewall.Ruleset{Tables: []*firewall.Table{table}}).Rule(r)
		if words != c.want {
			t.Errorf("%s: %s: %q, want %q", c.chain, c.text, words, c.want)
		}
	}
}

func TestRulesOfNftablesConfByTheirLines(t *testing.T) {
	const conf = `#!/usr/sbin/nft -f
flush ruleset
table inet filter {
	chain input {
		type filter hook input priority filter; policy drop;
		tcp dport 22 accept # for us
		tcp dport   80 accept;
	}
	chain other {
		tcp dport 22 accept
	}
}
add rule inet filter input tcp dport 443 accept
`
	table := &firewall.Table{Name: "filter", Family: firewall.FamilyInet, Backend: firewall.NFTables}
	input := &firewall.Chain{Table: table, Name: "input"}
	table.Chains = []*firewall.Chain{input}
	for _, text := range []string{"tcp dport 22 accept", "tcp dport 25 accept", "tcp dport 80 accept", "tcp dport 22 accept", "tcp dport 443 accept"} {
		input.Rules = append(input.Rules, &firewall.Rule{Chain: input, Source: textRule(text)})
	}
	rules := &firewall.Ruleset{Tables: []*firewall.Table{table}}
	expect(t, wordsOf(Read(files{"/etc/nftables.conf": conf}, rules), rules, "input"),
		"/etc/nftables.conf line 6: tcp dport 22 accept", "", "/etc/nftables.conf line 7: tcp dport 80 accept", "",
		"/etc/nftables.conf line 13: tcp dport 443 accept")
}

func FuzzFilesOfManagers(f *testing.F) {
	f.Add(userRules, `<zone><service name="ssh"/></zone>`)
	f.Add("### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in comment=zz\n### tuple ### \n-A \n", "<zone")
	f.Fuzz(func(t *testing.T, text, zone string) {
		rules := &firewall.Ruleset{}
		if tables, err := iptables.ParseFamily("x", []byte(userRules), firewall.FamilyIPv4, nil); err == nil {
			rules.Tables = tables
		}
		w := Read(files{"/etc/ufw/user.rules": text, "/etc/ufw/user6.rules": text, "/etc/nftables.conf": text, "/etc/firewalld/zones/public.xml": zone}, rules)
		wordsOf(w, rules, "ufw-user-input")
	})
}
