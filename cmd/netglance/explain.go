package main

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/report"
)

func newExplain(a *app) *cobra.Command {
	var q report.Question
	var batch string
	c := &cobra.Command{
		Use:   "explain PORT[/PROTOCOL]",
		Short: "The way of a packet through the rules, in words",
		Long: `explain follows the first packet of a new flow through the rules, hook by hook. Without
--from it tells the fates of all sources, with the way of one packet for each. The port
needs no listener: the answer is what the rules do.

--batch reads one JSON question a line and writes one JSON answer a line, in order:
  {"protocol":"tcp","port":22,"to":"192.0.2.1","from":"203.0.113.7","source_port":40000,"via":"eth0"}`,
		Example: `  sudo netglance firewall explain 22/tcp
  sudo netglance firewall explain 5432/tcp --from 203.0.113.7 --via eth0
  netglance firewall explain --batch questions.ndjson --host web-1.ng`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case batch != "" && len(args) > 0:
				return usage("put the questions into the file", "--batch takes no port")
			case batch != "":
				return a.explainBatch(batch)
			case len(args) == 0:
				return usage("for instance: netglance firewall explain 22/tcp --from 203.0.113.7", "which port?")
			}
			var err error
			if q.Port, q.Protocol, err = parseEndpoint(args[0]); err != nil {
				return err
			}
			return a.explain(q)
		},
	}
	flags := c.Flags()
	flags.StringVar(&q.From, "from", "", "the packet's source `ADDRESS`")
	flags.StringVar(&q.Via, "via", "", "the `INTERFACE` that it comes in by")
	flags.StringVar(&q.To, "to", "", "the `ADDRESS` that it is sent to (default: the host's own)")
	flags.Uint16Var(&q.SourcePort, "source-port", 0, "the packet's source `PORT` (default: left open)")
	flags.StringVar(&batch, "batch", "", "answer the questions in `FILE`, or - for standard input")
	return c
}

func (a *app) explain(q report.Question) error {
	s, err := a.look(readFates)
	if err != nil {
		return err
	}
	e := newExplainer(s)
	queries, err := e.queries(q)
	if err != nil {
		return err
	}
	var answers []report.Answer
	for _, asked := range queries {
		answers = append(answers, e.answers(asked, a.verbose)...)
	}
	if a.json {
		return internal(report.ExplainJSON(a.out, e.about, answers))
	}
	a.notes(e.about)
	return internal(report.ExplainText(a.out, e.about, answers, a.style()))
}

// An explainer answers questions about the rules of one host.
type explainer struct {
	*survey
	evaluator evaluator
}

func newExplainer(s *survey) *explainer {
	return &explainer{s, s.evaluator()}
}

// An inquiry is a query, and what was assumed to get at it.
type inquiry struct {
	firewall.Query
	protocol string
	notes    []string
}

// queries are what a person's question comes to: what it left open is filled in
// by the likeliest interface and the host's own addresses.
func (e *explainer) queries(q report.Question) ([]inquiry, error) {
	from, err := parseAddress("--from", q.From)
	if err != nil {
		return nil, err
	}
	to, err := parseAddress("--to", q.To)
	if err != nil {
		return nil, err
	}
	if from.IsValid() && to.IsValid() && from.Is4() != to.Is4() {
		return nil, usage("give two addresses of one family", "--from %s and --to %s are of different families", from, to)
	}
	known := correlate.Ingress(e.network)
	if q.Via != "" && !e.hasInterface(q.Via) {
		return nil, unknownInterface(q.Via, known)
	}
	if e.foreign == nil && e.overLoopback(q.Via) {
		return nil, usage("name another interface: "+strings.Join(known, ", "), "--via %q: what this host sends to itself is not followed", q.Via)
	}
	base := firewall.Query{Protocol: correlate.Protocols[q.Protocol], Port: q.Port, Source: from, SourcePort: q.SourcePort}
	var out []inquiry
	for _, via := range e.ways(q.Via, from, known) {
		for _, dest := range e.destinations(via, from, to) {
			in := inquiry{Query: base, protocol: q.Protocol}
			in.Interface, in.Destination = via, dest
			if e.applications != nil && e.applications.On {
				in.notes = append(in.notes, "behind pf, macOS's application firewall decides by the program that listens: netglance firewall tells")
			}
			if q.Via == "" && from.IsValid() {
				in.notes = append(in.notes, "taken to come in by "+via+", the way back to its source; --via chooses another")
			}
			if q.To == "" {
				in.notes = append(in.notes, "taken to be sent to "+dest.String()+"; --to chooses another")
			}
			out = append(out, in)
		}
	}
	if len(out) == 0 {
		return nil, usage("name an interface with --via and an address with --to", "there is no interface that is up with an address to send to")
	}
	return out, nil
}

