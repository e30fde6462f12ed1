package policy

import (
	"fmt"
	"io/fs"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// disk is files by name.
type disk map[string]string

func (d disk) ReadFile(name string) ([]byte, error) {
	if text, ok := d[name]; ok {
		return []byte(text), nil
	}
	return nil, fmt.Errorf("open %s: %w", name, fs.ErrNotExist)
}

func services(name string) []string {
	return map[string][]string{"ssh": {"22/tcp"}, "domain": {"53/tcp", "53/udp"}}[name]
}

func read(d disk, profiles ...string) (*Policy, error) {
	return Read("netglance.yaml", Options{ReadFile: d.ReadFile, Services: services, Profiles: profiles})
}

func good(t *testing.T, text string) *Policy {
	t.Helper()
	p, err := read(disk{"netglance.yaml": text})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const full = `# yaml-language-server: $schema=https://example.com/policy.json
version: 1
sources:
  office: [198.51.100.0/28, 2001:db8:1::/48]
  all_of_us: [office, 10.0.0.1-10.0.0.6]
services:
  metrics: [9100/tcp, 9200-9210/tcp]
allow:
  - service: ssh
    from: office
    via: eth*
    owner: {unit: ssh.service, user: root}
    reason: administration
    responsible: ops@example.com
    until: 2027-01-31
  - port: [80/tcp, 443/tcp]
nothing_else: true
assert:
  - 22/tcp from all_of_us via eth0: open
  - "domain from anywhere to 192.0.2.1: closed"
suppress:
  - port: 8080/tcp
    finding: exposed
    reason: goes away with the old shop
    until: 2026-12-31
`

func TestEverythingThatAPolicyCanSay(t *testing.T) {
	p := good(t, full)
	e := p.Entries[0]
	if fmt.Sprintf("%v %s %v %v", e.Ports, e.Service, e.Sources, e.Interfaces) != "[22/tcp] ssh [198.51.100.0/28 2001:db8:1::/48] [eth*]" {
		t.Errorf("the first entry is %+v", e)
	}
	if (e.Owner != Owner{Unit: "ssh.service", User: "root"}) || e.Reason != "administration" || e.Responsible != "ops@example.com" || e.Until.Format(time.DateOnly) != "2027-01-31" {
		t.Errorf("the first entry is %+v", e)
	}
	if e.At.String() != "netglance.yaml:9" {
		t.Errorf("the first entry stands at %s", e.At)
	}
	if fmt.Sprint(p.Entries[1].Ports) != "[80/tcp 443/tcp]" || p.Entries[1].Sources != nil || !p.NothingElse {
		t.Errorf("the second entry is %+v, nothing else: %v", p.Entries[1], p.NothingElse)
	}
	var asserted []string
	for _, a := range p.Assertions {
		asserted = append(asserted, fmt.Sprintf("%s %v %s %v %s", a.Ports, a.Sources, a.Interface, a.To, a.Want))
	}
	want := []string{
		"22/tcp [198.51.100.0/28 2001:db8:1::/48 10.0.0.1/32 10.0.0.2/31 10.0.0.4/31 10.0.0.6/32] eth0 invalid IP open",
		"53/tcp [0.0.0.0/0 ::/0]  192.0.2.1 closed", "53/udp [0.0.0.0/0 ::/0]  192.0.2.1 closed",
	}
	if fmt.Sprint(asserted) != fmt.Sprint(want) {
		t.Errorf("asserted is\n%q, want\n%q", asserted, want)
	}
	if s := p.Suppressions[0]; s.Reason == "" || !s.For("tcp", 8080, 8080) || s.Finding != "exposed" {
		t.Errorf("the suppression is %+v", s)
	}
}

// refused are documents that have one mistake each, with the place and some words
// of what is said about it.
var refused = []struct{ name, text, want string }{
	{"a misspelt key would allow everybody", "version: 1\nallow:\n  - port: 22/tcp\n    form: 10.0.0.0/8\n", `netglance.yaml:4:5: "form" is no key of an entry`},
	{"a key that stands twice", "version: 1\nallow:\n  - port: 22/tcp\n    port: 23/tcp\n", `netglance.yaml:4:5: "port" stands twice`},
	{"a port without a protocol", "version: 1\nallow:\n  - port: 22\n", `netglance.yaml:3:11: "22" names no protocol`},
	{"port 0", "version: 1\nallow:\n  - port: 0/tcp\n", `"0/tcp" is no port`},
	{"a range that runs backwards", "version: 1\nallow:\n  - port: 90-80/tcp\n", `is no port`},
	{"a protocol without ports", "version: 1\nallow:\n  - port: 1/icmp\n", `no protocol "icmp"`},
	{"a prefix with bits behind its length", "version: 1\nallow:\n  - port: 22/tcp\n    from: 10.0.0.1/8\n", `write 10.0.0.0/8, or 10.0.0.1`},
	{"a source that is misspelt", "version: 1\nallow:\n  - port: 22/tcp\n    from: [office]\n", `"office" is no prefix`},
	{"an empty list of sources", "version: 1\nallow:\n  - port: 22/tcp\n    from: []\n", `nothing would match`},
	{"a key without a value", "version: 1\nallow:\n  - port: 22/tcp\n    from:\n", `"from" has no value`},
	{"no port at all", "version: 1\nallow:\n  - reason: because\n", `which port?`},
	{"a service that nobody knows", "version: 1\nallow:\n  - service: shs\n", `no service "shs"`},
	{"a date that doesn't exist", "version: 1\nallow:\n  - port: 22/tcp\n    until: 2026-02-30\n", `"2026-02-30" is no date`},
	{"yes is no boolean", "version: 1\nnothing_else: yes\n", `nothing_else must be true or false`},
	{"no version", "allow: []\n", `"version: 1" is missing`},
	{"another version", "version: 2\n", `reads version 1`},
	{"an empty file", "", `the file is empty`},
	{"two documents", "version: 1\n---\nversion: 1\n", `a second document`},
	{"a tab", "version: 1\nallow:\n\t- port: 22/tcp\n", `netglance.yaml:3`},
	{"an alias", "version: 1\nallow:\n  - &a {port: 22/tcp}\n  - *a\n", `anchors and aliases are not read`},
	{"an unclosed bracket", "version: 1\nallow: [\n", `netglance.yaml:`},
	{"an assertion that asks for nothing known", "version: 1\nassert:\n  - 22/tcp from 10.0.0.0/8: opne\n", `"opne" can't be asserted`},
	{"a word that means nothing in an assertion", "version: 1\nassert:\n  - 22/tcp form 10.0.0.0/8: open\n", `"form" means nothing here`},
	{"an assertion without an answer", "version: 1\nassert:\n  - 22/tcp\n", `an assertion is a line like`},
	{"an assertion about every port", "version: 1\nassert:\n  - 1-65535/tcp: closed\n", `too many ports`},
	{"a suppression of an unknown kind of finding", "version: 1\nsuppress:\n  - {port: 22/tcp, finding: expsed, reason: x, until: 2027-01-01}\n", `"expsed" is no finding`},
	{"a suppression without a reason", "version: 1\nsuppress:\n  - port: 22/tcp\n    until: 2027-01-01\n", `needs a reason`},
	{"a suppression for ever", "version: 1\nsuppress:\n  - port: 22/tcp\n    reason: x\n", `needs a date`},
	{"a suppression of nothing", "version: 1\nsuppress:\n  - reason: x\n    until: 2027-01-01\n", `what is suppressed?`},
	{"a profile that isn't there", "version: 1\nuse: web\n", `no profile "web"`},
	{"a profile that includes itself", "version: 1\nuse: a\nprofiles:\n  a: {include: b}\n  b: {include: a}\n", `the profile "a" includes itself`},
	{"a source called anywhere", "version: 1\nsources: {anywhere: 10.0.0.0/8}\n", `can't be the name of a source`},
	{"a pattern that doesn't end", "version: 1\nallow:\n  - port: 22/tcp\n    owner: {unit: \"[a\"}\n", `is no pattern`},
	{"an owner that is a word", "version: 1\nallow:\n  - port: 22/tcp\n    owner: sshd\n", `owner must have keys`},
	{"a list instead of a policy", "- port: 22/tcp\n", `the policy must have keys`},
}

func TestMistakesAreNamedWithTheirLine(t *testing.T) {
	for _, c := range refused {
		_, err := read(disk{"netglance.yaml": c.text})
		if err == nil {
			t.Errorf("%s: accepted:\n%s", c.name, c.text)
			continue
		}
		if !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "netglance.yaml:") {
			t.Errorf("%s: says %q, want %q", c.name, err, c.want)
		}
	}
}

func TestAllMistakesAreToldAtOnce(t *testing.T) {
	_, err := read(disk{"netglance.yaml": "version: 1\nallow:\n  - port: 22\n  - port: 23\n"})
	if err == nil || strings.Count(err.Error(), "names no protocol") != 2 {
		t.Errorf("two mistakes: %v", err)
	}
}

func TestProfilesIncludeOthersOnce(t *testing.T) {
	text := `version: 1
use: web
profiles:
  base: {allow: [{port: 22/tcp}]}
  tls: {include: base, allow: [{port: 443/tcp}]}
  web: {include: [base, tls], allow: [{port: 80/tcp}], nothing_else: true}
  db: {allow: [{port: 5432/tcp}]}
`
	ports := func(p *Policy) (out string) {
		for _, e := range p.Entries {
			out += fmt.Sprint(e.Ports)
		}
		return out
	}
	if p := good(t, text); ports(p) != "[22/tcp][443/tcp][80/tcp]" || !p.NothingElse {
		t.Errorf("web allows %s, nothing else: %v", ports(p), p.NothingElse)
	}
	p, err := read(disk{"netglance.yaml": text}, "db")
	if err != nil || ports(p) != "[5432/tcp]" || p.NothingElse {
		t.Errorf("db, asked for instead, allows %+v, %v", p, err)
	}
}

func TestIncludedFilesStandBesideTheirIncluder(t *testing.T) {
	d := disk{
		"netglance.yaml":   "version: 1\ninclude: [team/base.yaml]\nallow:\n  - {port: 80/tcp, from: office}\n",
		"team/base.yaml":   "version: 1\ninclude: common.yaml\nallow: [{port: 22/tcp, from: office}]\n",
		"team/common.yaml": "version: 1\ninclude: base.yaml\nsources: {office: 192.0.2.0/24}\n",
	}
	p, err := read(d)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Entries) != 2 || p.Entries[0].At.String() != "team/base.yaml:4" && p.Entries[0].At.String() != "team/base.yaml:3" || fmt.Sprint(p.Entries[1].Sources) != "[192.0.2.0/24]" {
		t.Errorf("the entries are %+v", p.Entries)
	}
	d["team/common.yaml"] = "version: 1\nsources: {office: 192.0.2.0/99}\n"
	if _, err := read(d); err == nil || !strings.Contains(err.Error(), "team/common.yaml:2:") {
		t.Errorf("a mistake in an included file: %v", err)
	}
	delete(d, "team/common.yaml")
	if _, err := read(d); err == nil || !strings.Contains(err.Error(), "team/base.yaml:2: include open team/common.yaml") {
		t.Errorf("an included file that isn't there: %v", err)
	}
}

