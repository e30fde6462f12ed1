package pf

import (
	"fmt"
	"strconv"
	"strings"
)

// currentEnd prints what stands behind the addresses on OpenBSD.
func (w *writer) currentEnd(r *Rule) {
	w.once(r)
	w.set(r, "set (", ")")
	w.state(r, false)
	w.probability(r)
	w.tail(r)
	w.translations(r)
	if r.Route != nil {
		w.add(r.Route.text(w.d))
	}
}

// oldEnd prints the same on FreeBSD and macOS.
func (w *writer) oldEnd(r *Rule) {
	if r.Action == Scrub {
		w.oldScrub(r)
		return
	}
	w.set(r, "set ( ", " )")
	if r.MaxPacketRate != "" {
		w.add("max-pkt-rate " + r.MaxPacketRate)
	}
	if r.MaxPacketSize != "" {
		w.add("max-pkt-size " + r.MaxPacketSize)
	}
	w.once(r)
	w.state(r, true)
	w.probability(r)
	w.tail(r)
	if len(r.Queue) > 0 {
		w.add(strings.Replace("queue "+queueText(r.Queue), " (", "(", 1))
	}
	if r.Dummynet != "" {
		w.add(r.Dummynet)
	}
	if r.Action.translates() {
		w.arrow(r)
		return
	}
	w.translations(r)
}

func (w *writer) once(r *Rule) { w.addIf(r.Once, "once") }

func queueText(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	return "(" + strings.Join(names, ", ") + ")"
}

// set prints "set (prio 3, queue std)".
func (w *writer) set(r *Rule, open, shut string) {
	var parts []string
	if r.SetPrio != "" {
		parts = append(parts, r.SetPrio)
	}
	if !w.d.old() && len(r.Queue) > 0 {
		parts = append(parts, "queue "+queueText(r.Queue))
	}
	if r.SetTOS != "" {
		parts = append(parts, "tos "+r.SetTOS)
	}
	if r.SetDelay != "" {
		parts = append(parts, "delay "+r.SetDelay)
	}
	if parts != nil {
		w.add(open + strings.Join(parts, ", ") + shut)
	}
}

func (w *writer) state(r *Rule, always bool) {
	options := r.State.text()
	switch r.State.Kind {
	case NoState:
		w.addIf(r.Action == Pass && !r.IsAnchor, "no state")
		return
	case KeepState:
		w.addIf(always || options != "", "keep state")
	case ModulateState:
		w.add("modulate state")
	case SynproxyState:
		w.add("synproxy state")
	}
	w.addIf(options != "", options)
}

