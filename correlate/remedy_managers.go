package correlate

import (
	"fmt"
	"strings"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/managers"
)

// byManager is what to do in the language of the program that keeps the chain and
// would write it anew; nil where it has none, and for the managers whose chains
// take a rule of the administrator's.
func (w writer) byManager(chain *firewall.Chain, r Reach) []command {
	switch managers.Of(chain) {
	case "firewalld":
		if r.DeliveredTo == nil {
			return w.byFirewalld(managers.Zone(chain), r)
		}
	case "Shorewall":
		if from, to, ok := managers.ShorewallZones(chain); ok {
			return w.byShorewall(from, to)
		}
	case "Tailscale":
		return []command{{closes: "say in the tailnet's access controls (ACLs) who may reach it: Tailscale writes its rules anew"}}
	case "Kubernetes":
		return []command{{closes: "limit it by the service's loadBalancerSourceRanges or a NetworkPolicy: Kubernetes writes its rules anew"}}
	case "podman", "CNI":
		if r.DeliveredTo != nil && r.DeliveredTo.Interface != "" {
			return []command{{closes: fmt.Sprintf("publish it on one address only: podman run -p 127.0.0.1:%d:%d", w.e.Port, r.DeliveredTo.Port)}}
		}
	case "libvirt":
		return []command{{closes: "change the network in libvirt (virsh net-edit): it writes its rules anew"}}
	}
	return nil
}

// writtenAnew says that a program fills and empties the chain by itself: no place
// for a rule of the administrator's.
func writtenAnew(chain *firewall.Chain) bool {
	switch managers.Of(chain) {
	case "fail2ban", "podman", "CNI", "Kubernetes", "libvirt", "Tailscale":
		return true
	}
	return chain.Table.Name == "docker-bridges"
}

// byFirewalld are firewall-cmd's words. A rich rule that denies comes before all
// that the zone allows (firewalld.richlanguage(5)).
func (w writer) byFirewalld(zone string, r Reach) []command {
	in := ""
	if zone != "" {
		if !plain(zone) {
			return nil
		}
		in = " --zone=" + zone
	}
	family := ""
	if only := w.family(r.By.Chain, w.open); only != "" {
		family = ` family="` + strings.ToLower(only) + `"`
	}
	const keep = " && firewall-cmd --runtime-to-permanent"
	rule := fmt.Sprintf(`--add-rich-rule='rule%s port port="%s" protocol="%s" drop'`, family, w.portRange("-"), w.e.Protocol)
	return []command{{"firewall-cmd" + in + " " + rule + keep,
		fmt.Sprintf("firewall-cmd%s --add-port=%s/%s%s", in, w.portRange("-"), w.e.Protocol, keep)}}
}

// byShorewall are lines of its rules file (shorewall-rules(5)).
func (w writer) byShorewall(from, to string) []command {
	if to == "fw" {
		to = "$FW"
	}
	line := fmt.Sprintf(" %s %s %s %s", from, to, w.e.Protocol, w.portRange(":"))
	return []command{{"put into /etc/shorewall/rules, first: DROP" + line + "  (then: shorewall reload)", "in /etc/shorewall/rules: ACCEPT" + line}}
}

// portRange is the row's port, or its range.
func (w writer) portRange(separator string) string {
	if w.e.LastPort != 0 {
		return fmt.Sprintf("%d%s%d", w.e.Port, separator, w.e.LastPort)
	}
	return fmt.Sprint(w.e.Port)
}

// byName puts the name of a container in the place of its address.
func (w writer) byName(words string) string {
	for _, s := range w.e.Served {
		if s.Title != "" && s.To.IsValid() && strings.HasSuffix(words, "container "+s.To.Addr().String()) && strings.HasPrefix(s.Title, "container ") {
			return strings.TrimSuffix(words, "container "+s.To.Addr().String()) + s.Title
		}
	}
	return words
}
