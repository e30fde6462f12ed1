package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/ipset"
	"github.com/netglance/netglance/firewall/iptables"
	"github.com/netglance/netglance/firewall/pf"
	"github.com/netglance/netglance/gaps"
	"github.com/netglance/netglance/platform"
	"github.com/netglance/netglance/report"
	"github.com/netglance/netglance/scan/twin"
)

// fileFlags name rules that run nowhere yet.
type fileFlags struct {
	ruleNames      []string
	interfaceNames []string
	dialect        string
	root           string
}

func (f *fileFlags) register(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.ruleNames, "rules", nil, "answer for the rules in `FILE` (an nft script, iptables-save, ip6tables-save, ipset save, pf.conf) instead of those that run; repeat it for more")
	flags.StringVar(&f.root, "root", "", "predict for a host that doesn't run: its root directory, or a tar `ARCHIVE` (docker save, OCI layout)")
	flags.StringArrayVar(&f.interfaceNames, "interfaces", nil, "with --rules or --root: the interfaces, `NAME=ADDRESS/LENGTH,…` or a file of them (default: "+assumedLinks+")")
	flags.StringVar(&f.dialect, "dialect", "", "with --rules of pf: whose it is, openbsd, freebsd or macos (default: told by the rules)")
}

// look reads what the flags name: this host, a recorded one, or a host made of files.
func (a *app) look(read func(platform.Host) *survey) (*survey, error) {
	if a.root != "" {
		return a.lookAtImage()
	}
	if len(a.ruleNames) > 0 && a.host == "" && a.netns != "" {
		return nil, usage("leave --netns out: rules that run nowhere are in no namespace", "--rules and --netns exclude each other without --host")
	}
	if len(a.ruleNames) == 0 {
		if len(a.interfaceNames) > 0 {
			return nil, usage("name the rules with --rules FILE", "--interfaces goes with --rules or --root")
		}
		host, err := a.openHost()
		if err != nil {
			return nil, err
		}
		return a.placed(read(host)), nil
	}
	if a.host != "" && len(a.interfaceNames) > 0 {
		return nil, usage("leave --interfaces out: the recorded host has its own", "--host and --interfaces exclude each other")
	}
	given, err := a.readRuleFiles()
	if err != nil {
		return nil, err
	}
	if err := a.checkDialect(given); err != nil {
		return nil, err
	}
	if a.host == "" && ofPF(given) {
		return a.planPF(given)
	}
	if a.host == "" {
		return a.plan(given)
	}
	host, err := a.openHost()
	if err != nil {
		return nil, err
	}
	if ofPF(given) {
		return replacePF(a.placed(read(host)), given, host)
	}
	if len(scripts(given)) == 0 {
		return replace(a.placed(read(host)), given, host)
	}
	v := newVerification()
	s := a.placed(v.read(host))
	if err := a.scripted(s, given, host, v.tape); err != nil {
		return nil, err
	}
	return replace(s, given, host)
}

// maxRules is how large a file of rules may be, in bytes.
const maxRules = 256 << 20

// A ruleFile is one file of --rules.
type ruleFile struct {
	name string
	text []byte
}

func (a *app) readRuleFiles() ([]ruleFile, error) {
	var list []ruleFile
	for _, name := range a.ruleNames {
		text, err := a.readRuleFile(name)
		if err != nil {
			return nil, usage("--rules takes a file, or - for standard input", "%w", err)
		}
		list = append(list, ruleFile{name, text})
	}
	return list, nil
}

func (a *app) readRuleFile(name string) ([]byte, error) {
	in := a.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxRules+1))
	if err == nil && len(text) > maxRules {
		err = fmt.Errorf("%s is larger than %d bytes", name, maxRules)
	}
	return text, err
}

// format tells what a text is by its first line that is not a comment.
func (f ruleFile) format() string {
	if pf.LooksLike(f.text) {
		return formatPF
	}
	for line := range strings.Lines(string(f.text)) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || strings.HasPrefix(words[0], "#"):
		case strings.HasPrefix(words[0], "*") || words[0] == "COMMIT":
			return "iptables-save"
		case startsNFT(words):
			return formatNFT
		case words[0] == "create" && len(words) > 2:
			return "ipset save"
		default:
			return ""
		}
	}
	return "iptables-save" // no rule at all
}