func TestAnEntryHoldsThroughItsLastDay(t *testing.T) {
	day := good(t, full).Entries[0].Until
	for at, want := range map[string]bool{"2027-01-31T23:59:59Z": false, "2027-02-01T00:00:00Z": true} {
		now, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if Expired(day, now) != want {
			t.Errorf("at %s it is expired: %v", at, !want)
		}
	}
	if Expired(time.Time{}, time.Now()) {
		t.Error("an entry without a date expires")
	}
}

func TestRangesOfAddressesAreExact(t *testing.T) {
	for from, to := range map[string]string{"10.0.0.0": "10.255.255.255", "0.0.0.0": "255.255.255.255", "192.0.2.7": "192.0.2.7", "192.0.2.3": "192.0.3.200", "255.255.255.254": "255.255.255.255"} {
		a, b := netip.MustParseAddr(from), netip.MustParseAddr(to)
		next := a
		for _, p := range rangePrefixes(a, b) {
			if p.Addr() != next || p != p.Masked() {
				t.Fatalf("%s-%s: %s doesn't start at %s", from, to, p, next)
			}
			next = lastOf(p).Next()
		}
		if next != b.Next() {
			t.Errorf("%s-%s ends before %s", from, to, next)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(full)
	for _, c := range refused {
		f.Add(c.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := read(disk{"netglance.yaml": text})
		if (p == nil) == (err == nil) {
			t.Errorf("a policy %v with the error %v", p, err)
		}
		if err != nil && !strings.Contains(err.Error(), ":") {
			t.Errorf("an error without a place: %v", err)
		}
	})
}
