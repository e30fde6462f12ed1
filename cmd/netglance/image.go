package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/gaps"
	"github.com/netglance/netglance/listeners/predict"
	"github.com/netglance/netglance/platform"
	"github.com/netglance/netglance/report"
	"github.com/netglance/netglance/scan/twin"
)

// lookAtImage predicts what a host will do that doesn't run: one whose files --root names.
func (a *app) lookAtImage() (*survey, error) {
	if a.host != "" || len(a.ruleNames) > 0 {
		return nil, usage("use one of them", "--root excludes --host and --rules")
	}
	image, err := platform.OpenImage(a.root)
	if err != nil {
		return nil, imageFailed(a.root, err)
	}
	defer image.Close()
	values := a.interfaceNames
	if len(values) == 0 {
		values = []string{assumedLinks}
	}
	links, err := parseLinks(values)
	if err != nil {
		return nil, err
	}
	s := &survey{about: report.Host{OS: "linux", Tool: toolVersion(), Name: imageName(image, a.root)}, rules: &firewall.Ruleset{}}
	s.network = network(links)
	found, missing := predict.Read(image, image.Start)
	s.sockets, s.about.Gaps = found, missing
	for _, g := range missing {
		if errors.Is(g.Err, predict.ErrUnforeseen) && !slices.Contains(s.unforeseen, g.Source) {
			s.unforeseen = append(s.unforeseen, g.Source)
		}
	}
	a.addImageRules(s, image)
	s.describeRules()
	return s, nil
}

// imageName is the host's own name, or else that of the directory or file.
func imageName(image *platform.Image, root string) string {
	if content, err := image.ReadFile("/etc/hostname"); err == nil && strings.TrimSpace(string(content)) != "" {
		return strings.TrimSpace(string(content)) + " (image)"
	}
	return filepath.Base(root) + " (image)"
}

// An imageFirewall is one way in which rules are loaded when a host starts.
type imageFirewall struct {
	name string
	// units load the files.
	units, files []string
	load         func(a *app, s *survey, image *platform.Image, files []string)
}

var imageFirewalls = []imageFirewall{
	{"iptables", []string{"netfilter-persistent.service", "iptables.service", "ip6tables.service"},
		[]string{"/etc/iptables/rules.v4", "/etc/iptables/rules.v6", "/etc/sysconfig/iptables", "/etc/sysconfig/ip6tables"}, (*app).loadSaved},
	{"nftables", []string{"nftables.service"}, []string{"/etc/nftables.conf", "/etc/sysconfig/nftables.conf"}, (*app).loadScripts},
	{"ufw", []string{"ufw.service"}, []string{"/etc/ufw/ufw.conf"}, (*app).loadUFW},
	{"firewalld", []string{"firewalld.service"}, []string{"/etc/firewalld/firewalld.conf"}, cannotLoad("firewalld is enabled, and its zones are not read")},
}

// addImageRules reads what the image loads when it starts. Files that nothing loads
// filter nothing, and are told.
func (a *app) addImageRules(s *survey, image *platform.Image) {
	for _, f := range imageFirewalls {
		files := slices.DeleteFunc(slices.Clone(f.files), func(name string) bool { return !image.Exists(name) })
		if len(files) == 0 {
			continue
		}
		if !predict.Starts(image, f.units...) {
			if f.name == "iptables" {
				s.imageGap(files[0], "nothing in the image loads it when the host starts", "enable "+f.units[0])
			}
			continue
		}
		f.load(a, s, image, files)
	}
}

func (s *survey) imageGap(source, reason, hint string) {
	s.about.Gaps = append(s.about.Gaps, gaps.Gap{Source: source, Reason: reason, Hint: hint})
}

// unreadRules: while rules that decide are unread, nothing is called exposed or filtered.
func (s *survey) unreadRules(source, reason, hint string) {
	s.imageGap(source, reason, hint)
	s.unread = append(s.unread, source)
}

func cannotLoad(reason string) func(*app, *survey, *platform.Image, []string) {
	return func(_ *app, s *survey, _ *platform.Image, files []string) {
		s.unreadRules(files[0], reason, "look at a host that runs, or give its rules by --rules")
	}
}