func (s *State) text() string {
	var parts []string
	add := func(condition bool, format string, args ...any) {
		if condition {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	add(s.Max > 0, "max %d", s.Max)
	add(s.NoSync, "no-sync")
	add(s.SourceTrack != "", "source-track %s", s.SourceTrack)
	add(s.MaxSrcStates > 0, "max-src-states %d", s.MaxSrcStates)
	add(s.MaxSrcConn > 0, "max-src-conn %d", s.MaxSrcConn)
	add(s.MaxSrcConnRate != "", "max-src-conn-rate %s", s.MaxSrcConnRate)
	add(s.MaxSrcNodes > 0, "max-src-nodes %d", s.MaxSrcNodes)
	overload := "overload <" + s.Overload + ">"
	if s.Flush {
		overload += " flush"
	}
	if s.FlushGlobal {
		overload += " global"
	}
	add(s.Overload != "", "%s", overload)
	add(s.IfBound, "if-bound")
	add(s.Sloppy, "sloppy")
	add(s.PFlow, "pflow")
	add(s.AllowRelated, "allow-related")
	for _, t := range s.Timeouts {
		add(true, "%s %d", t.Name, t.Seconds)
	}
	if parts == nil {
		return ""
	}
	return "(" + strings.Join(parts, ", ") + ")"
}

func (w *writer) probability(r *Rule) {
	if r.Probability > 0 {
		w.add("probability " + strconv.FormatFloat(r.Probability, 'g', 8, 64) + "%")
	}
}

// tail prints fragment, scrub options, labels and tags.
func (w *writer) tail(r *Rule) {
	if !w.d.old() && r.MaxPacketRate != "" {
		w.add("max-pkt-rate " + r.MaxPacketRate)
	}
	if r.Prio != "" {
		w.add("prio " + r.Prio)
	}
	w.addIf(r.Fragment, "fragment")
	if s := r.Scrubs.text(); s != "" {
		w.add("scrub (" + s + ")")
	}
	w.addIf(r.AllowOpts, "allow-opts")
	w.labels(r)
	if r.Tag != "" {
		w.add("tag " + r.Tag)
	}
	if r.Tagged != "" {
		w.add(negated(r.NotTagged, "tagged "+r.Tagged))
	}
	if r.RTable >= 0 {
		w.add(fmt.Sprintf("rtable %d", r.RTable))
	}
	if r.Divert != nil {
		w.add(r.Divert.text(w.d))
	}
}

func (w *writer) labels(r *Rule) {
	for _, label := range r.Label {
		w.add("label \"" + label + "\"")
	}
	if r.RIdentifier != "" {
		w.add("ridentifier " + r.RIdentifier)
	}
}

// text prints the options in pfctl's order.
func (s *ScrubOptions) text() string {
	if s == nil {
		return ""
	}
	var parts []string
	add := func(condition bool, text string) {
		if condition {
			parts = append(parts, text)
		}
	}
	add(s.NoDF, "no-df")
	add(s.RandomID, "random-id")
	add(s.MinTTL > 0, "min-ttl "+itoa(s.MinTTL))
	add(s.SetTOS != "", "set-tos "+s.SetTOS)
	add(s.ReassembleTCP, "reassemble tcp")
	add(s.MaxMSS > 0, "max-mss "+itoa(s.MaxMSS))
	return strings.Join(parts, " ")
}

// oldScrub prints the options of a scrub rule.
func (w *writer) oldScrub(r *Rule) {
	s := r.Scrubs
	w.addIf(s.NoDF, "no-df")
	w.addIf(s.RandomID, "random-id")
	w.addIf(s.MinTTL > 0, "min-ttl "+itoa(s.MinTTL))
	w.addIf(s.MaxMSS > 0, "max-mss "+itoa(s.MaxMSS))
	w.addIf(s.SetTOS != "", "set-tos "+s.SetTOS)
	w.addIf(s.ReassembleTCP, "reassemble tcp")
	w.addIf(s.Fragment != "", "fragment "+s.Fragment)
	if r.Tag != "" {
		w.add("tag " + r.Tag)
	}
	if r.Tagged != "" {
		w.add(negated(r.NotTagged, "tagged "+r.Tagged))
	}
}

func (v *Divert) text(d Dialect) string {
	switch {
	case v.Kind == "divert-reply":
		return v.Kind
	case v.Kind == "divert-packet":
		return fmt.Sprintf("%s port %d", v.Kind, v.Port)
	case d == FreeBSD || !v.Address.IsValid():
		return fmt.Sprintf("%s %d", v.Kind, v.Port)
	}
	return fmt.Sprintf("%s %s port %d", v.Kind, v.Address, v.Port)
}

// translations prints nat-to, rdr-to and af-to.
func (w *writer) translations(r *Rule) {
	if r.NATTo != nil {
		w.add("nat-to " + r.NATTo.text())
	}
	if r.RDRTo != nil {
		w.add("rdr-to " + r.RDRTo.text())
	}
	if r.AFTo == nil {
		return
	}
	family := "inet"
	if r.AFTo.Family == 6 {
		family = "inet6"
	}
	w.add("af-to " + family + " from " + r.AFTo.From.text())
	if r.AFTo.To != nil {
		w.add("to " + r.AFTo.To.text())
	}
}

// arrow prints "-> 192.0.2.1 port 80" of old translation rules.
func (w *writer) arrow(r *Rule) {
	pool := r.NATTo
	if r.Action == RDR {
		pool = r.RDRTo
	}
	if pool != nil {
		w.add("-> " + pool.text())
	}
}

// text prints a pool: addresses, ports, type and options (print_pool).
func (p *Pool) text() string {
	var hosts []string
	for i, a := range p.Addresses {
		text := addressText(a)
		if p.Interfaces != nil && p.Interfaces[i] != "" {
			if a.Kind == Any {
				text = p.Interfaces[i]
			} else {
				text = "(" + p.Interfaces[i] + " " + text + ")"
			}
		}
		hosts = append(hosts, text)
	}
	s := strings.Join(hosts, ", ")
	if len(hosts) > 1 {
		s = "{ " + s + " }"
	}
	if p.Low != 0 {
		s += fmt.Sprintf(" port %d", p.Low)
		if p.High != 0 {
			s += fmt.Sprintf(":%d", p.High)
		}
	}
	if p.Type != "" {
		s += " " + p.Type
	}
	if p.Key != "" {
		s += " " + p.Key
	}
	if p.Sticky {
		s += " sticky-address"
	}
	if p.StaticPort {
		s += " static-port"
	}
	if p.MapE != "" {
		s += " map-e-portset " + p.MapE
	}
	for _, option := range p.Options {
		s += " " + option
	}
	return s
}

func (r *Route) text(d Dialect) string {
	if r.Pool == nil {
		return r.Kind
	}
	return r.Kind + " " + r.Pool.text()
}
