package netlink

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"testing"
)

func TestMessagesAreWalkedInOrder(t *testing.T) {
	buffer := slices.Concat(Request(18, FlagDump, []byte{1, 2, 3}), Request(TypeDone, FlagMulti|FlagDumpIntr, nil))
	var types []uint16
	var last Message
	err := Each(buffer, func(m Message) error {
		types = append(types, m.Type)
		last = m
		return nil
	})
	if err != nil || !slices.Equal(types, []uint16{18, TypeDone}) {
		t.Errorf("types %v, error %v", types, err)
	}
	if !last.Interrupted() {
		t.Error("a torn dump is not seen")
	}
}

func TestLengthsBeyondTheBufferAreErrors(t *testing.T) {
	whole := Request(18, 0, AppendString(nil, 3, "eth0"))
	for n := 1; n < len(whole); n++ {
		err := Each(whole[:n], func(m Message) error { return nil })
		if !errors.Is(err, ErrTruncated) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
}

func TestAttributesOfEverySize(t *testing.T) {
	var b []byte
	b = AppendAttribute(b, 1|flagNested, []byte{7})
	b = AppendAttribute(b, 2, []byte{0, 0, 1, 2})
	b = AppendString(b, 3, "eth0")
	a := NewAttributes(b)
	if !a.Next() || a.Type() != 1 || a.Uint8() != 7 {
		t.Errorf("attribute 1: type %d, % x", a.Type(), a.Data())
	}
	if !a.Next() || a.Uint32BE() != 0x102 {
		t.Errorf("attribute 2: % x", a.Data())
	}
	if !a.Next() || a.String() != "eth0" {
		t.Errorf("attribute 3: %q", a.Data())
	}
	if a.Next() || a.Err() != nil {
		t.Errorf("behind the last: %v", a.Err())
	}
}

func TestAWrongSizeIsAnErrorAndEndsTheWalk(t *testing.T) {
	a := NewAttributes(AppendAttribute(AppendAttribute(nil, 1, []byte{1, 2, 3}), 2, nil))
	if a.Next(); a.Uint32() != 0 || a.Err() == nil {
		t.Errorf("3 bytes read as a word, error %v", a.Err())
	}
	if a.Next() {
		t.Error("the walk goes on behind an error")
	}
}

// seeds are replies as a kernel sent them: a link, a torn dump's end.
var seeds = []string{
	"20000000100002000000000000000000000004030100000049000100000000000700030065746830000000",
	"1400000003001200000000000000000000000000",
}

func FuzzEach(f *testing.F) {
	for _, text := range seeds {
		data, err := hex.DecodeString(text)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_ = Each(data, func(m Message) error {
			a := NewAttributes(m.Data)
			for a.Next() {
				if !bytes.Contains(data, a.Data()) {
					t.Error("an attribute that isn't in the message")
				}
			}
			return nil
		})
	})
}
