package xt

import (
	"bytes"
	"testing"

	"github.com/netglance/netglance/firewall"
)

var families = []firewall.Family{firewall.FamilyIPv4, firewall.FamilyIPv6}

// every calls f with every match and target that is known, by family.
func every(f func(name string, target bool, family firewall.Family)) {
	for _, family := range families {
		for _, set := range []map[string]*kind{matches, matches4, matches6} {
			for name := range set {
				f(name, false, family)
			}
		}
		for _, set := range []map[string]*kind{targets, targets4, targets6} {
			for name := range set {
				f(name, true, family)
			}
		}
	}
}

func decode(name string, target bool, family firewall.Family, revision uint8, data []byte) Extension {
	d := Decoder{Family: family}
	if target {
		return d.Target(name, revision, data)
	}
	return d.Match(name, revision, data)
}

func TestBlobThatIsCutShortIsOpaqueAndKept(t *testing.T) {
	every(func(name string, target bool, family firewall.Family) {
		for revision := range uint8(6) {
			for length := range 12 {
				data := bytes.Repeat([]byte{1}, length)
				e := decode(name, target, family, revision, data)
				steps, _ := e.Steps(), e.String()
				if e.Known {
					continue
				}
				o, ok := firewall.Step(nil), false
				if len(steps) == 1 {
					o, ok = steps[0], true
				}
				if opaque, isOpaque := o.(firewall.Opaque); !ok || !isOpaque || !bytes.Equal(opaque.Data, data) || opaque.Target != target || opaque.Name != name {
					t.Errorf("%s revision %d, %d bytes: %+v", name, revision, length, steps)
				}
			}
		}
	})
}

func TestNoBlobPanics(t *testing.T) {
	known := 0
	every(func(name string, target bool, family firewall.Family) {
		for revision := range uint8(6) {
			for _, fill := range []byte{0, 1, 0x55, 0x7f, 0x80, 0xff} {
				e := decode(name, target, family, revision, bytes.Repeat([]byte{fill}, 5000))
				e.Steps()
				if e.String() == "" {
					t.Errorf("%s revision %d prints as nothing", name, revision)
				}
				if e.Known {
					known++
				}
			}
		}
	})
	if known == 0 {
		t.Error("no blob was understood")
	}
}

func TestOptionsWithoutArgumentsAreErrorsAndDontPanic(t *testing.T) {
	every(func(name string, target bool, family firewall.Family) {
		options, ok := MatchOptions(name, family)
		if target {
			options, ok = TargetOptions(name, family)
		}
		if !ok {
			return
		}
		d := Decoder{Family: family}
		for option := range options {
			for _, arguments := range [][]string{nil, {""}, {"", ""}, {"-1", ":"}, {"1/", "/"}, {",", "="}, {"0xffffffffffffffffff", "["}} {
				given := []Option{{Name: option, Invert: true, Arguments: arguments}}
				e, err := d.ParseMatch(name, 6, given)
				if target {
					e, err = d.ParseTarget(name, 6, given)
				}
				if err == nil {
					e.Steps()
					_ = e.String()
				}
			}
		}
	})
}

// FuzzBlob decodes any blob as any extension. The seeds are blobs that the kernel gave for the rule beside them.
func FuzzBlob(f *testing.F) {
	for _, s := range kernelBlobs {
		f.Add(s.name, s.target, s.v6, s.revision, unhex(s.data))
	}
	if len(kernelBlobs) == 0 {
		f.Fatal("no seeds")
	}
	f.Fuzz(func(t *testing.T, name string, target, v6 bool, revision uint8, data []byte) {
		family := firewall.FamilyIPv4
		if v6 {
			family = firewall.FamilyIPv6
		}
		e := decode(name, target, family, revision, data)
		if len(e.Steps()) == 0 && !e.Known {
			t.Error("an extension that isn't known left no step")
		}
		_ = e.String()
	})
}
