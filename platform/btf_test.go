package platform

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
)

// smallBTF describes
//
//	int; enum { a, b }; struct outer { int x; int flag:1; int y; }; void hook(void)
//
// with "outer" also the name of a function, which is not to be taken for the struct.
func smallBTF() []byte {
	const names = "\x00outer\x00x\x00y\x00flag\x00hook\x00int\x00"
	name := func(s string) uint32 { return uint32(strings.Index(names, "\x00"+s+"\x00") + 1) }
	u := func(values ...uint32) (b []byte) {
		for _, v := range values {
			b = binary.LittleEndian.AppendUint32(b, v)
		}
		return b
	}
	types := slices.Concat(
		u(name("int"), btfInt<<24, 4, 32),
		u(0, btfEnum<<24|2, 4, name("x"), 0, name("y"), 1),
		u(name("outer"), btfFunc<<24, 5),
		u(name("outer"), btfStruct<<24|3, 12, name("x"), 1, 0, name("flag"), 1, 33, name("y"), 1, 64),
		u(0, btfProto<<24, 0),
		u(name("hook"), btfFunc<<24, 5),
	)
	header := slices.Concat([]byte{0x9f, 0xeb, 1, 0}, u(btfHeaderLength, 0, uint32(len(types)), uint32(len(types)), uint32(len(names))))
	return slices.Concat(header, types, []byte(names))
}

func TestTypesAreFoundByKindAndName(t *testing.T) {
	outer := kernelType{name: "outer", kind: btfStruct, members: map[string]int16{"x": unknownOffset, "y": unknownOffset}}
	hook := kernelType{name: "hook", kind: btfFunc}
	if err := findTypes(smallBTF(), []*kernelType{&outer, &hook}); err != nil {
		t.Fatal(err)
	}
	if outer.id != 4 || hook.id != 6 || outer.members["x"] != 0 || outer.members["y"] != 8 {
		t.Errorf("got %+v %+v", outer, hook)
	}
}

func TestWhatIsMissingInBTFIsAnError(t *testing.T) {
	cut := smallBTF()
	for _, c := range []struct {
		name string
		btf  []byte
		want kernelType
	}{
		{"a name", smallBTF(), kernelType{name: "absent", kind: btfStruct}},
		{"a type of the kind", smallBTF(), kernelType{name: "hook", kind: btfStruct}},
		{"a member", smallBTF(), kernelType{name: "outer", kind: btfStruct, members: map[string]int16{"z": unknownOffset}}},
		{"the place of a bit field", smallBTF(), kernelType{name: "outer", kind: btfStruct, members: map[string]int16{"flag": unknownOffset}}},
		{"the header", nil, kernelType{name: "outer", kind: btfStruct}},
		{"the end", cut[:len(cut)-1], kernelType{name: "outer", kind: btfStruct}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := findTypes(c.btf, []*kernelType{&c.want}); !errors.Is(err, errBTF) {
				t.Errorf("got %v, %+v", err, c.want)
			}
		})
	}
}

func FuzzFindTypes(f *testing.F) {
	f.Add(smallBTF())
	f.Fuzz(func(t *testing.T, btf []byte) {
		w := kernelType{name: "outer", kind: btfStruct, members: map[string]int16{"x": unknownOffset, "y": unknownOffset}}
		if err := findTypes(btf, []*kernelType{&w}); err == nil && (w.id == 0 || w.members["x"] < 0) {
			t.Errorf("no error, and nothing found: %+v", w)
		}
	})
}
