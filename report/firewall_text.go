package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/listeners"
	"github.com/netglance/netglance/scan/twin"
)

var labelColors = map[correlate.Label]string{
	correlate.Exposed: red, correlate.Unknown: yellow, correlate.Intentional: green, correlate.Filtered: cyan, correlate.Local: dim,
}

// FirewallText writes the first screen: worst first, a line a port, then what to do next.
func FirewallText(w io.Writer, h Host, ports []correlate.Exposure, j Judgement, s Style) error {
	for _, e := range ports {
		h = withOwnerGaps(h, missingOwners(e), e.OwnerHint)
	}
	ports = worstFirst(ports)
	if !s.Quiet {
		if _, err := fmt.Fprintf(w, "%s\n\n", strings.Join(wrap(h.header(), s.Width), "\n")); err != nil {
			return err
		}
	}
	if err := portTable(ports, s).write(w, s); err != nil {
		return err
	}
	if s.Quiet {
		return nil
	}
	_, err := io.WriteString(w, details(h, ports, s)+"\n"+judgementText(j, s)+summary(h, ports, s)+advice(ports, s))
	return err
}

func worstFirst(ports []correlate.Exposure) []correlate.Exposure {
	out := slices.Clone(ports)
	slices.SortStableFunc(out, func(a, b correlate.Exposure) int {
		return cmp.Or(cmp.Compare(a.Label, b.Label), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Protocol, b.Protocol))
	})
	return out
}

func portTable(ports []correlate.Exposure, s Style) *table {
	t := &table{}
	spaces := slices.ContainsFunc(ports, func(e correlate.Exposure) bool { return e.Namespace != ports[0].Namespace })
	probed := slices.ContainsFunc(ports, func(e correlate.Exposure) bool { return e.Probe.State != "" })
	header := plainCells("LABEL", "PORT", "SERVICE", "OWNER", "REACHABLE FROM", "WHY")
	if spaces {
		header = slices.Insert(header, 2, cell{text: "NAMESPACE"})
	}
	if probed {
		header = slices.Insert(header, len(header)-1, cell{text: "FOUND"})
	}
	for i := range header {
		header[i].color = bold
	}
	t.add(header...)
	for _, e := range ports {
		row := []cell{{e.Label.String(), labelColors[e.Label]}, {text: portName(e)}, {text: cmp.Or(e.Service, "–")},
			{text: owner(e)}, {text: reachableFrom(e)}, {text: why(e)}}
		if spaces {
			row = slices.Insert(row, 2, cell{text: Clean(e.Namespace)})
		}
		if probed {
			row = slices.Insert(row, len(row)-1, cell{e.Probe.State, foundColors[twin.State(e.Probe.State)]})
		}
		t.add(row...)
	}
	return t
}

func portName(e correlate.Exposure) string {
	if e.LastPort != 0 {
		return fmt.Sprintf("%d-%d/%s", e.Port, e.LastPort, e.Protocol)
	}
	return fmt.Sprintf("%d/%s", e.Port, e.Protocol)
}

