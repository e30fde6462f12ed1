package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/netglance/netglance/scan"
)

// ScanText writes what answers, host by host, with nmap's columns.
func ScanText(w io.Writer, h Host, s Scan, style Style) error {
	if s.Loopback && !style.Quiet {
		if err := writeWrapped(w, style, loopbackNote...); err != nil {
			return err
		}
	}
	for _, host := range s.Hosts {
		if err := s.hostText(w, host, style); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(w, s.Since.text(style)+s.Expected.text(style)+s.Routers.text(style)); err != nil || style.Quiet {
		return err
	}
	if _, err := fmt.Fprintln(w, s.summary()); err != nil {
		return err
	}
	return GapsText(w, h, style)
}

// loopbackNote is why a host's scan of itself says little about others.
var loopbackNote = []string{
	"This host looks at itself: packets to an own address travel over lo, whatever the address. Rules for other interfaces,",
	"DNAT and routing are not on their way. Who can reach a port from outside: sudo netglance firewall; what the kernel does to",
	"packets from there: sudo netglance firewall verify.",
}

func writeWrapped(w io.Writer, style Style, lines ...string) error {
	for _, line := range wrap(strings.Join(lines, " "), style.Width) {
		if _, err := fmt.Fprintln(w, style.paint(cell{line, dim})); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(w)
	return err
}

func (s Scan) hostText(w io.Writer, h scan.Host, style Style) error {
	rows, counted := scanRows(h)
	var b strings.Builder
	b.WriteString(style.paint(cell{s.hostTitle(h), bold}) + "\n")
	if h.Err != nil {
		fmt.Fprintf(&b, "%s %s\n", style.paint(cell{"not all could be sent:", yellow}), Clean(h.Err.Error()))
	}
	for _, g := range counted {
		fmt.Fprintf(&b, "Not shown: %d %s ports %s (%s)\n", g.Count(), g.Protocol, g.State, g.Reason)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return err
	}
	if len(rows) > 0 {
		if err := scanTable(rows).write(w, style); err != nil {
			return err
		}
	}
	_, err := fmt.Fprint(w, findingLines(rows, style)+"\n")
	return err
}

func (s Scan) hostTitle(h scan.Host) string {
	parts := []string{Clean(h.Address.String())}
	if h.Name != "" {
		parts[0] = Clean(h.Name) + " (" + parts[0] + ")"
	}
	if h.Own {
		parts = append(parts, "this host, over lo")
	}
	if h.Hardware != "" {
		hardware := Clean(h.Hardware)
		if v := s.vendor(h.Hardware); v != "" {
			hardware += " (" + Clean(v) + ")"
		}
		parts = append(parts, hardware)
	}
	if h.Latency > 0 {
		parts = append(parts, latency(h.Latency))
	}
	return strings.Join(parts, " · ")
}

func latency(d time.Duration) string {
	if d < time.Millisecond {
		return fmt.Sprintf("%.2f ms", d.Seconds()*1000)
	}
	return fmt.Sprintf("%.1f ms", d.Seconds()*1000)
}

var stateColors = map[scan.State]string{scan.Open: green, scan.Filtered: yellow, scan.OpenFiltered: yellow, scan.StateUnknown: yellow}

func scanTable(rows []scanRow) *table {
	var t table
	header := plainCells("PORT", "STATE", "SERVICE", "REASON", "VERSION")
	asked := false
	for _, r := range rows {
		asked = asked || r.asked
	}
	if !asked {
		header = header[:4]
	}
	for i := range header {
		header[i].color = bold
	}
	t.add(header...)
	for _, r := range rows {
		cells := plainCells(fmt.Sprintf("%d/%s", r.port, r.protocol), r.state.String(), orDash(r.name()), r.reason.String(), r.version())
		cells[1].color = stateColors[r.state]
		t.add(cells[:len(header)]...)
	}
	return &t
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return Clean(s)
}

// version is what a service told, in a few words.
func (r scanRow) version() string {
	var words []string
	for _, word := range []string{r.service.Product, r.service.Version} {
		if word != "" {
			words = append(words, Clean(word))
		}
	}
	text := strings.Join(words, " ")
	for _, more := range []string{r.service.Info, r.service.Title} {
		if more != "" {
			text += " (" + Clean(more) + ")"
		}
	}
	if t := r.service.TLS; t != nil {
		text += " " + Clean(t.Version)
	}
	return strings.TrimSpace(text)
}

var severityColors = map[string]string{"high": red, "medium": yellow, "low": cyan, "info": dim}

func findingLines(rows []scanRow, style Style) string {
	var b strings.Builder
	for _, r := range rows {
		for _, f := range r.findings {
			fmt.Fprintf(&b, "%s %d/%s: %s\n", style.paint(cell{Clean(f.Severity), severityColors[f.Severity]}), r.port, r.protocol, Clean(f.Text))
			if style.Verbose && f.Remedy != "" {
				fmt.Fprintf(&b, "    %s\n", Clean(f.Remedy))
			}
		}
	}
	return b.String()
}

func (s Scan) summary() string {
	open := 0
	for _, h := range s.Hosts {
		for _, g := range h.Groups {
			if g.State == scan.Open {
				open += g.Count()
			}
		}
	}
	line := fmt.Sprintf("%s, %s open, %s probes in %s.", counted(len(s.Hosts), "host"), counted(open, "port"), fmt.Sprint(s.Sent), tookText(s.Took))
	if s.Silent > 0 {
		line += fmt.Sprintf(" Nobody was found at %s.", counted(s.Silent, "other address"))
	}
	if s.Interrupted {
		line += " Interrupted: what is missing was not asked."
	}
	return line
}

func counted(n int, what string) string {
	switch {
	case n == 1:
		return "1 " + what
	case strings.HasSuffix(what, "s"):
		return fmt.Sprintf("%d %ses", n, what)
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func tookText(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}
