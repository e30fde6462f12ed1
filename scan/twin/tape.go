package twin

import (
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/netglance/netglance/internal/netlink"
)

// A Tape holds the raw answers of a host while it is read: what is loaded into the
// twin are the very bytes that netglance's answers come from. It is safe for
// concurrent use.
type Tape struct {
	mu sync.Mutex
	// order are the keys of replies as they came first; of equal requests the last
	// reply stays.
	order   []string
	replies map[string][]byte
	tables  map[tableName]*legacyTable
	saved   map[int][]byte
}

// A tableName is a legacy table of an address family.
type tableName struct {
	family int
	name   string
}

// NewTape is an empty tape.
func NewTape() *Tape {
	return &Tape{replies: map[string][]byte{}, tables: map[tableName]*legacyTable{}, saved: map[int][]byte{}}
}

// KeepNetlink keeps a reply.
func (t *Tape) KeepNetlink(protocol int, request, reply []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := strconv.Itoa(protocol) + " " + string(request)
	if _, known := t.replies[key]; !known {
		t.order = append(t.order, key)
	}
	t.replies[key] = reply
}

// KeepOption keeps what a socket option gave.
func (t *Tape) KeepOption(family, level, option int, argument, value []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if option != optionInfo && option != optionEntries || len(argument) < nameLength {
		return
	}
	name := tableName{family, cString(argument[:nameLength])}
	table := t.tables[name]
	if table == nil {
		table = &legacyTable{family: family, level: level, name: name.name}
		t.tables[name] = table
	}
	if option == optionInfo {
		table.info = slices.Clone(value)
		copy(table.info, argument[:nameLength]) // not all kernels give it back
	} else {
		table.entries = slices.Clone(value)
	}
}

// KeepSave keeps the text of iptables-save of an address family.
func (t *Tape) KeepSave(family int, text []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.saved[family] = slices.Clone(text)
}

// answered says that there is a reply to a request.
func (t *Tape) answered(protocol int, request []byte) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, known := t.replies[strconv.Itoa(protocol)+" "+string(request)]
	return known
}

// messages are all messages of a type, in the order in which they came.
func (t *Tape) messages(protocol int, messageType uint16) [][]byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	prefix := strconv.Itoa(protocol) + " "
	var found [][]byte
	for _, key := range t.order {
		if !strings.HasPrefix(key, prefix) {
			continue
		}
		// A reply that is cut off ends there, as it does for whoever decodes it.
		_ = netlink.Each(t.replies[key], func(m netlink.Message) error {
			if m.Type == messageType {
				found = append(found, m.Data)
			}
			return nil
		})
	}
	return found
}

func cString(b []byte) string {
	if end := slices.Index(b, 0); end >= 0 {
		b = b[:end]
	}
	return string(b)
}
