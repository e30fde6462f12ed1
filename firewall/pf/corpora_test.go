package pf

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
)

// The corpora stand beside the repository, where they are at hand at all.
const corpora = "../../../shared/corpora/pf"

func needCorpora(t *testing.T, folder string) string {
	t.Helper()
	path := filepath.Join(corpora, folder)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("%s is not here", path)
	}
	return path
}

// suiteNetwork is what the expected outputs assume.
func suiteNetwork(t *testing.T) *firewall.Network {
	t.Helper()
	n, err := ReadInterfaces("suite", []byte(`
if lo0 L lo
addr ::1/128
addr fe80::1/64
addr 127.0.0.1/8
if lo1000000 L lo
if tun1000000 P tun
if tun1000001 P tun
if vlan1057 B vlan
addr 203.0.113.5/24 203.0.113.255
if vlan1058 B vlan
addr 203.0.113.5/24 203.0.113.255
if vlan1061 B vlan
addr 2001:db8::cb00:7105/64
if vlan1062 B vlan
addr 2001:db8::cb00:7105/64
`))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// oldSuiteNetwork is what the older suite's outputs assume.
func oldSuiteNetwork(t *testing.T) *firewall.Network {
	n := suiteNetwork(t)
	a := n.Addresses
	a[0], a[1], a[2] = a[2], a[0], a[1]
	return n
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// beside opens files as pfctl does in the suite's folder.
func beside(folder string) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(folder, name)
		}
		return os.ReadFile(name)
	}
}

// numbered replaces the services' names by numbers: what pfctl prints without -P
// depends on the machine's /etc/services.
var portName = regexp.MustCompile(`port (=|!=|<|<=|>|>=) ([a-z][a-z0-9-]*)`)

func numbered(t *testing.T, text string) string {
	return portName.ReplaceAllStringFunc(text, func(s string) string {
		m := portName.FindStringSubmatch(s)
		n, ok := services()[m[2]]
		if !ok {
			t.Errorf("no port is known for %q", m[2])
		}
		return "port " + m[1] + " " + itoa(int(n))
	})
}

type suite struct {
	folder  string
	dialect Dialect
	pattern string
	network func(*testing.T) *firewall.Network // suiteNetwork if nil
	// otherwise says why netglance prints something else.
	otherwise map[string]string
}

func (s suite) links(t *testing.T) *firewall.Network {
	if s.network != nil {
		return s.network(t)
	}
	return suiteNetwork(t)
}

func (s suite) run(t *testing.T) {
	folder := needCorpora(t, s.folder)
	inputs, _ := filepath.Glob(filepath.Join(folder, s.pattern))
	sort.Strings(inputs)
	equal := 0
	for _, input := range inputs {
		name := strings.TrimSuffix(filepath.Base(input), ".in")
		want, err := os.ReadFile(strings.TrimSuffix(input, ".in") + ".ok")
		if err != nil {
			continue
		}
		options := Options{Dialect: s.dialect, Network: s.links(t), Open: beside(folder)}
		if opts, err := os.ReadFile(strings.TrimSuffix(input, ".in") + ".opts"); err == nil {
			options.Macros = defined(string(opts))
		}
		if reason := s.otherwise[name]; reason != "" {
			t.Logf("%s: %s", name, reason)
			continue
		}
		rs, err := Parse(filepath.Base(input), readFile(t, input), options)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		expected := numbered(t, string(want))
		if got := rs.String(); lines(got) != lines(expected) {
			t.Errorf("%s:\n%s", name, difference(got, expected))
			continue
		}
		again, err := Parse(name+".ok", want, options)
		if err != nil {
			t.Errorf("%s.ok: %v", name, err)
			continue
		}
		if got := again.String(); lines(got) != lines(expected) {
			t.Errorf("%s.ok is no fixed point:\n%s", name, difference(got, expected))
			continue
		}
		equal++
	}
	t.Logf("%s: %d equal", s.folder, equal)
	if equal < 20 {
		t.Errorf("only %d equal: the test looks in the wrong place", equal)
	}
}

