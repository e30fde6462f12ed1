package ipset_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall/ipset"
	"github.com/netglance/netglance/internal/golden"
	"github.com/netglance/netglance/internal/kerneltest"
	"github.com/netglance/netglance/platform"
)

func load(t *testing.T) *kerneltest.Namespace {
	t.Helper()
	ns := kerneltest.New(t, kerneltest.Layout{})
	if _, err := ns.Run("ipset", "restore", "-file", "testdata/sets.restore"); err != nil {
		t.Fatal(err)
	}
	return ns
}

func TestMembersOfEveryTypeAreThoseThatIpsetWasGiven(t *testing.T) {
	ns := load(t)
	recorder := platform.NewRecorder(platform.LiveIn(ns.Path()), "test")
	sets := ipset.New(recorder)
	golden.Equal(t, "sets.golden", describe(sets))
	for _, gap := range sets.Gaps() {
		t.Errorf("gap: %s: %v", gap.Reason, gap.Err)
	}
	if flag.Lookup("update").Value.String() == "true" {
		if err := recorder.Recording().Save("testdata/sets.ng"); err != nil {
			t.Fatal(err)
		}
		saved, err := ns.Run("ipset", "save")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("testdata/sets.save", []byte(saved), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSetIsFoundByTheNumberThatRulesHold(t *testing.T) {
	ns := load(t)
	sets := ipset.New(platform.LiveIn(ns.Path()))
	seen := map[string]bool{}
	for index := range uint16(40) {
		if s, ok := sets.ByIndex(index); ok {
			seen[s.Name] = true
		}
	}
	for _, name := range names {
		if !seen[name] {
			t.Errorf("%s has no number", name)
		}
	}
}

func TestLargeSetIsReadWholeOrLeftInTheKernel(t *testing.T) {
	for _, n := range []int{5000, 120000} {
		ns := kerneltest.New(t, kerneltest.Layout{})
		var b strings.Builder
		b.WriteString("create big hash:ip maxelem 200000\n")
		for i := range n {
			fmt.Fprintf(&b, "add big 10.%d.%d.%d\n", i>>16, i>>8&255, i&255)
		}
		file := t.TempDir() + "/sets"
		if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ns.Run("ipset", "restore", "-file", file); err != nil {
			t.Fatal(err)
		}
		s, ok := ipset.New(platform.LiveIn(ns.Path())).ByName("big")
		if !ok || s.Members.Count != uint64(n) || s.Members.Loaded != (n == 5000) || s.Members.Loaded && len(s.Members.Elements) != n {
			t.Errorf("%d: %v, count %d, loaded %v, %d elements", n, ok, s.Members.Count, s.Members.Loaded, len(s.Members.Elements))
		}
	}
}

func TestSetThatIsNotThereIsNotFound(t *testing.T) {
	sets := ipset.New(platform.LiveIn(kerneltest.New(t, kerneltest.Layout{}).Path()))
	if _, ok := sets.ByName("nowhere"); ok {
		t.Error("found")
	}
	if _, ok := sets.ByIndex(3); ok {
		t.Error("found by number")
	}
	if len(sets.Gaps()) != 0 {
		t.Errorf("gaps %v", sets.Gaps())
	}
}
