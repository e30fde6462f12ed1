package outside

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/gaps"
)

// A program is what is known of a BPF program.
type program struct {
	// name is its number, and the name that its author gave it.
	name string
	// plain is that name alone; empty if not known.
	plain string
	// changes is false for a program that surely changes no packet.
	changes bool
}

// about asks for a program by its number, which needs CAP_SYS_ADMIN: without, the
// number is its name.
func about(source Source, id uint32) program {
	p := program{name: strconv.FormatUint(uint64(id), 10), changes: true}
	text, err := source.Programs("program " + p.name)
	if err != nil {
		return p
	}
	fields := words(string(text))
	if len(fields) > 1 && fields[1] != "" {
		p.plain = fields[1]
		p.name += " (" + p.plain + ")"
	}
	if len(fields) > 2 {
		code, err := hex.DecodeString(fields[2])
		p.changes = err != nil || !leavesPackets(code)
	}
	return p
}

// leavesPackets says of a program's instructions that they can't change a packet
// nor send it elsewhere: they call nothing, and store to their stack alone
// (Documentation/bpf/standardization/instruction-set.rst; r10 is the frame).
// Atomic operations are not allowed on packets (check_atomic, kernel/bpf/verifier.c).
func leavesPackets(code []byte) bool {
	const size, class, store, storeRegister, jump, call, wide, mode, atomic, frame = 8, 7, 2, 3, 5, 0x80, 0x18, 0xe0, 0xc0, 10
	if len(code) == 0 || len(code)%size != 0 {
		return false
	}
	for ; len(code) > 0; code = code[size:] {
		op, to := code[0], code[1]&15
		if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
			to = code[1] >> 4
		}
		switch {
		case op == wide && len(code) >= 2*size:
			code = code[size:] // a constant of 64 bits takes two
		case op&class == jump && op&0xf0 == call:
			return false
		case op&class == storeRegister && op&mode == atomic:
		case (op&class == store || op&class == storeRegister) && to != frame:
			return false
		}
	}
	return true
}

func quotedPrefix(line string) (quoted, text string) {
	quoted, err := strconv.QuotedPrefix(line)
	if err != nil {
		return line, line
	}
	text, _ = strconv.Unquote(quoted)
	return quoted, text
}

// attachment is a line of Source.Programs: a place and the program there.
type attachment struct {
	place string
	more  []string
	id    uint32
}

func attachments(text []byte) ([]attachment, error) {
	var out []attachment
	for line := range strings.Lines(string(text)) {
		fields := words(line)
		if len(fields) < 2 {
			return nil, fmt.Errorf("BPF programs: %q", line)
		}
		id, err := strconv.ParseUint(fields[len(fields)-1], 10, 32)
		if err != nil {
			return nil, fmt.Errorf("BPF programs: %q", line)
		}
		out = append(out, attachment{fields[0], fields[1 : len(fields)-1], uint32(id)})
	}
	return out, nil
}

// attachedTo are the programs at a place.
func attachedTo(source Source, where string) ([]attachment, error) {
	text, err := source.Programs(where)
	if err != nil {
		return nil, err
	}
	return attachments(text)
}

// unseen stands for programs that could not be asked for. One could only be put
// there by who may more than we: it may drop what rules let in.
func unseen(place firewall.Place, what string, err error) firewall.Outsider {
	return firewall.Outsider{Place: place, Kind: firewall.Unread, Text: "could not be read: BPF programs of " + what + " (" + cause(err) + ")"}
}

func (f *finding) programsUnseen(place firewall.Place, what string, err error) {
	f.outsiders = append(f.outsiders, unseen(place, what, err))
	f.unseen, f.why = append(f.unseen, what), err
}

func programGap(what string, err error) gaps.Gap {
	return gaps.Gap{Source: "BPF programs", Reason: fmt.Sprintf("those of %s, which may drop packets, could not be read: %v", what, err), Hint: hint(err), Err: err}
}

func cause(err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "no permission"
	case errors.Is(err, fs.ErrNotExist):
		return "not there"
	}
	return err.Error()
}

