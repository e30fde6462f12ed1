package report

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"net/netip"
	"strconv"
	"strings"

	"github.com/netglance/netglance/listeners"
)

// ListenersJSON writes the answer of "netglance listeners" (schema/listeners.json),
// a line a socket. The rows are put together by hand: encoding/json with its
// indenting takes a third of the whole run where there are thousands.
func ListenersJSON(w io.Writer, h Host, all []listeners.Listener) error {
	for i := range all {
		h = withListenerGaps(h, &all[i])
	}
	head, err := indented(newDocument(h))
	if err != nil {
		return err
	}
	b := make([]byte, 0, 2*chunkBytes)
	b = append(b, bytes.TrimSuffix(head, []byte("\n}\n"))...)
	b = append(b, ",\n  \"listeners\": ["...)
	rows := listenerRows{owners: make(map[*listeners.Process][]byte)}
	for i := range all {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, "\n    "...)
		if b, err = rows.append(b, &all[i]); err != nil {
			return err
		}
		if len(b) < chunkBytes {
			continue
		}
		if _, err = w.Write(b); err != nil {
			return err
		}
		b = b[:0]
	}
	if len(all) > 0 {
		b = append(b, "\n  "...)
	}
	_, err = w.Write(append(b, "]\n}\n"...))
	return err
}

// chunkBytes is how much is written at a time: as much as a pipe takes.
const chunkBytes = 64 << 10

func withListenerGaps(h Host, l *listeners.Listener) Host {
	if l.Family == 6 && !l.V6OnlyKnown {
		h = withOwnerGaps(h, "the kernel didn't say whether IPv6 sockets take IPv4 packets too", "run it as root, so that sock_diag answers")
	}
	if len(l.Owners) == 0 {
		h = withOwnerGaps(h, l.OwnerGap, l.OwnerHint)
	}
	return h
}

// listenerRows writes sockets as JSON objects. Rows that share their owners, as
// those of one process do, share the text too.
type listenerRows struct {
	owners map[*listeners.Process][]byte // by the first, of rows with just one
}

func (r *listenerRows) append(b []byte, l *listeners.Listener) ([]byte, error) {
	b = appendString(append(b, `{"protocol":`...), l.Protocol)
	b = appendString(append(b, `,"family":`...), familyName(l.Family))
	b = appendString(append(b, `,"state":`...), l.State)
	b = appendString(append(b, `,"role":`...), l.Role.String())
	b = appendAddress(append(b, `,"address":`...), l.Address)
	b = strconv.AppendUint(append(b, `,"port":`...), uint64(l.Port), 10)
	if l.Remote.IsValid() {
		b = appendString(append(b, `,"remote":`...), l.Remote.String())
	}
	b = appendString(append(b, `,"device":`...), l.Device)
	b = appendV6Only(b, l)
	if b = append(b, `,"uid":`...); l.UIDUnknown {
		b = append(b, "null"...)
	} else {
		b = strconv.AppendUint(b, uint64(l.UID), 10)
	}
	b = appendString(append(b, `,"namespace":`...), cmp.Or(l.Namespace, listeners.HostNamespace))
	b = append(b, `,"inodes":[`...)
	for i, inode := range l.Inodes {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, inode, 10)
	}
	owners, err := r.ownersOf(l)
	if err != nil {
		return nil, err
	}
	b = append(append(b, `],"owners":`...), owners...)
	b = strconv.AppendBool(append(b, `,"kernel":`...), l.Kernel)
	if l.OwnerGap != "" {
		b = appendString(append(b, `,"owner_gap":`...), l.OwnerGap)
	}
	return append(b, '}'), nil
}

// appendAddress: a zone is the name of an interface, which may have a quote in it.
func appendAddress(b []byte, a netip.Addr) []byte {
	if !a.IsValid() || a.Zone() != "" {
		return appendString(b, strings.TrimPrefix(a.String(), "invalid IP"))
	}
	return append(a.AppendTo(append(b, '"')), '"')
}

// appendV6Only: null where the kernel didn't say, absent for IPv4.
func appendV6Only(b []byte, l *listeners.Listener) []byte {
	if l.Family != 6 {
		return b
	}
	b = append(b, `,"v6only":`...)
	if !l.V6OnlyKnown {
		return append(b, "null"...)
	}
	return strconv.AppendBool(b, l.V6Only)
}

func (r *listenerRows) ownersOf(l *listeners.Listener) ([]byte, error) {
	if len(l.Owners) != 1 {
		return compact(owners(l.Owners, l.OwnerGap))
	}
	if text, ok := r.owners[&l.Owners[0]]; ok {
		return text, nil
	}
	text, err := compact(owners(l.Owners, ""))
	r.owners[&l.Owners[0]] = text
	return text, err
}

// appendString writes a JSON string. What Clean leaves needs no other escapes
// than those of the quote and the backslash.
func appendString(b []byte, s string) []byte {
	s = Clean(s)
	b = append(b, '"')
	if !strings.ContainsAny(s, `"\`) {
		return append(append(b, s...), '"')
	}
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}

// compact is a value's JSON on one line.
func compact(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}
