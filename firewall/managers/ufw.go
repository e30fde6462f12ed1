package managers

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/iptables"
	"github.com/netglance/netglance/internal/lazyregexp"
)

// A ufwRule is a line "### tuple ### …" of ufw's user.rules, with the rules for
// iptables that follow it (ufw's backend_iptables.py).
type ufwRule struct {
	number int // as "ufw status numbered" counts
	text   string
}

// readUFW finds the rules of ufw's user in the files that ufw keeps them in. A
// number is claimed only where all that is loaded in a chain is what its file has.
func readUFW(source Source, rules *firewall.Ruleset, words map[*firewall.Rule]string) {
	count := 0
	apps := map[string]bool{}
	for _, file := range []struct {
		name   string
		family firewall.Family
	}{{"/etc/ufw/user.rules", firewall.FamilyIPv4}, {"/etc/ufw/user6.rules", firewall.FamilyIPv6}} {
		text, err := source.ReadFile(file.name)
		if err != nil {
			return // the numbers of the second file depend on the first
		}
		lines := ufwLines(string(text), file.family == firewall.FamilyIPv6, &count, apps)
		tables, err := iptables.ParseFamily(file.name, text, file.family, nil)
		if err != nil {
			continue
		}
		for _, written := range tables {
			for _, loaded := range rules.Tables {
				if loaded.Name == written.Name && loaded.Family == file.family {
					matchUFW(written, loaded, lines, words)
				}
			}
		}
	}
}

// ufwLines says for every chain of the file which rule of the user's each of its
// lines belongs to.
func ufwLines(text string, six bool, count *int, apps map[string]bool) map[string][]ufwRule {
	lines := map[string][]ufwRule{}
	var current ufwRule
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if tuple, ok := strings.CutPrefix(line, "### tuple ### "); ok {
			var app string
			current.text, app = ufwTuple(tuple, six)
			if app == "" || !apps[app] {
				*count++
			}
			if app != "" {
				apps[app] = true
			}
			current.number = *count
		}
		if rest, ok := strings.CutPrefix(line, "-A "); ok {
			chain, _, _ := strings.Cut(rest, " ")
			lines[chain] = append(lines[chain], current)
		}
	}
	return lines
}

// ufwComment is the comment that ufw gives to rules of applications: how it is
// quoted depends on how the rule was loaded.
var ufwComment = lazyregexp.New(` -m comment --comment (?:"(?:[^"\\]|\\.)*"|\S+)`)

// matchUFW gives words to the loaded rules of the user's chains.
func matchUFW(written, loaded *firewall.Table, lines map[string][]ufwRule, words map[*firewall.Rule]string) {
	for _, chain := range loaded.Chains {
		at := lines[chain.Name]
		if !ofUFW(chain) || strings.Contains(chain.Name, "-logging-") || len(at) != len(chain.Rules) {
			continue
		}
		for _, other := range written.Chains {
			if other.Name != chain.Name || len(other.Rules) != len(chain.Rules) || !sameTexts(chain, other) {
				continue
			}
			for i, r := range chain.Rules {
				if at[i].text != "" {
					words[r] = fmt.Sprintf("ufw rule %d: %s", at[i].number, at[i].text)
				}
			}
		}
	}
}

func sameTexts(a, b *firewall.Chain) bool {
	for i, r := range a.Rules {
		if ufwComment.ReplaceAllString(r.Text(), "") != ufwComment.ReplaceAllString(b.Rules[i].Text(), "") {
			return false
		}
	}
	return true
}

// ufwTuple writes a tuple as a person would type the rule: "allow 22/tcp from
// 10.0.0.0/8". app is set for rules by the name of an application, which ufw shows
// as one even where they are several. The fields are action, protocol, port,
// destination, source port, source, application of the destination and of the
// source where there is one, direction, comment.
func ufwTuple(tuple string, six bool) (text, app string) {
	fields := strings.Fields(tuple)
	comment := ""
	if n := len(fields); n > 0 && strings.HasPrefix(fields[n-1], "comment=") {
		if b, err := hex.DecodeString(strings.TrimPrefix(fields[n-1], "comment=")); err == nil {
			comment = string(b)
		}
		fields = fields[:n-1]
	}
	direction, byApp, fromApp := "in", "", ""
	switch len(fields) {
	case 6: // before ufw 0.30
	case 7:
		direction = fields[6]
	case 9:
		direction, byApp, fromApp = fields[8], dash(fields[6]), dash(fields[7])
	default:
		return "", ""
	}
	action, routed := strings.CutPrefix(fields[0], "route:")
	action, log, _ := strings.Cut(action, "_")
	words := []string{action}
	if routed {
		words = []string{"route", action}
	}
	way, link, _ := strings.Cut(direction, "_")
	if link != "" || way == "out" && !routed {
		words = append(words, way)
	}
	if link != "" {
		words = append(words, "on "+strings.ReplaceAll(link, "!out_", " out on "))
	}
	if log != "" {
		words = append(words, log)
	}
	to, from := ufwEnd(fields[3], fields[2], byApp), ufwEnd(fields[5], fields[4], fromApp)
	if to.port != "" {
		words = append(words, ufwPort(to.port, fields[1], byApp))
	} else if fields[1] != "any" {
		words = append(words, "proto "+fields[1])
	}
	if to.address != "" {
		words = append(words, "to "+to.address)
	}
	if from.address != "" || from.port != "" {
		words = append(words, "from "+orAny(from.address))
	}
	if from.port != "" {
		words = append(words, "port "+from.port)
	}
	if six && to.address == "" && from.address == "" {
		words = append(words, "(v6)")
	}
	if comment != "" {
		words = append(words, "# "+comment)
	}
	if byApp != "" || fromApp != "" {
		app = strings.Join([]string{fields[0], byApp, fromApp, fields[3], fields[5], direction}, " ")
	}
	return strings.Join(words, " "), app
}

type ufwEndpoint struct{ address, port string }

// ufwEnd leaves out what is any.
func ufwEnd(address, port, app string) ufwEndpoint {
	e := ufwEndpoint{address, port}
	if address == "0.0.0.0/0" || address == "::/0" || address == "any" {
		e.address = ""
	}
	if port == "any" {
		e.port = ""
	}
	if app != "" {
		e.port = app
	}
	return e
}

func ufwPort(port, protocol, app string) string {
	if protocol == "any" || app != "" {
		return port
	}
	return port + "/" + protocol
}

func orAny(address string) string {
	if address == "" {
		return "any"
	}
	return address
}

// dash is ufw's word for nothing. It writes a space as %20.
func dash(s string) string {
	if s == "-" {
		return ""
	}
	return strings.ReplaceAll(s, "%20", " ")
}

// ufwChain is what a chain of ufw's own is for.
func ufwChain(chain string) string {
	_, own, _ := strings.Cut(chain, "-")
	switch {
	case strings.HasPrefix(own, "before-"):
		return "ufw's before.rules"
	case strings.HasPrefix(own, "after-"):
		return "ufw's after.rules"
	case strings.HasPrefix(own, "user-limit"):
		return "ufw's limit"
	case strings.HasPrefix(own, "user-"):
		return "a rule of ufw's"
	case strings.HasPrefix(own, "track-"):
		return "ufw's default: allow"
	case strings.HasPrefix(own, "skip-to-policy-"):
		return "ufw's after.rules, for broadcasts and Windows' noise"
	case own == "not-local":
		return "ufw, for what is not sent to this host"
	}
	return "ufw's chain " + chain
}
