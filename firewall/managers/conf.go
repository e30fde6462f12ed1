package managers

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/netglance/netglance/firewall"
)

// nftablesConf is what Debian's nftables.service loads.
const nftablesConf = "/etc/nftables.conf"

// conf is that file: its lines by "family table chain", and what they are for the
// rules of those chains that were asked about. It is safe for concurrent use.
type conf struct {
	lines map[string][]confLine

	mu    sync.Mutex
	found map[*firewall.Chain]map[*firewall.Rule]string
}

type confLine struct {
	number int
	text   string
}

// readConf reads it where nft's own tables may be from there.
func readConf(source Source, rules *firewall.Ruleset) *conf {
	f := &conf{found: map[*firewall.Chain]map[*firewall.Rule]string{}}
	if !has(rules, unmanaged) {
		return f
	}
	if text, err := source.ReadFile(nftablesConf); err == nil {
		f.lines = confLines(string(text))
	}
	return f
}

func unmanaged(c *firewall.Chain) bool {
	return c.Table != nil && c.Table.Backend == firewall.NFTables && Of(c) == ""
}

// rule is the line that a rule stands in word for word, as nft prints it.
func (f *conf) rule(r *firewall.Rule) string {
	t := r.Chain.Table
	if t == nil || !unmanaged(r.Chain) {
		return ""
	}
	lines := f.lines[t.Family.String()+" "+t.Name+" "+r.Chain.Name]
	if len(lines) == 0 {
		return ""
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.found[r.Chain] == nil {
		f.found[r.Chain] = linesOf(r.Chain, lines)
	}
	return f.found[r.Chain][r]
}

// linesOf gives rules their lines: the file's order is the chain's.
func linesOf(c *firewall.Chain, lines []confLine) map[*firewall.Rule]string {
	found := map[*firewall.Rule]string{}
	for _, r := range c.Rules {
		text := r.Text()
		i := slices.IndexFunc(lines, func(l confLine) bool { return l.text == text })
		if i < 0 {
			continue
		}
		found[r] = fmt.Sprintf("%s line %d: %s", nftablesConf, lines[i].number, text)
		lines = lines[i+1:]
	}
	return found
}

// confLines are the lines within the chains of a script of nft's, by "family table chain".
func confLines(text string) map[string][]confLine {
	lines := map[string][]confLine{}
	add := func(key, text string, number int) { lines[key] = append(lines[key], confLine{number, text}) }
	table, chain := "", ""
	number := 0
	for line := range strings.Lines(text) {
		number++
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(strings.TrimRight(strings.TrimSpace(line), ";"))
		switch {
		case len(fields) >= 3 && fields[0] == "table" && fields[len(fields)-1] == "{":
			table, chain = strings.Join(fields[1:len(fields)-1], " "), ""
			if len(fields) == 3 {
				table = "ip " + fields[1]
			}
		case len(fields) == 3 && fields[0] == "chain" && fields[2] == "{":
			chain = fields[1]
		case len(fields) == 1 && fields[0] == "}":
			chain = ""
		case len(fields) > 5 && fields[0] == "add" && fields[1] == "rule":
			add(strings.Join(fields[2:5], " "), strings.Join(fields[5:], " "), number)
		case table != "" && chain != "" && len(fields) > 0:
			add(table+" "+chain, strings.Join(fields, " "), number)
		}
	}
	return lines
}
