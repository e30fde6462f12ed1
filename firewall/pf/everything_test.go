package pf

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Rulesets and listings as seen in the wild parse, or the line that doesn't is
// named here with the reason.
func TestEverythingInTheCorporaParsesOrNamesItsLine(t *testing.T) {
	refused := map[string]string{
		"115100+openbsd_router__etc__pf.conf":                               "a macro that is not defined is used further up, in a line that the file continues",
		"LTGRP+FreeBSD-Packet-Filter__pf.confg-template":                    "a misspelt macro",
		"TyagoAlves+firewall__pf.conf":                                      "a rule goes on in the next line without a backslash",
		"VultureProject+vulture-gui__vulture_os__services__config__pf.conf": "a template",
		"anoduck+pf.conf__pf.conf":                                          "not pf's",
		"fail2ban+fail2ban__config__action.d__pf.conf":                      "fail2ban's",
		"gcoguiec+pfconf-ls__grammar__examples__pf.conf":                    "set skip on ! igb1",
		"jrockway+openbsd-router-config__etc__pf.conf":                      "ALTQ, which OpenBSD no longer has",
		"jwillikers+openbsd-router__etc__pf.conf":                           "a port by a name of its own",
		"noplacenoaddress+OpenBSD__src__etc__pf.conf":                       "includes files that aren't there",
		"sbilly+tor-bridge-bootstrap__etc__pf.conf":                         "a template",
		"Aliya-222+macOS-Secure-System-Setup__pf.conf":                      "log before in",
		"dot-fm+MacOS-Security-Baseline__pf.conf":                           "set scrub",
		"basicfeatures+openbsd-rails__etc__pf.conf":                         "a template",
		"macos-10.10-recursive-bug.pfctl-a-star-sr.txt":                     "macOS's pfctl fails in the midst of it",
		"essandess+macos-openvpn-server__pf.conf":                           "a macro that only a comment defines",
		"pf_table__table.in":                                                "a table's file",
	}
	// Test scripts with the shell's variables in them: their errors must name a line.
	templates := map[string]bool{"pf-freebsd-outcomes": true, "pf-openbsd-eval": true}
	for _, folder := range []string{"pf-github", "pf-macos", "pf-openbsd-eval", "pf-freebsd-outcomes", "pf-captures", "pf-openbsd-7.8", "pf-openbsd-4.4"} {
		path := needCorpora(t, folder)
		files, err := os.ReadDir(path)
		if err != nil {
			t.Fatal(err)
		}
		parsed := 0
		for _, f := range files {
			name := f.Name()
			if f.IsDir() || !looksLikeRules(folder, name) {
				continue
			}
			text := []byte(filledIn(string(readFile(t, filepath.Join(path, name)))))
			o := Options{}
			switch folder {
			case "pf-openbsd-7.8":
				o.Dialect = OpenBSD
			case "pf-openbsd-4.4", "pf-macos":
				o.Dialect = MacOS
			}
			_, err := Parse(name, text, o)
			var where *Error
			switch {
			case err == nil && refused[name] == "":
				parsed++
			case err == nil:
				t.Errorf("%s/%s parses: it is listed as refused", folder, name)
			case !errors.As(err, &where) || where.Line == 0:
				t.Errorf("%s/%s: the error names no line: %v", folder, name, err)
			case refused[name] == "" && !templates[folder]:
				t.Errorf("%s/%v\n    %s", folder, err, strings.TrimSpace(lineOf(text, where.Line)))
			}
		}
		t.Logf("%s: %d parsed", folder, parsed)
	}
}

// filledIn replaces the shell variables of test scripts.
func filledIn(text string) string {
	return shellVariable.ReplaceAllStringFunc(text, func(s string) string {
		switch {
		case strings.Contains(s, "mac"):
			return "00:01:02:03:04:05"
		case strings.Contains(s, "_6_"):
			return "2001:db8::1"
		case strings.Contains(s, "host_"), strings.Contains(s, "net_"), strings.Contains(s, "addr"):
			return "192.0.2.1"
		}
		return "epair0"
	})
}

var shellVariable = regexp.MustCompile(`\$\{[a-zA-Z0-9_]+\}`)

func looksLikeRules(folder, name string) bool {
	switch folder {
	case "pf-openbsd-7.8", "pf-openbsd-4.4":
		return strings.HasSuffix(name, ".loaded") || strings.HasSuffix(name, ".optimized")
	case "pf-captures":
		for _, other := range []string{"sT", "si.", "sAnchors", "sReferences", "socketfilterfw"} {
			if strings.Contains(name, other) {
				return false
			}
		}
		return true
	}
	return !strings.Contains(name, ".table.") && !strings.HasSuffix(name, ".hit") && !strings.HasSuffix(name, ".miss") && name != "SOURCE.txt" && name != "README.md"
}

func lineOf(text []byte, n int) string {
	all := strings.Split(string(text), "\n")
	if n-1 < len(all) {
		return all[n-1]
	}
	return ""
}