// parseRules reads the files into tables. named are the ipsets for rules whose
// sets are in no file; nil if there are none.
func parseRules(files []ruleFile, named iptables.Sets) ([]*firewall.Table, error) {
	sets := setFiles{otherwise: named}
	var errs []error
	for _, f := range files {
		switch f.format() {
		case "ipset save":
			read, err := ipset.Parse(f.name, f.text)
			sets.read, errs = append(sets.read, read), append(errs, err)
		case "":
			errs = append(errs, fmt.Errorf("%s is neither an nft script nor a text of iptables-save or ipset save", f.name))
		}
	}
	var tables []*firewall.Table
	for _, f := range files {
		if f.format() != "iptables-save" {
			continue
		}
		found, err := iptables.Parse(f.name, f.text, sets)
		errs = append(errs, err)
		for _, t := range found {
			if other := slices.ContainsFunc(tables, func(o *firewall.Table) bool { return o.Family == t.Family && o.Name == t.Name }); other {
				errs = append(errs, fmt.Errorf("%s: the table %s of %s stands in another file too", f.name, t.Name, t.Family))
			}
		}
		tables = append(tables, found...)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, usage("mend the file, or take what iptables-save prints; rules of IPv6 are told by their heading, their addresses, or \"ip6\" or \"v6\" in the file's name", "--rules: %w", err)
	}
	return tables, nil
}

// plan is the host that the flags describe.
func (a *app) plan(given []ruleFile) (*survey, error) {
	values := a.interfaceNames
	if len(values) == 0 {
		values = []string{assumedLinks}
	}
	links, err := parseLinks(values)
	if err != nil {
		return nil, err
	}
	tables, err := parseRules(given, nil)
	if err != nil {
		return nil, err
	}
	s := &survey{about: report.Host{OS: "linux", Tool: toolVersion(), Name: "rules of " + fileNames(given)}, rules: &firewall.Ruleset{Tables: tables}, planned: true}
	s.network = network(links)
	if len(scripts(given)) > 0 {
		made, unread, err := a.runScripts(scripts(given), twin.Host{Tape: twin.NewTape(), Network: onlyLinks(s.network), Rules: &firewall.Ruleset{}})
		if err != nil {
			return nil, err
		}
		s.rules.Tables = append(made, s.rules.Tables...)
		s.about.Gaps = append(s.about.Gaps, unread...)
	}
	if len(s.rules.Tables) == 0 {
		return nil, usage("a table of iptables-save begins with *filter, one of nft with table", "--rules: %s: there is no table", fileNames(given))
	}
	if len(scripts(given)) == 0 { // a script of nft is for all families: one that names no IPv6 leaves it open
		s.leaveOut(firewall.FamilyIPv4, "IPv4")
		s.leaveOut(firewall.FamilyIPv6, "IPv6")
	}
	s.describeRules()
	return s, nil
}

func fileNames(files []ruleFile) string {
	var names []string
	for _, f := range files {
		names = append(names, filepath.Base(f.name))
	}
	return strings.Join(names, ", ")
}

// leaveOut takes the addresses of a family away that no rules were given for:
// nobody said that it has none.
func (s *survey) leaveOut(family firewall.Family, name string) {
	if slices.ContainsFunc(s.rules.Tables, func(t *firewall.Table) bool { return t.Family == family || t.Family == firewall.FamilyInet }) {
		return
	}
	of := func(a firewall.Address) bool { return a.Prefix.Addr().Is4() == (family == firewall.FamilyIPv4) }
	s.network.Addresses = slices.DeleteFunc(s.network.Addresses, of)
	s.about.Gaps = append(s.about.Gaps, gaps.Gap{Source: "--rules", Reason: "no rules for " + name + " were given: it is left out", Hint: "name their file with a further --rules"})
}

// replace puts the tables of files in the place of those that a host has by the
// same name, as iptables-restore would.
func replace(s *survey, given []ruleFile, host platform.Host) (*survey, error) {
	tables, err := parseRules(given, ipset.New(host))
	if err != nil {
		return nil, err
	}
	replaced := func(old *firewall.Table) bool {
		return old.Backend != firewall.NFTables && slices.ContainsFunc(tables, func(t *firewall.Table) bool { return t.Family == old.Family && t.Name == old.Name })
	}
	s.rules = &firewall.Ruleset{Tables: append(slices.DeleteFunc(slices.Clone(s.rules.Tables), replaced), tables...)}
	s.about.Name += " with " + fileNames(given)
	s.describeRules()
	return s, nil
}

// describeRules is what the header says of the rules and the network.
func (s *survey) describeRules() {
	s.about.Backends = correlate.Backends(s.rules)
	s.about.Managers = correlate.Managers(s.rules)
	s.about.Interfaces = interfaces(s.network)
}
