package nft_test

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
)

// compareElements compares every named set with nft's JSON, as key ranges in
// hexadecimal, and returns how many elements it could compare. It has its own
// reading of nft's words, so that nothing of the decoder is on both sides.
func compareElements(t *testing.T, file string, ruleset *firewall.Ruleset, listed []map[string]json.RawMessage) (compared int) {
	t.Helper()
	for _, entry := range listed {
		body := entry["set"]
		if body == nil {
			body = entry["map"]
		}
		if body == nil {
			continue
		}
		var s struct {
			Family, Table, Name string
			Type                json.RawMessage
			Elem                []json.RawMessage
		}
		if err := json.Unmarshal(body, &s); err != nil {
			t.Fatal(err)
		}
		set := findSet(ruleset, s.Family, s.Table, s.Name)
		if set == nil {
			t.Errorf("%s: set %s %s %s was not decoded", file, s.Family, s.Table, s.Name)
			continue
		}
		want, ok := listedKeys(s.Elem, set)
		if !ok {
			continue // words of a type that this test can't read
		}
		var got []string
		for _, e := range set.Elements {
			got = append(got, fmt.Sprintf("%x-%x", e.Key, e.KeyEnd))
		}
		slices.Sort(want)
		slices.Sort(got)
		want, got = joined(want, set), joined(got, set)
		if !slices.Equal(got, want) {
			t.Errorf("%s: set %s:\n nft  %v\n here %v", file, set.Name, want, got)
		}
		compared += len(want)
	}
	return compared
}

// joined puts neighbouring ranges of a plain set together: nft lists "1-5" and
// "6-10" as "1-10" where the kernel keeps them as one or as two.
func joined(ranges []string, set *firewall.Set) []string {
	if !set.Interval || set.Fields != nil || set.Map {
		return ranges
	}
	var out []string
	for _, r := range ranges {
		from, to, _ := strings.Cut(r, "-")
		if n := len(out); n > 0 {
			before, end, _ := strings.Cut(out[n-1], "-")
			if follows(end, from) {
				out[n-1] = before + "-" + to
				continue
			}
		}
		out = append(out, r)
	}
	return out
}

func follows(end, start string) bool {
	e, _ := hex.DecodeString(end)
	for i := len(e) - 1; i >= 0; i-- {
		e[i]++
		if e[i] != 0 {
			break
		}
	}
	return hex.EncodeToString(e) == start
}

func findSet(ruleset *firewall.Ruleset, family, table, name string) *firewall.Set {
	for _, t := range ruleset.Tables {
		if t.Family.String() != family || t.Name != table {
			continue
		}
		for _, s := range t.Sets {
			if s.Name == name {
				return s
			}
		}
	}
	return nil
}

func listedKeys(elements []json.RawMessage, set *firewall.Set) (keys []string, ok bool) {
	types := strings.Split(set.KeyType, " . ")
	for _, raw := range elements {
		if set.Map {
			var pair []json.RawMessage
			if json.Unmarshal(raw, &pair) != nil || len(pair) != 2 {
				return nil, false
			}
			raw = pair[0]
		}
		var wrapped struct {
			Elem struct{ Val json.RawMessage }
		}
		if json.Unmarshal(raw, &wrapped) == nil && wrapped.Elem.Val != nil {
			raw = wrapped.Elem.Val
		}
		if string(raw) == `"*"` {
			continue // the catch-all is no element
		}
		parts := []json.RawMessage{raw}
		var several struct{ Concat []json.RawMessage }
		if json.Unmarshal(raw, &several) == nil && several.Concat != nil {
			parts = several.Concat
		}
		if len(parts) != len(types) {
			return nil, false
		}
		var from, to []byte
		for i, part := range parts {
			a, b, ok := listedRange(part, types[i], set.Interval)
			if !ok {
				return nil, false
			}
			from, to = append(from, a...), append(to, b...)
			for len(parts) > 1 && len(from)%4 != 0 {
				from, to = append(from, 0), append(to, 0)
			}
		}
		keys = append(keys, fmt.Sprintf("%x-%x", from, to))
	}
	return keys, true
}

func listedRange(raw json.RawMessage, typ string, interval bool) (from, to []byte, ok bool) {
	var compound struct {
		Range  []json.RawMessage
		Prefix *struct {
			Addr string
			Len  int
		}
	}
	if json.Unmarshal(raw, &compound) == nil {
		if compound.Prefix != nil {
			p, err := netip.ParsePrefix(fmt.Sprintf("%s/%d", compound.Prefix.Addr, compound.Prefix.Len))
			if err != nil {
				return nil, nil, false
			}
			from = p.Addr().AsSlice()
			to = slices.Clone(from)
			for i := p.Bits(); i < len(to)*8; i++ {
				to[i/8] |= 0x80 >> (i % 8)
			}
			return from, to, true
		}
		if len(compound.Range) == 2 {
			from, ok = listedValue(compound.Range[0], typ, interval)
			to, ok2 := listedValue(compound.Range[1], typ, interval)
			return from, to, ok && ok2
		}
	}
	from, ok = listedValue(raw, typ, interval)
	return from, from, ok
}

func listedValue(raw json.RawMessage, typ string, interval bool) ([]byte, bool) {
	var text string
	var number uint64
	isNumber := json.Unmarshal(raw, &number) == nil
	if !isNumber && json.Unmarshal(raw, &text) != nil {
		return nil, false
	}
	protocols := map[string]byte{"tcp": 6, "udp": 17, "icmp": 1, "ipv6-icmp": 58, "sctp": 132}
	switch {
	case typ == "ipv4_addr" || typ == "ipv6_addr":
		a, err := netip.ParseAddr(text)
		return a.AsSlice(), err == nil
	case typ == "inet_service" && isNumber:
		return binary.BigEndian.AppendUint16(nil, uint16(number)), true
	case typ == "inet_proto" && !isNumber:
		return []byte{protocols[text]}, protocols[text] != 0
	case typ == "mark" && isNumber && interval:
		return binary.BigEndian.AppendUint32(nil, uint32(number)), true
	case typ == "mark" && isNumber:
		return binary.NativeEndian.AppendUint32(nil, uint32(number)), true
	case typ == "ifname" && !interval && len(text) < 16:
		return append([]byte(text), make([]byte, 16-len(text))...), true
	}
	return nil, false
}
