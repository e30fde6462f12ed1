package iptables_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
)

// stepsText writes steps so that equal ones are equal text: a chain by its name.
func stepsText(steps []firewall.Step) string {
	var b strings.Builder
	for _, s := range steps {
		if v, ok := s.(firewall.Verdict); ok && v.Chain != nil {
			fmt.Fprintf(&b, "%v %s\n", v.Code, v.Chain.Name)
			continue
		}
		fmt.Fprintf(&b, "%#v\n", s)
	}
	return b.String()
}

// compareTables says where two readings of the same tables differ.
func compareTables(t *testing.T, kernel, text []*firewall.Table) (rules int) {
	t.Helper()
	parsed := make(map[string]*firewall.Chain)
	for _, table := range text {
		for _, c := range table.Chains {
			parsed[table.Name+" "+c.Name] = c
		}
	}
	for _, table := range kernel {
		for _, c := range table.Chains {
			other := parsed[table.Name+" "+c.Name]
			if other == nil {
				t.Errorf("%s %s is missing in the text", table.Name, c.Name)
				continue
			}
			if (c.Base == nil) != (other.Base == nil) || c.Base != nil && fmt.Sprint(*c.Base) != fmt.Sprint(*other.Base) {
				t.Errorf("%s %s: base %+v in the kernel, %+v in the text", table.Name, c.Name, c.Base, other.Base)
			}
			if len(c.Rules) != len(other.Rules) {
				t.Errorf("%s %s: %d rules in the kernel, %d in the text", table.Name, c.Name, len(c.Rules), len(other.Rules))
				continue
			}
			for i, r := range c.Rules {
				rules++
				if printsLess(other.Rules[i].Text(), r.Text()) {
					continue
				}
				if a, b := stepsText(r.Steps), stepsText(other.Rules[i].Steps); a != b {
					t.Errorf("%s %s rule %d: %s\nkernel %s\n text  %s", table.Name, c.Name, i+1, r.Text(), a, b)
				}
				if a, b := r.Text(), other.Rules[i].Text(); a != b {
					t.Errorf("%s %s rule %d: the kernel's prints as\n%s\nthe text's as\n%s", table.Name, c.Name, i+1, a, b)
				}
			}
		}
	}
	return rules
}

func ofFamily(tables []*firewall.Table, family firewall.Family) (list []*firewall.Table) {
	for _, t := range tables {
		if t.Family == family {
			list = append(list, t)
		}
	}
	return list
}

// printsLess says that iptables-save leaves out a match that no packet meets: an
// inverted range of everything, an inverted "+".
func printsLess(saved, got string) bool {
	for _, impossible := range []string{" ! --sport 0:65535", " ! --dport 0:65535", " ! --ahspi 0:4294967295", " ! --espspi 0:4294967295",
		" ! --ipcompspi 0:4294967295", " ! --fragid 0:4294967295", " ! --rt-segsleft 0:4294967295", " ! --mh-type 0:255", " ! -i +"} {
		if strings.Replace(got, impossible, "", 1) == saved {
			return got != saved
		}
	}
	return false
}