func owner(e correlate.Exposure) string {
	held := holder(e)
	if len(e.Served) == 0 {
		return held
	}
	var words []string
	for _, s := range e.Served {
		if word := server(s); !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	serving := strings.Join(words, ", ")
	if held == "–" {
		return serving
	}
	return held + " for " + serving
}

// holder is who has the port's socket on the host.
func holder(e correlate.Exposure) string {
	if e.Kernel {
		return "kernel"
	}
	text := processNames(e.Owners, e.OwnerGap)
	at := places(e.Owners)
	switch {
	case at == "":
		return text
	case strings.HasPrefix(at, "container "):
		return text + " in " + at
	}
	return text + " (" + at + ")"
}

// server is who serves the port in another namespace: "nginx 2207 in container web".
func server(s correlate.Served) string {
	switch {
	case s.Kernel:
		return "the kernel of " + Clean(s.Title)
	case len(s.Owners) == 0:
		return Clean(s.Title)
	}
	return processNames(s.Owners, "") + " in " + Clean(s.Title)
}

// addenda are the reasons that a reader must not miss, whatever comes first.
var addenda = []string{"bypasses", "loopback_reached", "at_times", "sender_chooses", "condition", "probable_client", "redirected", "forwarded", "nobody_behind", "predicted", "router_leads_here"}

// why is the first reason, with what must not be missed.
func why(e correlate.Exposure) string {
	if len(e.Reasons) == 0 {
		return ""
	}
	words := []string{Clean(e.Reasons[0].Text)}
	more := 0
	for _, r := range e.Reasons[1:] {
		if slices.Contains(addenda, r.Code) {
			words = append(words, Clean(r.Text))
		} else {
			more++
		}
	}
	text := strings.Join(words, "; ")
	if more > 0 {
		text += fmt.Sprintf(" (+%d more)", more)
	}
	return text
}

// details are all reasons and remedies, for -v.
func details(h Host, ports []correlate.Exposure, s Style) string {
	if !s.Verbose {
		return ""
	}
	var b strings.Builder
	for _, e := range ports {
		where := ""
		if e.Namespace != ports[0].Namespace || e.Namespace != listeners.HostNamespace {
			where = " in " + Clean(e.Namespace)
		}
		fmt.Fprintf(&b, "\n%s %s%s\n", s.paint(cell{e.Label.String(), labelColors[e.Label]}), s.paint(cell{portName(e), bold}), where)
		for _, r := range e.Reasons {
			fmt.Fprintf(&b, "  why: %s\n", Clean(r.Text))
		}
		for _, r := range e.Remedy {
			fmt.Fprintf(&b, "  do:  %s\n", Clean(r))
		}
		for _, r := range e.Reach {
			if r.Fate == firewall.Dropped && r.DecidedBy.Chain == nil {
				continue // the kernel's own business: in the JSON
			}
			fmt.Fprintf(&b, "  %s to %s: %s from %s%s\n", Clean(r.Interface), joinAddresses(r.Destinations), r.Fate,
				describe(r.Sources, h.odd(), 4), decidedText(r))
		}
	}
	return b.String()
}

func decidedText(r correlate.Reach) string {
	d := decision(r.DecidedBy)
	if d == nil {
		return ""
	}
	return " (" + decisionText(d) + ")"
}

func summary(h Host, ports []correlate.Exposure, s Style) string {
	count := map[correlate.Label]int{}
	for _, e := range ports {
		count[e.Label]++
	}
	var words []string
	for _, l := range correlate.Labels {
		if count[l] > 0 {
			words = append(words, s.paint(cell{fmt.Sprintf("%d %s", count[l], l), labelColors[l]}))
		}
	}
	text := "Nothing listens here."
	if len(h.Gaps) > 0 {
		text = "No listening socket was seen."
	}
	if len(words) > 0 {
		text = strings.Join(words, ", ") + "."
	}
	if len(h.Gaps) == 0 {
		return text + "  Nothing was left unread.\n"
	}
	return text + "\n" + gapLines(h, s)
}

// advice names the commands to try next, on the worst port.
func advice(ports []correlate.Exposure, s Style) string {
	if len(ports) == 0 {
		return ""
	}
	next := "Why:  netglance firewall explain " + fmt.Sprintf("%d/%s", ports[0].Port, ports[0].Protocol)
	if space := ports[0].Namespace; space != listeners.HostNamespace {
		next += " --netns " + shellWord(space)
	}
	if !s.Verbose && len(ports[0].Remedy) > 0 {
		next += "       What to do:  netglance firewall -v"
	}
	return next + "\n"
}

// shellWord is a word as a shell reads it.
func shellWord(word string) string {
	plain := func(r rune) bool {
		return r == '-' || r == '_' || r == '.' || r == '/' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(Clean(word), "'", `'\''`) + "'"
}
