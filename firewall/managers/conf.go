package managers

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netglance/netglance/firewall"
)

// nftablesConf is what Debian's nftables.service loads.
const nftablesConf = "/etc/nftables.conf"

// readConf finds the rules of nft's own tables in the file that they are loaded
// from at boot: those that stand there word for word, as nft prints them.
func readConf(source Source, rules *firewall.Ruleset, words map[*firewall.Rule]string) {
	unmanaged := func(c *firewall.Chain) bool { return c.Table.Backend == firewall.NFTables && Of(c) == "" }
	if !has(rules, unmanaged) {
		return
	}
	text, err := source.ReadFile(nftablesConf)
	if err != nil {
		return
	}
	lines := confLines(string(text))
	for _, t := range rules.Tables {
		for _, c := range t.Chains {
			at := lines[t.Family.String()+" "+t.Name+" "+c.Name]
			if len(at) == 0 || !unmanaged(c) {
				continue
			}
			for _, r := range c.Rules {
				i := slices.IndexFunc(at, func(l confLine) bool { return l.text == r.Text() })
				if i < 0 {
					continue
				}
				words[r] = fmt.Sprintf("%s line %d: %s", nftablesConf, at[i].number, at[i].text)
				at = at[i+1:] // the file's order is the chain's
			}
		}
	}
}

type confLine struct {
	number int
	text   string
}

// confLines are the lines within the chains of a script of nft's, by "family table chain".
func confLines(text string) map[string][]confLine {
	lines := map[string][]confLine{}
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
			key := strings.Join(fields[2:5], " ")
			lines[key] = append(lines[key], confLine{number, strings.Join(fields[5:], " ")})
		case table != "" && chain != "" && len(fields) > 0:
			key := table + " " + chain
			lines[key] = append(lines[key], confLine{number, strings.Join(fields, " ")})
		}
	}
	return lines
}
