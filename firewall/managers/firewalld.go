package managers

import (
	"encoding/xml"
	"slices"
	"strings"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/internal/lazyregexp"
)

// firewalldChain is a zone's chain for packets to this host or through it:
// "filter_IN_public_allow"; without nftables "IN_public_allow".
var firewalldChain = lazyregexp.New(`^(?:filter_)?(IN|FWD|FWDI|FWDO)_(.+?)(?:_(pre|log|deny|allow|post))?$`)

// firewalldZones reads zones and services when a rule asks for them.
type firewalldZones struct {
	source   Source
	zones    map[string]*zone
	services map[string][]servicePort
}

// A zone is what a zone's file says (firewalld.zone(5)).
type zone struct {
	Target   string `xml:"target,attr"`
	Services []struct {
		Name string `xml:"name,attr"`
	} `xml:"service"`
	Ports []servicePort `xml:"port"`
	Rules []struct {
		Family string `xml:"family,attr"`
	} `xml:"rule"`
}

type servicePort struct {
	Port     string `xml:"port,attr"`
	Protocol string `xml:"protocol,attr"`
}

// read decodes the file of a zone or a service: the administrator's, else the
// one that came with firewalld.
func (f *firewalldZones) read(directory, name string, into any) bool {
	if strings.ContainsAny(name, "/\x00") {
		return false
	}
	for _, root := range []string{"/etc/firewalld/", "/usr/lib/firewalld/"} {
		if text, err := f.source.ReadFile(root + directory + "/" + name + ".xml"); err == nil {
			return xml.Unmarshal(text, into) == nil
		}
	}
	return false
}

func (f *firewalldZones) zone(name string) *zone {
	if z, known := f.zones[name]; known {
		return z
	}
	z := &zone{}
	if !f.read("zones", name, z) {
		z = nil
	}
	f.zones[name] = z
	return z
}

func (f *firewalldZones) service(name string) []servicePort {
	if ports, known := f.services[name]; known {
		return ports
	}
	var s struct {
		Ports []servicePort `xml:"port"`
	}
	f.read("services", name, &s)
	f.services[name] = s.Ports
	return s.Ports
}

// matchedPort is a rule's protocol and port, in nft's words or iptables'.
var matchedPort = lazyregexp.New(`\b(tcp|udp|sctp|dccp) dport ([0-9-]+)|-p (tcp|udp|sctp|dccp) .*--dports? ([0-9:]+)`)

// portOf is empty where a rule asks for no port, or for several.
func portOf(r *firewall.Rule) servicePort {
	m := matchedPort.FindStringSubmatch(r.Text())
	switch {
	case m == nil:
		return servicePort{}
	case m[1] != "":
		return servicePort{m[2], m[1]}
	}
	return servicePort{strings.ReplaceAll(m[4], ":", "-"), m[3]}
}

// Zone is the zone of firewalld's that a chain belongs to; empty for its other chains.
func Zone(c *firewall.Chain) string {
	m := firewalldChain.FindStringSubmatch(c.Name)
	if m == nil || strings.HasPrefix(m[2], "policy_") {
		return ""
	}
	return m[2]
}

// rule says which part of a zone a rule is.
func (f *firewalldZones) rule(r *firewall.Rule) (words string, whole bool) {
	m := firewalldChain.FindStringSubmatch(r.Chain.Name)
	if m == nil {
		if rejects(r) {
			return "firewalld, which lets in only what a zone allows,", false
		}
		return "firewalld's chain " + r.Chain.Name, false
	}
	name, part := m[2], m[3]
	who := "firewalld zone " + name
	if policy, ok := strings.CutPrefix(name, "policy_"); ok {
		who = "firewalld policy " + policy
	}
	switch {
	case part == "allow":
		allowed, whole := f.allowed(name, r)
		return who + allowed, whole
	case part == "":
		return "the target of " + who, false
	}
	return who + ", rich rule,", false
}

// allowed names the service or port of the zone's that a rule stands for. What
// the zone's file doesn't have was added at runtime.
func (f *firewalldZones) allowed(name string, r *firewall.Rule) (words string, whole bool) {
	port := portOf(r)
	if port.Port == "" || namesSource(r) {
		return ", rich rule,", false
	}
	z := f.zone(name)
	if z == nil {
		return ": " + port.String(), true
	}
	for _, s := range z.Services {
		if slices.Contains(f.service(s.Name), port) {
			return ": service " + s.Name, true
		}
	}
	if slices.Contains(z.Ports, port) {
		return ": port " + port.String(), true
	}
	return ": " + port.String() + ", which its file doesn't have: open until firewalld reloads", true
}

func (p servicePort) String() string { return p.Port + "/" + p.Protocol }

// namesSource says that a rule asks for a source, as only rich rules do. (A service
// may name a destination.)
func namesSource(r *firewall.Rule) bool {
	text := r.Text()
	return strings.Contains(text, "saddr") || strings.Contains(text, " -s ")
}

func rejects(r *firewall.Rule) bool {
	return slices.ContainsFunc(r.Steps, func(s firewall.Step) bool {
		v, verdict := s.(firewall.Verdict)
		_, reject := s.(firewall.Reject)
		return reject || verdict && v.Code == firewall.Drop
	})
}
