// Package managers knows the programs that keep a host's rules (ufw, firewalld,
// Docker, …) by the names that they give to tables and chains, and says what a
// rule is in their words: "ufw rule 3: allow 22/tcp from 10.0.0.0/8".
package managers

import (
	"slices"
	"strings"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/internal/lazyregexp"
)

// A Source gives files: a live or a recorded host.
type Source interface {
	ReadFile(name string) ([]byte, error)
}

// Words say what rules are to who wrote them.
type Words struct {
	ufw       map[*firewall.Rule]string
	firewalld *firewalldZones
	conf      *conf
}

// Read reads the managers' own files, of those managers alone that have chains.
func Read(source Source, rules *firewall.Ruleset) *Words {
	w := &Words{ufw: map[*firewall.Rule]string{}}
	if has(rules, ofUFW) {
		readUFW(source, rules, w.ufw)
	}
	if has(rules, func(c *firewall.Chain) bool { return Of(c) == "firewalld" }) {
		w.firewalld = &firewalldZones{source: source, zones: map[string]*zone{}, services: map[string][]servicePort{}}
	}
	w.conf = readConf(source, rules)
	return w
}

func has(rules *firewall.Ruleset, fits func(*firewall.Chain) bool) bool {
	return slices.ContainsFunc(rules.Tables, func(t *firewall.Table) bool { return slices.ContainsFunc(t.Chains, fits) })
}

// Of is the name of the program that keeps a chain; empty where the chain's name
// doesn't tell.
func Of(c *firewall.Chain) string {
	if c.Table != nil {
		switch c.Table.Name {
		case "firewalld", "firewalld_policy_drop":
			return "firewalld"
		case "docker-bridges":
			return "Docker"
		case "netavark":
			return "podman"
		}
		if strings.HasPrefix(c.Table.Name, "f2b-") {
			return "fail2ban"
		}
		if strings.HasPrefix(c.Table.Name, "libvirt") {
			return "libvirt"
		}
		if strings.HasPrefix(c.Table.Name, "kube-proxy") {
			return "Kubernetes"
		}
	}
	for _, known := range chainNames {
		if slices.ContainsFunc(known.names, func(name string) bool { return named(c.Name, name) }) {
			return known.manager
		}
	}
	if shorewall(c) {
		return "Shorewall"
	}
	if c.Table != nil && strings.Contains(c.Name, "_") && firewalldChain.MatchString(c.Name) && hasChain(c.Table, "INPUT_ZONES", "FORWARD_ZONES", "PREROUTING_ZONES") {
		return "firewalld"
	}
	return ""
}

// chainNames are the managers by the chains that they make: a name, or with a mark
// at its end the start of one.
var chainNames = []struct {
	names   []string
	manager string
}{
	{[]string{"ufw-", "ufw6-"}, "ufw"},
	{[]string{"DOCKER", "DOCKER-"}, "Docker"},
	{[]string{"KUBE-", "cali-", "CILIUM_", "FLANNEL-", "WEAVE-"}, "Kubernetes"},
	{[]string{"f2b-", "fail2ban-"}, "fail2ban"},
	{[]string{"ts-input", "ts-forward", "ts-postrouting"}, "Tailscale"},
	{[]string{"LIBVIRT_"}, "libvirt"},
	{[]string{"NETAVARK-", "NETAVARK_"}, "podman"},
	{[]string{"CNI-"}, "CNI"},
}

func named(chain, name string) bool {
	if strings.HasSuffix(name, "-") || strings.HasSuffix(name, "_") {
		return strings.HasPrefix(chain, name)
	}
	return chain == name
}

// ofUFW says that the chain holds rules of ufw's user.
func ofUFW(c *firewall.Chain) bool {
	return strings.HasPrefix(c.Name, "ufw-user-") || strings.HasPrefix(c.Name, "ufw6-user-")
}

func hasChain(t *firewall.Table, names ...string) bool {
	return slices.ContainsFunc(t.Chains, func(c *firewall.Chain) bool { return slices.Contains(names, c.Name) })
}

// shorewallChain is from one zone to another: "net-fw", older "net2fw".
var shorewallChain = lazyregexp.New(`^[a-zA-Z][a-zA-Z0-9]*(-|2)[a-zA-Z][a-zA-Z0-9]*$`)