// loadSaved reads texts of iptables-save.
func (a *app) loadSaved(s *survey, image *platform.Image, files []string) {
	var given []ruleFile
	for _, name := range files {
		content, err := image.ReadFile(name)
		if err != nil {
			s.unreadRules(name, fmt.Sprintf("it could not be read: %v", err), "")
			continue
		}
		given = append(given, ruleFile{name: name, text: content})
	}
	tables, err := parseRules(given, nil)
	if err != nil {
		s.unreadRules(files[0], err.Error(), "")
		return
	}
	s.rules.Tables = append(s.rules.Tables, tables...)
}

// loadUFW: ufw's files are iptables-restore's in pieces, which its own script puts together.
func (a *app) loadUFW(s *survey, image *platform.Image, files []string) {
	content, err := image.ReadFile(files[0])
	if err == nil && !regexp.MustCompile(`(?mi)^\s*ENABLED\s*=\s*"?yes`).Match(content) {
		return
	}
	cannotLoad("ufw is enabled, and its files are not read")(a, s, image, files)
}

// loadScripts gives nft's scripts to nft, in a throwaway network namespace, and
// reads what the kernel has of them.
func (a *app) loadScripts(s *survey, image *platform.Image, files []string) {
	for _, name := range files {
		script, err := inlined(image, name, 0)
		if err != nil {
			s.unreadRules(name, err.Error(), "")
			continue
		}
		tables, err := a.loadedByNFT(s, script)
		if err != nil {
			s.unreadRules(name, fmt.Sprintf("nft could not load it here: %v", said(err)), "it takes nft, and root or the right to make network namespaces")
			continue
		}
		s.rules.Tables = append(s.rules.Tables, tables...)
	}
}

// loadedByNFT runs a script in a namespace with the interfaces that the host will have.
func (a *app) loadedByNFT(s *survey, script string) ([]*firewall.Table, error) {
	tables, unread, err := a.runScripts([]ruleFile{{name: "-", text: []byte(script)}}, twin.Host{Tape: twin.NewTape(), Network: onlyLinks(s.network), Rules: &firewall.Ruleset{}})
	switch {
	case err != nil:
		return nil, err
	case len(unread) > 0:
		return nil, errors.New(unread[0].Reason)
	}
	return tables, nil
}

// said is an error with the first of its details.
func said(err error) string {
	var f *failure
	if errors.As(err, &f) && len(f.details) > 0 {
		return f.details[0]
	}
	return err.Error()
}

// maxIncludes is how deep scripts may include each other, as nft takes it.
const maxIncludes = 16

var (
	nftComment = regexp.MustCompile(`(?m)#[^"\n]*$`)
	nftInclude = regexp.MustCompile(`\binclude\s+"([^"\n]*)"`)
	nftQuoted  = regexp.MustCompile(`"[^"\n]*"`)
	nftWord    = regexp.MustCompile(`\binclude\b`)
)

// inlined is a script with the image's own files in the place of its includes: nft
// would read this machine's.
func inlined(image *platform.Image, name string, depth int) (string, error) {
	if depth > maxIncludes {
		return "", fmt.Errorf("%s: files include each other", name)
	}
	content, err := image.ReadFile(name)
	if err != nil {
		return "", err
	}
	var failed error
	text := nftInclude.ReplaceAllStringFunc(nftComment.ReplaceAllString(string(content), ""), func(statement string) string {
		pattern := nftInclude.FindStringSubmatch(statement)[1]
		if !path.IsAbs(pattern) {
			pattern = path.Join("/etc", pattern) // nft's default include path
		}
		included := ""
		for _, file := range predict.Glob(image, pattern) {
			inner, err := inlined(image, file, depth+1)
			if err != nil {
				failed = errors.Join(failed, err)
			}
			included += inner + "\n"
		}
		return included
	})
	if failed == nil && nftWord.MatchString(nftQuoted.ReplaceAllString(text, "")) {
		failed = fmt.Errorf("%s: an include that is not understood", name)
	}
	return text, failed
}

func imageFailed(root string, err error) error {
	hint := "--root takes a directory, or a tar archive: of one, of \"docker save\", or of an OCI layout"
	if errors.Is(err, fs.ErrPermission) {
		hint = "run it as root"
	}
	return &failure{code: exitUsage, err: fmt.Errorf("the image %q can't be read: %w", root, err), hint: hint}
}
