package correlate

import (
	"slices"
	"strings"

	"github.com/netglance/netglance/firewall"
)

// Backends are the packet filters that have tables, sorted.
func Backends(rules *firewall.Ruleset) []string {
	var out []string
	for _, t := range rules.Tables {
		out = append(out, t.Backend.String())
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Managers are the programs that wrote rules, known by the names they give their
// tables and chains, sorted.
func Managers(rules *firewall.Ruleset) []string {
	var out []string
	for _, t := range rules.Tables {
		if t.Name == "firewalld" {
			out = append(out, "firewalld")
		}
		if t.Name == "docker-bridges" {
			out = append(out, "Docker")
		}
		for _, c := range t.Chains {
			if name := chainManager(c.Name); name != "" {
				out = append(out, name)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func chainManager(chain string) string {
	switch {
	case strings.HasPrefix(chain, "ufw-"), strings.HasPrefix(chain, "ufw6-"):
		return "ufw"
	case chain == "DOCKER", chain == "DOCKER-USER":
		return "Docker"
	case strings.HasPrefix(chain, "KUBE-"):
		return "Kubernetes"
	case strings.HasPrefix(chain, "f2b-"):
		return "fail2ban"
	case chain == "ts-input":
		return "Tailscale"
	case strings.HasPrefix(chain, "LIBVIRT_"):
		return "libvirt"
	}
	return ""
}