// shorewall marks its filter table with a chain of its name (Shorewall 4.5.7), by
// which it knows itself that it runs.
func shorewall(c *firewall.Chain) bool {
	if c.Name != "shorewall" && (!strings.ContainsAny(c.Name, "-2") || !shorewallChain.MatchString(c.Name)) {
		return false
	}
	return c.Table != nil && hasChain(c.Table, "shorewall")
}

// Rule is what the rule is to its manager. whole says that the words tell what it
// does; else they only name who has it. Empty where only the rule's text can tell.
func (w *Words) Rule(r *firewall.Rule) (words string, whole bool) {
	if w == nil || r == nil || r.Chain == nil {
		return "", false
	}
	if text, ok := w.ufw[r]; ok {
		return text, true
	}
	if text := w.conf.rule(r); text != "" {
		return text, true
	}
	chain := r.Chain.Name
	switch manager := Of(r.Chain); manager {
	case "":
		return "", false
	case "ufw":
		return ufwChain(chain), false
	case "firewalld":
		if w.firewalld != nil {
			return w.firewalld.rule(r)
		}
	case "Docker":
		return dockerRule(r)
	case "Kubernetes", "CNI":
		if r.Comment != "" {
			return manager + ", " + r.Comment, false
		}
	case "fail2ban":
		return "fail2ban jail " + jail(r), false
	case "Shorewall":
		return shorewallRule(r.Chain), false
	}
	return Of(r.Chain) + "'s chain " + chain, false
}

// Default is who denies or allows what no rule of a base chain decides; empty
// where the policy is nobody's in particular.
func (w *Words) Default(c *firewall.Chain) string {
	if w == nil || c == nil || c.Table == nil || c.Base == nil || c.Base.Type != firewall.FilterChain {
		return ""
	}
	switch {
	case slices.ContainsFunc(c.Table.Chains, ofUFW):
		return "ufw's default"
	case hasChain(c.Table, "shorewall"):
		return "Shorewall's default"
	}
	return ""
}

// jail is the name in "f2b-sshd"; with nftables, in the set "addr-set-sshd".
func jail(r *firewall.Rule) string {
	for _, step := range r.Steps {
		if in, ok := step.(firewall.InSet); ok && in.Set != nil {
			if name, ok := strings.CutPrefix(in.Set.Name, "addr-set-"); ok {
				return name
			}
			if name, ok := strings.CutPrefix(in.Set.Name, "addr6-set-"); ok {
				return name
			}
		}
	}
	_, name, _ := strings.Cut(r.Chain.Name, "-")
	return name
}

// published is an address and port of a container in a rule of Docker's.
var published = lazyregexp.New(`-d ([0-9a-f.:]+)(?:/32|/128) .*--dport ([0-9]+) -j ACCEPT|--dport ([0-9]+) -j DNAT --to-destination (\S+)|dport ([0-9]+) .*dnat(?: ip6?)? to (\S+)`)

func dockerRule(r *firewall.Rule) (words string, whole bool) {
	m := published.FindStringSubmatch(r.Text())
	switch {
	case r.Chain.Name == "DOCKER-USER":
		return "the administrator's rule in DOCKER-USER", false
	case m != nil && m[1] != "":
		return "Docker: published port " + m[2] + " of container " + m[1], true
	case m != nil && m[4] != "":
		return "Docker: port " + m[3] + " published to " + m[4], true
	case m != nil:
		return "Docker: port " + m[5] + " published to " + m[6], true
	}
	return "Docker's chain " + r.Chain.Name, false
}

// ShorewallZones are the two zones that a chain of Shorewall's stands between.
func ShorewallZones(c *firewall.Chain) (from, to string, ok bool) {
	m := shorewallChain.FindStringSubmatchIndex(c.Name)
	if m == nil {
		return "", "", false
	}
	return c.Name[:m[2]], c.Name[m[3]:], true
}

func shorewallRule(c *firewall.Chain) string {
	if from, to, ok := ShorewallZones(c); ok {
		return "Shorewall, from zone " + from + " to " + to + ","
	}
	return "Shorewall's chain " + c.Name
}
