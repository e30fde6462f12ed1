package correlate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/netglance/netglance/correlate/policy"
	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/internal/addresses"
)

// Kind is what a finding is.
type Kind string

// The kinds of findings.
const (
	KindExposed     Kind = "exposed"     // the label
	KindUnknown     Kind = "unknown"     // the label, or an assertion without an answer
	KindConditional Kind = "conditional" // what no reading settles decides about some sources
	KindConflict    Kind = "conflict"    // what a packet found is not what the rules say
	KindExpired     Kind = "expired"     // an entry of the policy whose last day is over
	KindAssertion   Kind = "assertion"   // an assertion of the policy that doesn't hold
	KindNew         Kind = "new"         // reachable, and the baseline doesn't know it
)

// Kinds are all kinds.
var Kinds = []Kind{KindExposed, KindUnknown, KindConditional, KindConflict, KindExpired, KindAssertion, KindNew}

// Severity is how bad a finding is.
type Severity uint8

// The severities.
const (
	Low Severity = iota
	Medium
	High
	Critical
)

// Severities are their names, the least first.
var Severities = []string{"low", "medium", "high", "critical"}

func (s Severity) String() string { return Severities[s%4] }

// A Finding is what somebody should look at.
type Finding struct {
	Kind     Kind
	Severity Severity
	// Port is what it is about; nil where it is about the policy or the host.
	Port *Exposure
	// At is the place in the policy that it is about; zero if none.
	At policy.Position
	// Text is why, in words.
	Text string
	// Remedy is what to do about it.
	Remedy []string
	// Fingerprint names it across restarts: 16 hex digits.
	Fingerprint string
	// SuppressedBy lets it pass; nil if nothing does.
	SuppressedBy *policy.Suppression
	// Known says that the baseline has it too, and that no more sources reach the port.
	Known bool
}

// Counts says that the finding is to be acted on.
func (f Finding) Counts() bool { return f.SuppressedBy == nil && !f.Known }

// reasonKinds are the reasons that are a finding of their own.
var reasonKinds = map[string]Kind{"conflict": KindConflict}

// Findings are what the ports and the assertions give cause to look at, those of the
// worst kind first, with the policy's suppressions applied.
func Findings(in Input, ports []Exposure, asserted []Asserted) []Finding {
	s := severities{space: addresses.New(), networks: append(noSources(in.Network), policy.Private...)}
	s.inside = s.space.Of(s.networks...)
	var out []Finding
	for i := range ports {
		out = append(out, s.ofPort(&ports[i])...)
	}
	for _, a := range asserted {
		if a.Outcome != Holds {
			out = append(out, ofAssertion(a))
		}
	}
	if in.Policy != nil {
		out = append(out, expired(in.Policy, in.Now)...)
		for i := range out {
			out[i].SuppressedBy = suppressedBy(in.Policy, out[i], in.Now)
		}
	}
	SortFindings(out)
	return out
}

// SortFindings puts them in the order of their kinds and fingerprints, which doesn't
// depend on the order in which the host was read.
func SortFindings(all []Finding) {
	slices.SortStableFunc(all, func(a, b Finding) int {
		if a.Kind != b.Kind {
			return slices.Index(Kinds, a.Kind) - slices.Index(Kinds, b.Kind)
		}
		if a.Port != nil && b.Port != nil {
			return compareExposures(*a.Port, *b.Port)
		}
		return strings.Compare(a.Fingerprint, b.Fingerprint)
	})
}

func (s severities) ofPort(e *Exposure) (out []Finding) {
	add := func(kind Kind, severity Severity, text string) {
		out = append(out, Finding{Kind: kind, Severity: severity, Port: e, Text: text, Remedy: e.Remedy, Fingerprint: findingPrint(kind, e.Fingerprint)})
	}
	switch e.Label {
	case Exposed:
		add(KindExposed, s.exposed(e), firstReason(*e))
	case Unknown:
		add(KindUnknown, Medium, firstReason(*e))
	}
	for _, r := range e.Reach {
		if r.Fate == firewall.Conditional && len(r.Conditions) > 0 {
			add(KindConditional, Low, r.Conditions[0].Text)
			break
		}
	}
	for _, r := range e.Reasons {
		if kind := reasonKinds[r.Code]; kind != "" {
			add(kind, High, r.Text)
		}
	}
	return out
}

