package firewall

import "time"

// A Set is a set, map, verdict map or object map of a table.
type Set struct {
	// Table is nil for an ipset, which belongs to none.
	Table  *Table
	Name   string
	Handle uint64
	// Anonymous sets are part of one rule.
	Anonymous bool
	Constant  bool
	Interval  bool
	// Map says that elements carry Data, Verdict or Object.
	Map        bool
	VerdictMap bool
	ObjectMap  bool
	// Dynamic sets are open to updates from the packet path (NFT_SET_EVAL).
	Dynamic bool
	Timeout time.Duration
	// KeyLength and DataLength are in bytes.
	KeyLength, DataLength uint32
	// Fields are the lengths in bytes of a concatenation's parts, each padded to
	// 4 bytes in the key; nil where the key is one value.
	Fields []uint32
	// KeyType and DataType are nft's datatype names for printing, " . " between
	// the parts of a concatenation; empty where unknown.
	KeyType, DataType string
	// Elements are the members, keys ascending. Loaded is false where they were
	// left in the kernel for their number: then Count says how many there are and
	// Find asks for one.
	Elements []Element
	Loaded   bool
	Count    uint64
	// CatchAll is what applies to a key that no element has; nil if nothing.
	CatchAll *Element
	// Steps apply to each element that has none of its own.
	Steps   []Step
	Comment string
	// Find asks the kernel for the element that holds a key; nil where it can't be asked.
	Find func(key []byte) (Element, bool, error)
}

// An Element is a member of a set: the keys from Key to KeyEnd, both included.
// For a concatenation each part has its own range.
type Element struct {
	Key, KeyEnd []byte
	Data        []byte
	Verdict     *Verdict
	Object      string
	// Timeout is 0 where the element stays; Expires is what was left of it when
	// it was read.
	Timeout, Expires time.Duration
	Comment          string
	// Steps are the element's own statements: counter, limit, quota …
	Steps []Step
}
