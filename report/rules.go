package report

import (
	"fmt"
	"io"
	"net/netip"
	"strings"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/firewall"
)

// hooks are in the order in which a packet for this host, and its answer, meet them.
var hooks = []firewall.Hook{firewall.Ingress, firewall.Prerouting, firewall.Input, firewall.Forward, firewall.Output, firewall.Postrouting, firewall.Egress}

type rulesJSON struct {
	document
	Chains []chainJSON `json:"chains"`
	// OneSided are ports that are open in one family and filtered in the other.
	OneSided []reasonJSON `json:"one_sided"`
}

// A chainJSON is a base chain, or one that another chain calls, after the first that does.
type chainJSON struct {
	Backend  string       `json:"backend"`
	Family   string       `json:"family"`
	Table    string       `json:"table"`
	Chain    string       `json:"chain"`
	Dormant  bool         `json:"dormant"`
	Base     *baseJSON    `json:"base,omitempty"`
	CalledBy []string     `json:"called_by"`
	Findings []reasonJSON `json:"findings"`
	Rules    []ruleJSON   `json:"rules"`
}

type baseJSON struct {
	Hook     string   `json:"hook"`
	Type     string   `json:"type"`
	Priority int32    `json:"priority"`
	Policy   string   `json:"policy"`
	Devices  []string `json:"devices,omitempty"`
}

type ruleJSON struct {
	Number   int           `json:"number"`
	Handle   uint64        `json:"handle"`
	Text     string        `json:"text"`
	Comment  string        `json:"comment,omitempty"`
	Calls    []string      `json:"calls,omitempty"`
	Opens    []openingJSON `json:"opens"`
	Findings []reasonJSON  `json:"findings"`
	// By is what takes the packets of a rule that can't act.
	By []takerJSON `json:"by,omitempty"`
}

// An openingJSON is new flows that a rule lets in. What is absent is not restricted.
type openingJSON struct {
	Family      int             `json:"family"`
	Forwarded   bool            `json:"forwarded"`
	Ports       []portRangeJSON `json:"ports,omitempty"`
	Protocols   []int           `json:"protocols,omitempty"`
	Others      bool            `json:"other_protocols,omitempty"`
	Sources     []netip.Prefix  `json:"sources,omitempty"`
	SomeSources bool            `json:"some_sources,omitempty"`
	Interfaces  []string        `json:"interfaces,omitempty"`
}

type portRangeJSON struct {
	Protocol uint8  `json:"protocol"`
	First    uint16 `json:"first"`
	Last     uint16 `json:"last"`
}

// A takerJSON is a rule, or without a number its chain's policy.
type takerJSON struct {
	Family string `json:"family"`
	Table  string `json:"table"`
	Chain  string `json:"chain"`
	Number *int   `json:"number,omitempty"` // pf counts from 0
	Handle uint64 `json:"handle,omitempty"`
	Text   string `json:"text"`
}

func openings(list []firewall.Opening) []openingJSON {
	out := make([]openingJSON, 0, len(list))
	for _, o := range list {
		j := openingJSON{Family: 4, Forwarded: o.Forwarded, Others: o.OtherProtocols,
			Sources: o.Sources, SomeSources: o.SomeSources, Interfaces: cleanAll(o.Interfaces)}
		if o.Family == firewall.FamilyIPv6 {
			j.Family = 6
		}
		for _, p := range o.Protocols {
			j.Protocols = append(j.Protocols, int(p))
		}
		for _, r := range o.Ports {
			j.Ports = append(j.Ports, portRangeJSON{r.Protocol, r.First, r.Last})
		}
		out = append(out, j)
	}
	return out
}

func takers(list []firewall.Decision) []takerJSON {
	var out []takerJSON
	for _, d := range list {
		t := takerJSON{Family: d.Chain.Table.Family.String(), Table: Clean(d.Chain.Table.Name), Chain: Clean(d.Chain.Name), Text: Clean(d.Text)}
		if d.Rule != nil {
			t.Number, t.Handle = &d.Rule.Number, d.Rule.Handle
		}
		out = append(out, t)
	}
	return out
}

func findings(list []correlate.Reason) []reasonJSON {
	out := make([]reasonJSON, 0, len(list))
	for _, r := range list {
		out = append(out, reasonJSON{r.Code, Clean(r.Text)})
	}
	return out
}

// inOrder calls f for every chain in the order in which packets meet them: base
// chains by hook and priority, each followed by those that it calls first.
// Chains that nothing calls come last.
func inOrder(rules *firewall.Ruleset, f func(*firewall.Chain)) {
	seen := map[*firewall.Chain]bool{}
	var visit func(*firewall.Chain)
	visit = func(c *firewall.Chain) {
		if seen[c] {
			return
		}
		seen[c] = true
		f(c)
		for _, r := range c.Rules {
			for _, to := range r.JumpTargets() {
				visit(to)
			}
		}
	}
	for _, h := range hooks {
		for _, c := range rules.BaseChains(h) {
			visit(c)
		}
	}
	for _, t := range rules.Tables {
		for _, c := range t.Chains {
			visit(c)
		}
	}
}

// callers maps each chain to the names of those that jump or go to it.
func callers(rules *firewall.Ruleset) map[*firewall.Chain][]string {
	out := map[*firewall.Chain][]string{}
	for _, t := range rules.Tables {
		for _, c := range t.Chains {
			seen := map[*firewall.Chain]bool{}
			for _, r := range c.Rules {
				for _, to := range r.JumpTargets() {
					if !seen[to] {
						seen[to] = true
						out[to] = append(out[to], Clean(c.Name))
					}
				}
			}
		}
	}
	return out
}

