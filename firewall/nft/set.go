package nft

import (
	"strings"
	"time"

	"github.com/netglance/netglance/firewall"
)

// Set attributes (enum nft_set_attributes).
const (
	setTable       = 1  // NFTA_SET_TABLE
	setName        = 2  // NFTA_SET_NAME
	setFlags       = 3  // NFTA_SET_FLAGS
	setKeyType     = 4  // NFTA_SET_KEY_TYPE: nft's own number, 6 bits a part
	setKeyLength   = 5  // NFTA_SET_KEY_LEN
	setDataType    = 6  // NFTA_SET_DATA_TYPE
	setDataLength  = 7  // NFTA_SET_DATA_LEN
	setDescription = 9  // NFTA_SET_DESC
	setTimeout     = 11 // NFTA_SET_TIMEOUT: milliseconds
	setUserdata    = 13 // NFTA_SET_USERDATA
	setObjectType  = 15 // NFTA_SET_OBJ_TYPE
	setHandle      = 16 // NFTA_SET_HANDLE
	setExpression  = 17 // NFTA_SET_EXPR
	setExpressions = 18 // NFTA_SET_EXPRESSIONS
	setCount       = 20 // NFTA_SET_COUNT, kernel 6.16

	descriptionSize   = 1 // NFTA_SET_DESC_SIZE: the most elements that it takes
	descriptionConcat = 2 // NFTA_SET_DESC_CONCAT
	fieldLength       = 1 // NFTA_SET_FIELD_LEN
	listElement       = 1 // NFTA_LIST_ELEM
)

// Set flags (enum nft_set_flags).
const (
	setAnonymous = 0x1  // NFT_SET_ANONYMOUS
	setConstant  = 0x2  // NFT_SET_CONSTANT
	setInterval  = 0x4  // NFT_SET_INTERVAL
	setMap       = 0x8  // NFT_SET_MAP
	setEval      = 0x20 // NFT_SET_EVAL
	setObject    = 0x40 // NFT_SET_OBJECT
)

// dataIsVerdict is NFT_DATA_VERDICT as a map's data type.
const dataIsVerdict = 0xffffff00

// A type in a set's userdata (libnftnl's enum nftnl_udata_set_types).
const setUserdataComment = 7

// maxElements is the size above which a set's elements stay in the kernel. The
// kernel resumes a dump by counting from the start, so a dump's cost grows with
// the square of the size: 65,536 take 0.2 s, a million half a minute.
const maxElements = 65536

// A set is one whose elements are still to be read.
type set struct {
	*firewall.Set
	table  *table
	family firewall.Family
	// malformed says that an element didn't fit the set's declaration.
	malformed bool
}

func (r *reader) addSet(family firewall.Family, a *attributes) {
	t := r.tables[tableKey{family, a.text(setTable)}]
	if t == nil {
		return
	}
	flags := a.uint32(setFlags)
	s := &firewall.Set{
		Table:      t.Table,
		Name:       a.text(setName),
		Handle:     a.uint64(setHandle),
		Anonymous:  flags&setAnonymous != 0,
		Constant:   flags&setConstant != 0,
		Interval:   flags&setInterval != 0,
		Map:        flags&(setMap|setObject) != 0,
		ObjectMap:  flags&setObject != 0,
		Dynamic:    flags&setEval != 0,
		Timeout:    milliseconds(a.uint64(setTimeout)),
		KeyLength:  a.uint32(setKeyLength),
		DataLength: a.uint32(setDataLength),
		KeyType:    typeNames(a.uint32(setKeyType)),
	}
	if t.sets[s.Name] != nil {
		return
	}
	describeData(s, a)
	describeUserdata(s, a.get(setUserdata))
	size := describeFields(s, a.get(setDescription))
	s.Steps = t.elementSteps(a.get(setExpression), a.get(setExpressions))
	s.Count = uint64(a.uint32(setCount))
	s.Loaded = s.Count <= maxElements && (a.has(setCount) || size <= maxElements)
	t.sizes[s.Name] = size
	t.Sets = append(t.Sets, s)
	t.sets[s.Name] = s
	r.sets = append(r.sets, &set{Set: s, table: t, family: family})
}

func milliseconds(n uint64) time.Duration {
	const most = uint64(1<<63-1) / uint64(time.Millisecond)
	return time.Duration(min(n, most)) * time.Millisecond
}

func describeData(s *firewall.Set, a *attributes) {
	switch {
	case s.ObjectMap:
		s.DataType = objectKind(a.uint32(setObjectType))
	case a.has(setDataType) && a.uint32(setDataType) == dataIsVerdict:
		s.VerdictMap, s.DataType = true, "verdict"
	case s.Map:
		s.DataType = typeNames(a.uint32(setDataType))
	}
}

func describeUserdata(s *firewall.Set, b []byte) {
	if text, ok := userdata(b, setUserdataComment); ok {
		s.Comment = string(cString(text))
	}
}

// describeFields sets the lengths of a concatenation's parts, from the kernel's
// descriptor where there is one. It returns the most elements that the set takes; 0 is no limit.
func describeFields(s *firewall.Set, description []byte) (size uint32) {
	var d attributes
	d.parse(description)
	each(d.get(descriptionConcat), listElement, func(field []byte) {
		var f attributes
		f.parse(field)
		s.Fields = append(s.Fields, f.uint32(fieldLength))
	})
	if len(s.Fields) == 0 {
		s.Fields = fieldsOfType(s.KeyType, s.KeyLength)
	}
	if len(s.Fields) < 2 || padded(s.Fields) != uint64(s.KeyLength) {
		s.Fields = nil
	}
	return d.uint32(descriptionSize)
}

// fieldsOfType gives the parts' lengths of a concatenation without a
// descriptor from its datatypes; nil where they don't fit the key.
func fieldsOfType(keyType string, length uint32) []uint32 {
	parts := strings.Split(keyType, " . ")
	if len(parts) < 2 {
		return nil
	}
	var fields []uint32
	for _, part := range parts {
		size := typeLength(part)
		if size == 0 {
			return nil
		}
		fields = append(fields, size)
	}
	return fields
}

// padded is the length of a key of these parts, each padded to 4 bytes.
func padded(fields []uint32) uint64 {
	var sum uint64
	for _, f := range fields {
		sum += (uint64(f) + 3) &^ 3
	}
	return sum
}
