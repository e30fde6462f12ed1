package main

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/nft"
	"github.com/netglance/netglance/gaps"
	"github.com/netglance/netglance/platform"
	"github.com/netglance/netglance/scan/twin"
)

// formatNFT is the format of scripts for "nft -f".
const formatNFT = "nft script"

// nftWords begin a line of an nft script, nftThings follow a command there.
var (
	nftWords  = []string{"table", "flush", "define", "undefine", "redefine", "include", "add", "create", "insert", "replace", "delete", "destroy", "reset"}
	nftThings = []string{"table", "chain", "rule", "set", "map", "element", "ruleset", "flowtable", "counter", "quota", "limit", "ct", "secmark", "synproxy"}
)

// startsNFT says that the words are an nft script's first. "create NAME TYPE" is
// ipset's too.
func startsNFT(words []string) bool {
	switch {
	case words[0] == "include" || strings.HasSuffix(words[0], "define"):
		return len(words) > 1
	case words[0] == "table":
		return len(words) > 1 && words[1] != "<"
	}
	return slices.Contains(nftWords, words[0]) && len(words) > 1 && slices.Contains(nftThings, words[1])
}

// scripts are the nft scripts among the files.
func scripts(given []ruleFile) (list []ruleFile) {
	for _, f := range given {
		if f.format() == formatNFT {
			list = append(list, f)
		}
	}
	return list
}

// runScripts has nft run the scripts in a namespace of their own, with the host's
// links, and what rules it has, and reads what stands there then. The namespace
// stays until this process ends: sets may be asked later.
func (a *app) runScripts(list []ruleFile, host twin.Host) ([]*firewall.Table, []gaps.Gap, error) {
	kernel, err := platform.NewTwin()
	if err != nil {
		return nil, nil, a.scriptsElsewhere(list, err)
	}
	made, err := twin.Build(kernel, host)
	if err != nil {
		return nil, nil, a.scriptsElsewhere(list, err)
	}
	if made.Useless != nil {
		return nil, nil, noTwin(made.Useless)
	}
	for _, f := range list {
		if err := runScript(kernel, f); err != nil {
			return nil, nil, err
		}
	}
	rules, unread := nft.Read(platform.LiveIn(kernel.Path()), nil)
	return rules.Tables, append(made.Gaps, unread...), nil
}

func runScript(kernel *platform.Twin, f ruleFile) error {
	input, name := "", f.name
	if name == "-" {
		input = string(f.text)
	}
	err := kernel.Do(func() error {
		_, err := kernel.Run(input, "nft", "-f", name)
		return err
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return usage("install nftables: a script of nft is understood by nft alone", "--rules %s: %w", f.name, err)
	case err != nil:
		_, said, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n")
		return &failure{code: exitUsage, err: fmt.Errorf("--rules %s: nft does not take it", f.name), hint: "mend it until \"nft -c -f\" takes it", details: strings.Split(strings.ReplaceAll(said, "\t", " "), "\n")}
	}
	return nil
}

// onlyLinks is a network whose addresses and routes nobody needs.
func onlyLinks(n *firewall.Network) *firewall.Network {
	return &firewall.Network{Interfaces: n.Interfaces}
}

// scriptsElsewhere runs the command as root of a user namespace, where that is what
// is missing. Standard input can't be read again.
func (a *app) scriptsElsewhere(list []ruleFile, err error) error {
	if !errors.Is(err, fs.ErrPermission) || a.again == nil || slices.ContainsFunc(list, func(f ruleFile) bool { return f.name == "-" }) {
		return noTwin(err)
	}
	code, refused := a.again()
	if refused == nil {
		return endedElsewhere(code)
	}
	return noTwin(fmt.Errorf("a script of nft needs a namespace to run in: %w", err))
}

// scripted puts what nft makes of a host's rules and the scripts in their place.
// Legacy tables are not nft's.
func (a *app) scripted(s *survey, given []ruleFile, host platform.Host, tape *twin.Tape) error {
	tables, unread, err := a.runScripts(scripts(given), twin.Host{Tape: tape, Source: host, Network: s.network, Rules: s.rules})
	if err != nil {
		return err
	}
	for _, t := range s.rules.Tables {
		if t.Backend == firewall.IptablesLegacy {
			tables = append(tables, t)
		}
	}
	s.rules = &firewall.Ruleset{Tables: tables}
	s.about.Gaps = append(s.about.Gaps, unread...)
	return nil
}