// RulesJSON writes the answer of "netglance firewall rules" (schema/rules.json).
func RulesJSON(w io.Writer, h Host, rules *firewall.Ruleset, found correlate.RulesReview) error {
	out := rulesJSON{document: newDocument(h), Chains: []chainJSON{}, OneSided: findings(found.OneSided)}
	called := callers(rules)
	inOrder(rules, func(c *firewall.Chain) {
		j := chainJSON{
			Backend: c.Table.Backend.String(), Family: c.Table.Family.String(), Table: Clean(c.Table.Name), Chain: Clean(c.Name),
			Dormant: c.Table.Dormant, CalledBy: append([]string{}, called[c]...), Findings: findings(found.Chains[c]), Rules: make([]ruleJSON, 0, len(c.Rules)),
		}
		if b := c.Base; b != nil {
			j.Base = &baseJSON{b.Hook.String(), b.Type.String(), b.Priority, b.Policy.String(), cleanAll(b.Devices)}
		}
		for _, r := range c.Rules {
			rule := ruleJSON{Number: r.Number, Handle: r.Handle, Text: Clean(r.Text()), Comment: Clean(r.Comment),
				Opens: openings(found.Openings[r]), Findings: findings(found.Rules[r]), By: takers(found.By[r])}
			for _, to := range r.JumpTargets() {
				rule.Calls = append(rule.Calls, Clean(to.Name))
			}
			j.Rules = append(j.Rules, rule)
		}
		out.Chains = append(out.Chains, j)
	})
	return writeJSON(w, out)
}

// RulesText writes the rules in the order in which a packet meets them. A chain
// that is called stands indented below the first rule that calls it.
func RulesText(w io.Writer, rules *firewall.Ruleset, found correlate.RulesReview, s Style) error {
	p := rulePrinter{style: s, found: found, shown: map[*firewall.Chain]bool{}}
	for _, h := range hooks {
		chains := rules.BaseChains(h)
		if len(chains) == 0 {
			continue
		}
		p.line(0, s.paint(cell{h.String(), bold}))
		for _, c := range chains {
			p.chain(c, 1)
		}
	}
	p.pf(rules)
	p.unreached(rules)
	p.oneSided()
	if p.b.Len() == 0 {
		p.line(0, "There are no rules.")
	}
	_, err := io.WriteString(w, p.b.String())
	return err
}

type rulePrinter struct {
	b     strings.Builder
	style Style
	found correlate.RulesReview
	shown map[*firewall.Chain]bool
}

func (p *rulePrinter) line(depth int, text string) {
	p.b.WriteString(strings.Repeat("  ", min(depth, deepest)))
	p.b.WriteString(text)
	p.b.WriteByte('\n')
}

// deepest is how far calls are indented; the kernel allows 16 (NFT_JUMP_STACK_SIZE).
const deepest = 34

func (p *rulePrinter) chain(c *firewall.Chain, depth int) {
	p.shown[c] = true
	p.line(depth, p.style.paint(cell{chainTitle(c), cyan}))
	for _, reason := range p.found.Chains[c] {
		if reason.Code != "dormant" && reason.Code != "no_caller" { // the titles tell
			p.line(depth, p.style.paint(cell{"! " + Clean(reason.Text), yellow}))
		}
	}
	width := len(fmt.Sprint(len(c.Rules)))
	for _, r := range c.Rules {
		p.line(depth+1, fmt.Sprintf("%*d  %s", width, r.Number, Clean(r.Text())))
		p.review(r, depth+1, width+2)
		for _, to := range r.JumpTargets() {
			if p.shown[to] {
				continue
			}
			p.chain(to, depth+3)
		}
	}
}

// review says below a rule what it opens, and what is odd about it.
func (p *rulePrinter) review(r *firewall.Rule, depth, indent int) {
	space := strings.Repeat(" ", indent)
	if text := p.found.Opens[r]; text != "" {
		p.line(depth, space+p.style.paint(cell{"opens " + Clean(text), dim}))
	}
	for _, reason := range p.found.Rules[r] {
		mark := "! never acts: "
		switch reason.Code {
		case "nobody_serves", "not_known", "negated_list", "redirects_to_loopback":
			mark = "! "
		}
		p.line(depth, space+p.style.paint(cell{mark + Clean(reason.Text), yellow}))
	}
}

func (p *rulePrinter) oneSided() {
	for i, reason := range p.found.OneSided {
		if i == 0 {
			p.line(0, p.style.paint(cell{"open in one family, filtered in the other", bold}))
		}
		p.line(1, p.style.paint(cell{"! " + Clean(reason.Text), yellow}))
	}
}

func chainTitle(c *firewall.Chain) string {
	title := Clean(c.FullName())
	if b := c.Base; b != nil {
		title += fmt.Sprintf(": %s, priority %d, policy %s", b.Type, b.Priority, b.Policy)
		if len(b.Devices) > 0 {
			title += ", " + strings.Join(cleanAll(b.Devices), " ")
		}
	}
	if c.Table.Backend != firewall.NFTables && c.Table.Backend != firewall.PF { // whose names tell
		title += " (" + c.Table.Backend.String() + ")"
	}
	if c.Table.Dormant {
		title += " (dormant: does nothing)"
	}
	return title
}

// unreached are the chains that no base chain leads to: they do nothing.
func (p *rulePrinter) unreached(rules *firewall.Ruleset) {
	titled := false
	for _, t := range rules.Tables {
		for _, c := range t.Chains {
			if p.shown[c] {
				continue
			}
			if !titled {
				titled = true
				p.line(0, p.style.paint(cell{"called by nothing", bold}))
			}
			p.chain(c, 1)
		}
	}
}