func (e *explainer) hasInterface(name string) bool {
	return slices.ContainsFunc(e.network.Interfaces, func(i firewall.Interface) bool { return i.Name == name })
}

// overLoopback says that packets come in by an interface only from this host itself,
// past output and with a route already: another way than the one that is followed.
func (e *explainer) overLoopback(name string) bool {
	return slices.ContainsFunc(e.network.Interfaces, func(i firewall.Interface) bool { return i.Name == name && i.Loopback() })
}

// ways are the interfaces that a question is about.
func (e *explainer) ways(via string, from netip.Addr, all []string) []string {
	if via != "" {
		return []string{via}
	}
	if from.IsValid() {
		if back := e.wayBack(from); back != "" {
			return []string{back}
		}
	}
	return all
}

// mainTable is RT_TABLE_MAIN (include/uapi/linux/rtnetlink.h).
const mainTable = 254

// wayBack is the interface that the main routing table sends packets for an
// address out of: where a packet from there most likely comes in.
func (e *explainer) wayBack(from netip.Addr) string {
	best, index := -1, 0
	var metric uint32
	for _, r := range e.network.Routes {
		if r.Table != mainTable || r.Type != firewall.RouteUnicast || !r.Destination.Contains(from) {
			continue
		}
		out := r.Interface
		if out == 0 && len(r.Hops) > 0 {
			out = r.Hops[0].Interface
		}
		if bits := r.Destination.Bits(); bits > best || bits == best && r.Metric < metric {
			best, index, metric = bits, out, r.Metric
		}
	}
	for _, i := range e.network.Interfaces {
		if i.Index == index && index != 0 {
			return i.Name
		}
	}
	return ""
}

// destinations are one own address of each family that was left open: the
// interface's, or else any that is not loopback's.
func (e *explainer) destinations(via string, from, to netip.Addr) []netip.Addr {
	if to.IsValid() {
		return []netip.Addr{to}
	}
	var out []netip.Addr
	for _, four := range []bool{true, false} {
		if from.IsValid() && from.Is4() != four {
			continue
		}
		if a := e.ownAddress(via, four); a.IsValid() {
			out = append(out, a)
		}
	}
	return out
}

func (e *explainer) ownAddress(via string, four bool) netip.Addr {
	var best netip.Addr
	bestRank := 0
	for _, a := range e.network.Addresses {
		own := a.Prefix.Addr().WithZone("")
		if own.Is4() != four || own.IsLoopback() {
			continue
		}
		rank := 1
		if e.nameOf(a.Interface) == via {
			rank = 3
		} else if own.IsLinkLocalUnicast() {
			continue
		}
		if own.IsLinkLocalUnicast() {
			rank = 2
		}
		if rank > bestRank {
			best, bestRank = own, rank
		}
	}
	return best
}

func (e *explainer) nameOf(index int) string {
	for _, i := range e.network.Interfaces {
		if i.Index == index {
			return i.Name
		}
	}
	return ""
}

// answers are one for a query with a source; without, one for each part of all
// sources, with the way of one packet of it. Parts that the kernel drops before
// any rule are left out unless all are wanted or there is nothing else.
func (e *explainer) answers(in inquiry, all bool) []report.Answer {
	if in.Source.IsValid() {
		return []report.Answer{e.answer(in, e.explain(in.Query), in.Source.String())}
	}
	var out, dull []report.Answer
	for _, part := range e.evaluator.Reach(in.Query) {
		part = correlate.Doubt(part, e.unread)
		explanation := firewall.Explanation{Part: part}
		if witness := correlate.Witness(part.Sources); witness.IsValid() {
			q := in.Query
			q.Source = witness
			explanation.Path = e.evaluator.Explain(q).Path
		}
		answer := e.answer(in, explanation, "")
		if part.Fate == firewall.Dropped && part.DecidedBy.Chain == nil {
			dull = append(dull, answer)
		} else {
			out = append(out, answer)
		}
	}
	if all || len(out) == 0 {
		out = append(out, dull...)
	}
	return out
}

func (e *explainer) explain(q firewall.Query) firewall.Explanation {
	out := e.evaluator.Explain(q)
	out.Part = correlate.Doubt(out.Part, e.unread)
	return out
}

func (e *explainer) answer(in inquiry, explanation firewall.Explanation, from string) report.Answer {
	return report.Answer{
		Question: report.Question{
			Protocol: in.protocol, Port: in.Port, To: in.Destination.String(), From: from, SourcePort: in.SourcePort, Via: in.Interface,
		},
		Explanation: explanation,
		Notes:       append(slices.Clip(in.notes), e.whoServes(in.protocol, explanation.DeliveredTo)...),
	}
}
