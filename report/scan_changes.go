package report

import (
	"fmt"
	"strings"

	"github.com/netglance/netglance/scan"
)

// A Comparison is how a scan differs from an earlier one.
type Comparison struct {
	// Before is when the earlier scan was saved.
	Before  string
	Changes []scan.Change
}

type comparisonJSON struct {
	Before  string           `json:"before"`
	Changes []scanChangeJSON `json:"changes"`
}

type scanChangeJSON struct {
	Address  string `json:"address"`
	Kind     string `json:"kind"`
	Protocol string `json:"protocol,omitempty"`
	Port     uint16 `json:"port,omitempty"`
	Before   string `json:"before"`
	After    string `json:"after"`
}

func (c *Comparison) json() *comparisonJSON {
	if c == nil {
		return nil
	}
	out := &comparisonJSON{Before: c.Before, Changes: []scanChangeJSON{}}
	for _, x := range c.Changes {
		out.Changes = append(out.Changes, scanChangeJSON{Clean(x.Address.String()), string(x.Kind), x.Protocol, x.Port, Clean(x.Before), Clean(x.After)})
	}
	return out
}

func (c *Comparison) text(style Style) string {
	if c == nil {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Since %s: ", c.Before)
	if len(c.Changes) == 0 {
		return b.String() + "no changes.\n"
	}
	b.WriteString(counted(len(c.Changes), "change") + ".\n")
	for _, x := range c.Changes {
		b.WriteString("  " + changeLine(x, style) + "\n")
	}
	return b.String()
}

func changeLine(x scan.Change, style Style) string {
	address := Clean(x.Address.String())
	port := fmt.Sprintf("%s %d/%s", address, x.Port, x.Protocol)
	switch x.Kind {
	case scan.HostCame:
		return style.paint(cell{"new", red}) + " " + address
	case scan.HostWent:
		return style.paint(cell{"gone", dim}) + " " + address
	case scan.PortOpened:
		line := style.paint(cell{"opened", red}) + " " + port
		if x.Before != "" {
			line += ", was " + Clean(x.Before)
		}
		return line
	case scan.PortClosed:
		return style.paint(cell{"closed", green}) + " " + port + ", now " + Clean(x.After)
	}
	return style.paint(cell{"changed", yellow}) + " " + port + ": " + orDash(x.Before) + " → " + orDash(x.After)
}
