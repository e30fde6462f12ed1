package pf

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// A fakeHost runs no program: it knows what each command prints. A text that starts
// with "!" is what it complains instead.
type fakeHost struct {
	os    string
	print map[string]string
	nodes map[string]string
	asked []string
}

func (h *fakeHost) OS() string { return h.os }

func (h *fakeHost) Output(command ...string) ([]byte, error) {
	line := strings.Join(command, " ")
	h.asked = append(h.asked, line)
	text, ok := h.print[line]
	switch {
	case !ok:
		return nil, fmt.Errorf("%s: exit status 1", line)
	case text == "!missing":
		return nil, fmt.Errorf("%s: %w", line, syscall.ENOENT)
	case text == "!denied":
		return nil, fmt.Errorf("%s: %w", line, syscall.EACCES)
	}
	return []byte(text), nil
}

func (h *fakeHost) Sysctl(name string) ([]byte, error) {
	if value, ok := h.nodes[name]; ok {
		return []byte(value), nil
	}
	return nil, fmt.Errorf("%s: %w", name, syscall.ENOENT)
}

func freeBSD() *fakeHost {
	return &fakeHost{os: "freebsd", print: map[string]string{
		"pfctl -s info":                             "Status: Enabled for 8 days 03:22:04           Debug: Urgent\n",
		"pfctl -v -s Interfaces":                    "all\n\tCleared:     Sun Nov 22 07:00:00 2026\nem0\n\tReferences:  [ States:  0                  Rules: 2 ]\nlo (skip)\nlo0 (skip)\n\tCleared (skip)\n",
		"pfctl -v -s Anchors":                       "  f2b\n  f2b/sshd\n  _1\n",
		"pfctl -P -s rules":                         "block drop in all\npass in from <__automatic_3f6a_0:6> to any\nanchor \"f2b/*\" all\nanchor all {\n  pass in from <__automatic_3f6a_1> to any\n}\n",
		"pfctl -P -s nat":                           "",
		"pfctl -s Tables":                           "admins\ngone\n",
		"pfctl -t admins -T show":                   "   10.0.0.0/8\n  !10.0.0.1\n   2001:db8::/32\n",
		"pfctl -t __automatic_3f6a_0 -T show":       "   192.0.2.1\n   192.0.2.2\n",
		"pfctl -a _1 -s Tables":                     "",
		"pfctl -a _1 -t __automatic_3f6a_1 -T show": "   192.0.2.3\n",
		"pfctl -a f2b -P -s rules":                  "",
		"pfctl -a f2b -P -s nat":                    "",
		"pfctl -a f2b -s Tables":                    "",
		"pfctl -a f2b/sshd -P -s rules":             "block drop quick proto tcp from <f2b-sshd> to any port = 22\n",
		"pfctl -a f2b/sshd -P -s nat":               "",
		"pfctl -a f2b/sshd -s ether":                "",
		"pfctl -a f2b/sshd -s Tables":               "f2b-sshd\tf2b/sshd\n",
		"pfctl -a f2b/sshd -t f2b-sshd -T show":     "   198.51.100.9\n",
	}, nodes: map[string]string{"net.pf.default_to_drop": "\x01\x00\x00\x00"}}
}

func TestEveryAnchorIsAskedForItself(t *testing.T) {
	h := freeBSD()
	l, found := Collect(h)
	if l == nil {
		t.Fatalf("gaps %+v", found)
	}
	if !slices.Equal(l.Skip, []string{"lo", "lo0"}) || !l.DefaultBlock || l.Disabled {
		t.Errorf("%+v", l)
	}
	var paths []string
	for _, a := range l.Anchors {
		paths = append(paths, a.Path)
	}
	if !slices.Equal(paths, []string{"", "_1", "f2b", "f2b/sshd"}) {
		t.Fatalf("anchors %q", paths)
	}
	if got := l.Anchors[0].Tables; fmt.Sprint(got) != "[{__automatic_3f6a_0 [192.0.2.1 192.0.2.2] false} {__automatic_3f6a_1 [] true} {admins [10.0.0.0/8 !10.0.0.1 2001:db8::/32] false} {gone [] true}]" {
		t.Errorf("tables %v", got)
	}
	if inline := l.Anchors[1]; inline.Rules != nil || fmt.Sprint(inline.Tables) != "[{__automatic_3f6a_0 [] true} {__automatic_3f6a_1 [192.0.2.3] false}]" {
		t.Errorf("unnamed anchor %+v", inline)
	}
	if ban := l.Anchors[3]; !strings.Contains(string(ban.Rules), "f2b-sshd") || fmt.Sprint(ban.Tables) != "[{f2b-sshd [198.51.100.9] false}]" {
		t.Errorf("f2b/sshd: %+v", ban)
	}
	if len(found) != 1 || !strings.Contains(found[0].Reason, "<gone>") {
		t.Errorf("gaps %+v", found)
	}
}

func TestRulesThatMayNotBeReadAreNotNoRules(t *testing.T) {
	for command := range freeBSD().print {
		if strings.Contains(command, " -T ") || strings.Contains(command, "ether") || command == "pfctl -P -s rules" {
			continue // a table by itself; not on every release
		}
		h := freeBSD()
		h.print[command] = "!denied"
		l, found := Collect(h)
		if l != nil || len(found) != 1 || !errors.Is(found[0].Err, fs.ErrPermission) || found[0].Hint == "" {
			t.Errorf("%s is denied: listing %+v, gaps %+v", command, l, found)
		}
	}
}

func TestAPfctlWithoutNumbersForPortsIsAskedWithout(t *testing.T) {
	h := freeBSD()
	for command, text := range h.print {
		if plain := strings.Replace(command, " -P", "", 1); plain != command {
			delete(h.print, command)
			h.print[plain] = text
		}
	}
	if l, found := Collect(h); l == nil || len(l.Anchors) != 4 || len(l.Anchors[0].Rules) == 0 {
		t.Errorf("listing %+v, gaps %+v", l, found)
	}
}

func TestWithoutPfNothingIsFiltered(t *testing.T) {
	h := freeBSD()
	h.print["pfctl -s info"] = "!missing"
	if l, found := Collect(h); l == nil || !l.Missing || len(found) > 0 {
		t.Errorf("FreeBSD without its module: %+v, gaps %+v", l, found)
	}
	h.os = "darwin"
	if l, found := Collect(h); l != nil || len(found) != 1 {
		t.Errorf("macOS always has it: %+v, gaps %+v", l, found)
	}
	h.print["pfctl -s info"] = "No ALTQ support in kernel\n"
	if l, found := Collect(h); l != nil || len(found) != 1 {
		t.Errorf("no word of its status: %+v, gaps %+v", l, found)
	}
	h = freeBSD()
	h.print["pfctl -s info"] = "Status: Disabled                              Debug: Urgent\n"
	if l, _ := Collect(h); l == nil || !l.Disabled {
		t.Errorf("switched off: %+v", l)
	}
}

func TestOpenBSDHasNoTranslationRulesetsOfItsOwn(t *testing.T) {
	h := freeBSD()
	h.os = "openbsd"
	for command, text := range h.print {
		h.print[strings.Replace(command, " -P", "", 1)] = text
	}
	l, found := Collect(h)
	if l == nil || l.Anchors[0].NAT != nil || l.DefaultBlock {
		t.Errorf("%+v, gaps %+v", l, found)
	}
	for _, command := range h.asked {
		if strings.Contains(command, "nat") || strings.Contains(command, "ether") || strings.Contains(command, "-P") {
			t.Errorf("%s was asked", command)
		}
	}
}