func defined(opts string) map[string]string {
	m := map[string]string{}
	for _, field := range strings.Fields(opts) {
		if definition, ok := strings.CutPrefix(field, "-D"); ok {
			name, value, _ := strings.Cut(definition, "=")
			m[name] = value
		}
	}
	return m
}

// lines leaves out blank ones, the space at a line's end, and ALTQ, which
// netglance keeps as it is written. The order of options and rules is each one's own: pfctl prints an option when it reads it.
func lines(s string) string {
	var head, out []string
	for line := range strings.SplitSeq(s, "\n") {
		line = strings.TrimRight(line, " \t\r")
		switch {
		case line == "", strings.HasPrefix(line, "altq "), strings.HasPrefix(line, "queue ") && strings.Contains(s, "altq "):
		case strings.HasPrefix(line, "table ") || strings.HasPrefix(line, "set ") || strings.Contains(line, ` = "`) && !strings.Contains(line, " from "):
			head = append(head, line)
		default:
			out = append(out, line)
		}
	}
	return strings.Join(slices.Concat(head, out), "\n")
}

func difference(got, want string) string {
	g, w := strings.Split(lines(got), "\n"), strings.Split(lines(want), "\n")
	var b strings.Builder
	for i := 0; i < max(len(g), len(w)); i++ {
		var gl, wl string
		if i < len(g) {
			gl = g[i]
		}
		if i < len(w) {
			wl = w[i]
		}
		if gl != wl {
			b.WriteString("  got  " + gl + "\n  want " + wl + "\n")
			if b.Len() > 600 {
				break
			}
		}
	}
	return b.String()
}

func TestPrintsWhatOpenBSDsPfctlPrints(t *testing.T) {
	suite{folder: "pf-openbsd-7.8", dialect: OpenBSD, pattern: "pf[0-9os]*.in", otherwise: map[string]string{
		"pfsetup1": "its .ok is an older pfctl's, on an interface that the suite makes",
		"pf113":    "printed after pfctl's optimiser made a table of a list: netglance keeps the rules as written",
		"pfsetup4": "on an address that the suite gives an interface: TestAntispoofNamesEveryInterface",
	}}.run(t)
}

func TestPrintsWhatFreeBSDsPfctlPrints(t *testing.T) {
	suite{folder: "pf-freebsd-15", dialect: FreeBSD, pattern: "pf*.in", otherwise: map[string]string{
		"pf1040": "pfctl refuses it: there is a .fail besides",
		"pf0047": "its services lack msg-icp and mpm-flags of udp",
	}}.run(t)
}

func TestPrintsWhatOldPfctlPrintsInTheMacOSDialect(t *testing.T) {
	suite{folder: "pf-openbsd-4.4", dialect: MacOS, pattern: "pf[0-9]*.in", network: oldSuiteNetwork, otherwise: map[string]string{
		"pf41": "sshd is OpenBSD's account",
		"pf80": "with require-order no, pfctl prints translations before filter rules",
		"pf38": "bin and nobody are OpenBSD's accounts",
		"pf39": "bin and nobody are OpenBSD's accounts",
		"pf51": "with require-order no, pfctl prints translations before filter rules",
	}}.run(t)
}

func TestRefusesWhatPfctlRefuses(t *testing.T) {
	for _, s := range []suite{{folder: "pf-openbsd-7.8", dialect: OpenBSD, pattern: "pfail*.in"}, {folder: "pf-freebsd-15", dialect: FreeBSD, pattern: "*.fail"}} {
		folder := needCorpora(t, s.folder)
		inputs, _ := filepath.Glob(filepath.Join(folder, s.pattern))
		for _, input := range inputs {
			input = strings.TrimSuffix(strings.TrimSuffix(input, ".fail"), ".in") + ".in"
			if strings.HasSuffix(input, "pfail14.in") {
				continue // today's pfctl takes it: its .ok is the rule
			}
			rs, err := Parse(filepath.Base(input), readFile(t, input), Options{Dialect: s.dialect, Network: suiteNetwork(t), Open: beside(folder)})
			if err == nil {
				t.Errorf("%s was taken:\n%s", input, rs)
			}
		}
	}
}
