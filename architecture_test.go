package netglance

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/netglance/netglance"

// allowed are the packages of this module that each package may import, itself
// left out. Tests may import internal packages besides, and what their package
// reaches. ARCHITECTURE.md says why.
var allowed = map[string][]string{
	"gaps":                       {},
	"internal/netlink":           {},
	"internal/lazyregexp":        {},
	"internal/bdd":               {},
	"internal/addresses":         {"internal/bdd"},
	"internal/golden":            {},
	"internal/bsdrecords":        {},
	"internal/kerneltest":        {"internal/kerneltest/needs", "platform", "scan/packets"},
	"internal/kerneltest/needs":  {},
	"internal/kerneltest/nftgen": {"internal/kerneltest"},
	"internal/realhost":          {"gaps", "listeners"},
	"platform":                   {"internal/netlink"},
	"listeners/predict":          {"listeners", "gaps"},
	"listeners":                  {"gaps", "internal/netlink"},
	"firewall":                   {"gaps", "internal/bdd"},
	"firewall/xt":                {"firewall", "gaps"},
	"firewall/nft":               {"firewall", "firewall/xt", "gaps", "internal/netlink"},
	"firewall/rtnetlink":         {"firewall", "gaps", "internal/netlink"},
	"firewall/outside":           {"firewall", "gaps", "internal/netlink"},
	"firewall/managers":          {"firewall", "firewall/iptables"},
	"firewall/iptables":          {"firewall", "firewall/xt", "gaps"},
	"firewall/ipset":             {"firewall", "firewall/xt", "gaps", "internal/netlink"},
	"firewall/ifconfig":          {"firewall", "gaps"},
	"firewall/alf":               {"gaps"},
	"firewall/pf":                {"firewall", "gaps"},
	"scan":                       {"scan/service", "scan/portmap", "gaps"},
	"scan/service":               {},
	"scan/portmap":               {"gaps"},
	"scan/packets":               {},
	"scan/oui":                   {},
	"scan/twin":                  {"scan", "scan/packets", "firewall", "gaps", "internal/netlink"},
	"correlate/policy":           {"listeners"},
	"correlate":                  {"correlate/policy", "listeners", "firewall", "firewall/managers", "scan", "scan/service", "scan/portmap", "gaps", "internal/addresses"},
	"report":                     {"correlate", "correlate/policy", "internal/addresses", "listeners", "firewall", "scan", "scan/service", "scan/portmap", "scan/twin", "scan/packets", "gaps"},
	"cmd/netglance": {"listeners/predict", "report", "correlate", "correlate/policy", "internal/addresses", "listeners", "firewall", "firewall/nft", "firewall/rtnetlink", "firewall/outside", "firewall/managers",
		"firewall/alf", "firewall/iptables", "firewall/ifconfig", "firewall/ipset", "firewall/pf", "firewall/xt", "scan", "scan/service", "scan/portmap", "scan/oui", "scan/twin", "platform", "gaps"},
}

// forAll knows nothing of hosts and rules: every package may import it.
const forAll = "internal/lazyregexp"

// systemOnly are the standard library's packages that touch the host, which only platform does.
var systemOnly = []string{"os/exec", "syscall", "golang.org/x/sys/unix", "net"}

// mayTouchTheHost are the packages that need one of them after all, and why.
var mayTouchTheHost = map[string]string{
	"platform":                   "it is the host",
	"internal/kerneltest":        "it makes the test namespaces",
	"internal/kerneltest/needs":  "it asks for the commands that tests run",
	"internal/kerneltest/nftgen": "it asks nft",
	"firewall/nft":               "syscall's error numbers",
	"firewall/iptables":          "syscall's error numbers",
	"firewall/outside":           "syscall's error numbers",
	"firewall/ipset":             "syscall's error numbers",
	"firewall/pf":                "syscall's error numbers",
	"scan/twin":                  "syscall's error numbers",
	"report":                     "net.JoinHostPort",
	"scan/portmap":               "it speaks over the net.Conn that it is given",
	"scan/service":               "it speaks over the net.Conn that it is given",
}

type source struct {
	file, dir string
	test      bool
	imports   []string
}

func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && path != "." && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata") {
			return filepath.SkipDir
		}
		if entry.IsDir() || filepath.Ext(path) != ".go" {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		s := source{file: path, dir: filepath.ToSlash(filepath.Dir(path)), test: strings.HasSuffix(path, "_test.go")}
		for _, i := range parsed.Imports {
			name, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			s.imports = append(s.imports, name)
		}
		out = append(out, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestImportsPointOneWay(t *testing.T) {
	seen := 0
	for _, s := range sources(t) {
		if s.dir == "." {
			continue
		}
		table, known := allowed[s.dir]
		if !known && s.test {
			continue // a directory of tests alone: nobody can import it
		}
		if !known {
			t.Errorf("%s: its package is not in the table: decide what it may import, here and in ARCHITECTURE.md", s.file)
			continue
		}
		for _, name := range s.imports {
			local, ours := strings.CutPrefix(name, module+"/")
			if !ours || local == s.dir || local == forAll || slices.Contains(table, local) || s.test && testMayImport(local) {
				continue
			}
			t.Errorf("%s imports %s: %s may import %v", s.file, local, s.dir, table)
		}
		seen++
	}
	if seen < 50 {
		t.Errorf("only %d files seen: the test looks in the wrong place", seen)
	}
}

// testMayImport: tests read recorded and real hosts, compare formats with each other, and ask real services.
func testMayImport(local string) bool {
	return strings.HasPrefix(local, "internal/") || local == "platform" || strings.HasPrefix(local, "firewall") || strings.HasPrefix(local, "scan/")
}

func TestOnlyPlatformTouchesTheHost(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || mayTouchTheHost[s.dir] != "" {
			continue
		}
		for _, name := range s.imports {
			if slices.Contains(systemOnly, name) {
				t.Errorf("%s imports %s: a system call, a process or a socket belongs to platform", s.file, name)
			}
		}
	}
}

func TestDecodersRunOnEverySystem(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || s.dir == "platform" || strings.HasPrefix(s.dir, "internal/kerneltest") {
			continue
		}
		for _, system := range []string{"linux", "darwin", "freebsd", "windows", "unix", "other", "amd64", "arm64"} {
			if strings.HasSuffix(s.file, "_"+system+".go") {
				t.Errorf("%s: build constraints belong to platform", s.file)
			}
		}
	}
}