func firstReason(e Exposure) string {
	if len(e.Reasons) == 0 {
		return ""
	}
	return e.Reasons[0].Text
}

func findingPrint(kind Kind, parts ...string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n", kind)
	for _, p := range parts {
		fmt.Fprintf(h, "%q\n", p)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// ofAssertion is known by its words, not by its line, which an edit above it moves.
func ofAssertion(a Asserted) Finding {
	f := Finding{Kind: KindAssertion, Severity: High, At: a.At, Text: a.Text + ": " + a.Why}
	if a.Outcome == Undecided {
		f.Kind, f.Severity = KindUnknown, Medium
	}
	f.Fingerprint = findingPrint(f.Kind, a.Text, a.Ports.String())
	return f
}

func expired(p *policy.Policy, now time.Time) (out []Finding) {
	for _, e := range p.Entries {
		if policy.Expired(e.Until, now) {
			text := fmt.Sprintf("allowed %s until %s", portNames(e.Ports), e.Until.Format(time.DateOnly))
			out = append(out, Finding{Kind: KindExpired, Severity: Low, At: e.At, Text: text, Remedy: []string{"take the entry out, or give it a later date"},
				Fingerprint: findingPrint(KindExpired, text)})
		}
	}
	for _, s := range p.Suppressions {
		if policy.Expired(s.Until, now) {
			text := fmt.Sprintf("suppressed %s until %s", strings.TrimSpace(s.Finding+" "+portNames(s.Ports)+s.Fingerprint), s.Until.Format(time.DateOnly))
			out = append(out, Finding{Kind: KindExpired, Severity: Low, At: s.At, Text: text, Remedy: []string{"take the suppression out, or give it a later date"},
				Fingerprint: findingPrint(KindExpired, text)})
		}
	}
	return out
}

func portNames(all []policy.Ports) string {
	var words []string
	for _, p := range all {
		words = append(words, p.String())
	}
	return strings.Join(words, ", ")
}

// suppressedBy is the suppression that lets a finding pass. An expired entry can't
// be hidden: its date is there to be noticed.
func suppressedBy(p *policy.Policy, f Finding, now time.Time) *policy.Suppression {
	for i, s := range p.Suppressions {
		if f.Kind == KindExpired || s.Finding != "" && s.Finding != string(f.Kind) || policy.Expired(s.Until, now) {
			continue
		}
		if s.Fingerprint == f.Fingerprint || f.Port != nil && (s.Fingerprint == f.Port.Fingerprint || s.For(f.Port.Protocol, f.Port.Port, max(f.Port.Port, f.Port.LastPort))) {
			return &p.Suppressions[i]
		}
	}
	return nil
}

// severities knows which sources are somebody's own network.
type severities struct {
	space    *addresses.Space
	inside   addresses.Set
	networks []netip.Prefix // inside's
}

// foreign says that a prefix is of nobody's own network, without the cost of sets:
// most exposed ports have one among their first.
func (s severities) foreign(prefixes []netip.Prefix) bool {
	return slices.ContainsFunc(prefixes[:min(8, len(prefixes))], func(p netip.Prefix) bool {
		return !slices.ContainsFunc(s.networks, p.Overlaps)
	})
}

// sensitive are services that trust who reaches them, or that hold what others
// want: no authentication as they are installed, or remote control.
var sensitive = []string{"cassandra", "couchdb", "docker", "elasticsearch", "etcd", "exec", "kubelet", "ldap", "login", "memcached", "microsoft-ds", "mongodb", "ms-sql",
	"mysql", "netbios-ssn", "nfs", "oracle", "postgresql", "rdp", "redis", "rpcbind", "rsync", "snmp", "telnet", "vnc", "x11", "zookeeper"}

// exposed: to whom decides, and what is there.
func (s severities) exposed(e *Exposure) Severity {
	severity := Medium
	for _, r := range e.Reach {
		if reaches(r.Part) != surely || r.Declared != Undeclared {
			continue
		}
		if len(r.Outside) == 0 && len(r.Sources.Sets) == 0 && s.foreign(r.Sources.Prefixes) {
			severity = High
			continue
		}
		from := sourceSet(s.space, r.Sources, r.Family)
		if len(r.Outside) > 0 {
			from = s.space.And(from, s.space.Of(r.Outside...))
		}
		if !s.space.Holds(s.inside, from) {
			severity = High
		}
	}
	if slices.Contains(sensitive, e.Service) {
		severity++
	}
	return severity
}
