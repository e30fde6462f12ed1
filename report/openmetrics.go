package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/netglance/netglance/correlate"
)

// openMetricsReport writes gauges in the OpenMetrics text format, which both
// Prometheus and node_exporter's textfile collector read: no other type of metric
// is the same in both.
func openMetricsReport(w io.Writer, f Firewall) error {
	var b strings.Builder
	gauge(&b, "netglance_complete", "1 if nothing was left unread of the host.")
	complete := 0
	if len(f.Host.Gaps) == 0 {
		complete = 1
	}
	fmt.Fprintf(&b, "netglance_complete %d\n", complete)

	gauge(&b, "netglance_ports", "Ports by label.")
	labels := map[correlate.Label]int{}
	for _, e := range f.Ports {
		labels[e.Label]++
	}
	for _, l := range correlate.Labels {
		fmt.Fprintf(&b, "netglance_ports{label=%q} %d\n", l, labels[l])
	}

	gauge(&b, "netglance_findings", "Findings by kind and severity, without those that are suppressed or in the baseline.")
	type key struct {
		kind     correlate.Kind
		severity correlate.Severity
	}
	found := map[key]int{}
	for _, x := range f.Judgement.Findings {
		if x.Counts() {
			found[key{x.Kind, x.Severity}]++
		}
	}
	for _, k := range correlate.Kinds {
		for s := correlate.Low; s <= correlate.Critical; s++ {
			fmt.Fprintf(&b, "netglance_findings{kind=%q,severity=%q} %d\n", k, s, found[key{k, s}])
		}
	}

	gauge(&b, "netglance_port_info", "A port with its label; always 1.")
	seen := map[string]bool{}
	for _, e := range f.Ports {
		line := fmt.Sprintf("netglance_port_info{port=\"%s\",namespace=\"%s\",service=\"%s\",owner=\"%s\",label=\"%s\",fingerprint=\"%s\"}",
			portName(e), metricText(e.Namespace), metricText(e.Service), metricText(ownerName(e)), e.Label, e.Fingerprint)
		if !seen[line] {
			seen[line] = true
			b.WriteString(line + " 1\n")
		}
	}
	b.WriteString("# EOF\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func gauge(b *strings.Builder, name, help string) {
	fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name)
}

// ownerName has no pid: a restart is no new series.
func ownerName(e correlate.Exposure) string {
	switch {
	case e.Kernel:
		return "kernel"
	case len(e.Owners) == 0:
		return ""
	}
	return e.Owners[0].Name
}

// metricText is a label's value: backslash, quote and line feed are escaped.
func metricText(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(Clean(s))
}
