package iptables

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/netglance/netglance/firewall"
)

// A saver is a source that can print its tables as iptables-save does: another
// program, for where this one's getsockopt is refused (a 32-bit program's layout
// is another one; a sandbox may forbid raw sockets).
type saver interface {
	IptablesSave(family int) ([]byte, error)
}

func refused(err error) bool {
	return errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrPermission)
}

// A fallback is the text of one family's tables, read when it is first needed.
type fallback struct {
	source Source
	family *protocolFamily
	sets   Sets
	read   bool
	tables []*firewall.Table
	err    error
}

// table is the one that getsockopt refused.
func (f *fallback) table(name string, refusal error) (*firewall.Table, error) {
	s, ok := f.source.(saver)
	if !ok {
		return nil, refusal
	}
	if !f.read {
		f.read = true
		var text []byte
		if text, f.err = s.IptablesSave(f.family.address); f.err == nil {
			f.tables, f.err = ParseFamily("iptables-legacy-save", text, f.family.family, f.sets)
		}
	}
	if f.err != nil {
		return nil, fmt.Errorf("%w; %w", refusal, f.err)
	}
	i := slices.IndexFunc(f.tables, func(t *firewall.Table) bool { return t.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("%w; iptables-legacy-save doesn't print it", refusal)
	}
	return f.tables[i], nil
}