// readLinkPrograms finds tcx programs.
func readLinkPrograms(source Source, n *firewall.Network) (f finding) {
	for _, link := range links(n) {
		list, err := attachedTo(source, fmt.Sprintf("link %d", link.Index))
		if err != nil {
			f.programsUnseen(firewall.AtLink, "links", err)
			return f
		}
		for _, a := range list {
			p := about(source, a.id)
			o := firewall.Outsider{Place: firewall.AtLink, Interface: link.Index, Changes: p.changes, Kind: firewall.External,
				Text: fmt.Sprintf("tcx program %s on %s %s", p.name, link.Name, a.place)}
			if a.place == "egress" {
				o.Place = firewall.OffLink
			}
			f.outsiders = append(f.outsiders, o)
		}
	}
	return f
}

// netfilterPlaces are where programs at netfilter's hooks meet packets, by
// NF_INET_* (include/uapi/linux/netfilter.h).
var netfilterPlaces = []struct {
	hook  string
	place firewall.Place
}{{"prerouting", firewall.AtLink}, {"input", firewall.AtSocket}, {"forward", firewall.AtLink}, {"output", firewall.OffLink}, {"postrouting", firewall.OffLink}}

// readNamespacePrograms finds sk_lookup programs, and those at netfilter's hooks,
// which no dump of rules shows.
func readNamespacePrograms(source Source, _ *firewall.Network) (f finding) {
	lookups, err := attachedTo(source, "netns")
	if err != nil {
		f.programsUnseen(firewall.AtLookup, "the network namespace", err)
	}
	for _, a := range lookups {
		f.outsiders = append(f.outsiders, firewall.Outsider{Place: firewall.AtLookup, Changes: true, Kind: firewall.External,
			Text: fmt.Sprintf("%s program %s, which chooses sockets", a.place, about(source, a.id).name)})
	}
	hooks, err := attachedTo(source, "netfilter")
	if err != nil {
		f.programsUnseen(firewall.AtLink, "netfilter", err)
	}
	for _, a := range hooks {
		family, hook, ok := netfilterHook(a)
		if !ok {
			continue
		}
		f.outsiders = append(f.outsiders, firewall.Outsider{Place: hook.place, Family: family, Kind: firewall.External,
			Text: fmt.Sprintf("BPF program %s at netfilter's %s hook, maybe of another network namespace", about(source, a.id).name, hook.hook)})
	}
	return f
}

func netfilterHook(a attachment) (family firewall.Family, hook struct {
	hook  string
	place firewall.Place
}, ok bool) {
	if len(a.more) < 3 {
		return 0, hook, false
	}
	number, err := strconv.Atoi(a.more[0])
	at, err2 := strconv.Atoi(a.more[1])
	if err != nil || err2 != nil || at < 0 || at >= len(netfilterPlaces) {
		return 0, hook, false
	}
	if number == int(firewall.FamilyIPv4) || number == int(firewall.FamilyIPv6) {
		family = firewall.Family(number)
	}
	return family, netfilterPlaces[at], true
}

// Sockets finds the BPF programs of the cgroups that sockets were made in, by the
// cgroups' ids. 0 stands for a cgroup that the kernel didn't tell.
func Sockets(source Source, cgroups []uint64) (found []firewall.Outsider, missing []gaps.Gap) {
	slices.Sort(cgroups)
	for _, id := range slices.Compact(cgroups) {
		list, err := cgroupPrograms(source, id)
		if err != nil {
			found = append(found, unseenCgroup(id, firewall.AtSocket, err))
			if len(missing) == 0 {
				missing = append(missing, programGap("cgroups", err))
			}
			continue
		}
		found = append(found, list...)
	}
	return found, missing
}

func unseenCgroup(id uint64, place firewall.Place, err error) firewall.Outsider {
	o := unseen(place, "the socket's cgroup", err)
	o.Cgroup = id
	return o
}

// errUntold says that the kernel doesn't tell a socket's cgroup.
var errUntold = errors.New("before Linux 5.8 the kernel doesn't tell the cgroup of a socket")

func cgroupPrograms(source Source, id uint64) ([]firewall.Outsider, error) {
	if id == 0 {
		return nil, errUntold
	}
	list, err := attachedTo(source, fmt.Sprintf("cgroup %d", id))
	if err != nil {
		return nil, err
	}
	var out []firewall.Outsider
	for _, a := range list {
		if len(a.more) != 1 {
			continue
		}
		o := firewall.Outsider{Place: firewall.AtSocket, Cgroup: id, Kind: firewall.External, Text: cgroupText(source, a.more[0], a.place, about(source, a.id))}
		if a.place == "egress" {
			o.Place = firewall.FromSocket
		}
		out = append(out, o)
	}
	return out, nil
}
