package iptables

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// An entry is one struct ipt_entry or ip6t_entry, its sizes checked. It stays as
// the kernel gave it: a large table is read often and printed rarely.
type entry struct {
	*protocolFamily
	offset int // from the table's start
	body   []byte
}

// end is where the next entry starts.
func (e entry) end() int { return e.offset + len(e.body) }

func (e entry) header() header { return readHeader(e.family, e.body[:e.headerSize]) }

// targetOffset is where the target starts, which is where the matches end.
func (e entry) targetOffset() int {
	return int(binary.NativeEndian.Uint16(e.body[e.headerSize+4:]))
}

func (e entry) target() extension {
	x, _, _ := readExtension(e.body[e.targetOffset():])
	return x
}

// matches are in the order in which they are asked.
func (e entry) matches(f func(extension)) {
	for rest := e.body[e.entrySize:e.targetOffset()]; len(rest) > 0; {
		x, size, _ := readExtension(rest)
		f(x)
		rest = rest[size:]
	}
}

// extension is one xt_entry_match or xt_entry_target.
type extension struct {
	name     []byte
	revision uint8
	data     []byte
}

const extensionHeader = 32

func readExtension(b []byte) (extension, int, error) {
	if len(b) < extensionHeader {
		return extension{}, 0, fmt.Errorf("%d bytes where an extension's header needs %d", len(b), extensionHeader)
	}
	size := int(binary.NativeEndian.Uint16(b))
	if size < extensionHeader || size > len(b) {
		return extension{}, 0, fmt.Errorf("extension of %d bytes in %d", size, len(b))
	}
	name, _, _ := bytes.Cut(b[2:31], []byte{0})
	return extension{name, b[31], b[extensionHeader:size:size]}, size, nil
}

// readEntries walks the entries. count is how many there should be.
func readEntries(p *protocolFamily, b []byte, count uint32) ([]entry, error) {
	entries := make([]entry, 0, min(int(count), len(b)/p.entrySize))
	for at := 0; at < len(b); {
		e, err := readEntry(p, b[at:])
		if err != nil {
			return nil, fmt.Errorf("entry at byte %d: %w", at, err)
		}
		e.offset = at
		entries = append(entries, e)
		at = e.end()
	}
	return entries, nil
}

func readEntry(p *protocolFamily, b []byte) (entry, error) {
	if len(b) < p.entrySize {
		return entry{}, fmt.Errorf("%d bytes where an entry needs %d", len(b), p.entrySize)
	}
	e := entry{protocolFamily: p, body: b}
	target := e.targetOffset()
	next := int(binary.NativeEndian.Uint16(b[p.headerSize+6:]))
	if target < p.entrySize || next < target || next > len(b) {
		return entry{}, fmt.Errorf("target at %d, end at %d of %d bytes", target, next, len(b))
	}
	e.body = b[:next:next]
	for at := p.entrySize; at < target; {
		_, size, err := readExtension(b[at:target])
		if err != nil {
			return entry{}, err
		}
		at += size
	}
	if _, _, err := readExtension(b[target:next]); err != nil {
		return entry{}, err
	}
	return e, nil
}
