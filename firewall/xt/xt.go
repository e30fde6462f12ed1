// Package xt decodes the matches and targets of x_tables: what a legacy table
// holds, and what the "match" and "target" expressions of an iptables-nft rule
// carry. It turns each into the steps that it stands for and into the words
// that iptables -S prints.
//
//	steps := xt.Match(name, revision, data, family)   // or xt.Target
//	text := xt.MatchText(name, revision, data, family) // "-m tcp --dport 22"
//
// These four are for a little-endian machine and know no ipsets; a Decoder is
// told both. Family is IPv4 or IPv6: several extensions differ by it.
//
// An unknown name, an unknown revision and a blob that is too short become an
// Opaque step: nothing is lost and nothing is guessed.
//
// Layouts are those of 64-bit kernels (include/uapi/linux/netfilter/xt_*.h,
// netfilter_ipv4/ipt_*.h, netfilter_ipv6/ip6t_*.h).
//
// What a match's steps don't say: most transport matches drop a packet whose
// header is cut short, and fail on fragments but the first.
package xt

import (
	"encoding/binary"

	"github.com/netglance/netglance/firewall"
)

// Match is a match's steps.
func Match(name string, revision uint8, data []byte, family firewall.Family) []firewall.Step {
	return Decoder{Family: family}.Match(name, revision, data).Steps()
}

// Target is a target's steps. A jump to a user chain is its caller's matter.
func Target(name string, revision uint8, data []byte, family firewall.Family) []firewall.Step {
	return Decoder{Family: family}.Target(name, revision, data).Steps()
}

// MatchText is a match as iptables -S prints it.
func MatchText(name string, revision uint8, data []byte, family firewall.Family) string {
	return Decoder{Family: family}.Match(name, revision, data).String()
}

// TargetText is a target as iptables -S prints it.
func TargetText(name string, revision uint8, data []byte, family firewall.Family) string {
	return Decoder{Family: family}.Target(name, revision, data).String()
}

// A Decoder decodes the blobs of one machine.
type Decoder struct {
	// Family is IPv4 or IPv6.
	Family firewall.Family
	// BigEndian says that the machine keeps words most significant byte first.
	BigEndian bool
	// SetByIndex finds the ipset that a blob names by its number, and SetByName
	// the one that a text names; nil where ipsets can't be asked for.
	SetByIndex func(index uint16) (IPSet, bool)
	SetByName  func(name string) (IPSet, bool)
}

// An Extension is a decoded match or target.
type Extension struct {
	Name     string
	Revision uint8
	// Known says that the extension was understood; otherwise its step is Opaque.
	Known bool

	option  string // "-m" or "-j"
	body    extension
	decoder Decoder
}

// extension is what each kind of match or target implements.
type extension interface {
	// steps are what it matches or does.
	steps(d Decoder) []firewall.Step
	// String is its options as iptables -S prints them; empty if it has none.
	String() string
}

// Steps are what the extension matches or does, in order.
func (e Extension) Steps() []firewall.Step { return e.body.steps(e.decoder) }

// String is the extension as iptables -S prints it: "-m tcp --dport 22".
func (e Extension) String() string {
	name := e.Name
	if n, ok := e.body.(interface{ name() string }); ok {
		name = n.name()
	}
	text := e.option + " " + name
	options := e.body.String()
	if t, ok := e.body.(interface{ text(Decoder) string }); ok {
		options = t.text(e.decoder)
	}
	if options != "" {
		text += " " + options
	}
	return text
}

// kind is one extension of iptables: how its blob and its options are read.
type kind struct {
	// decode returns nil for a revision that it doesn't know.
	decode func(revision uint8, f *fields) extension
	// options are the names of its command line options, each with how many
	// arguments it takes, "?" for one or none: "dport=1 tcp-flags=2 syn=0".
	options string
	// parse reads the options given in a rule.
	parse func(g *given) extension
}

// Match decodes a match's blob.
func (d Decoder) Match(name string, revision uint8, data []byte) Extension {
	return d.decode("-m", matchKind(name, d.Family), name, revision, data)
}

// Target decodes a target's blob. The standard target's name is empty in a
// legacy table.
func (d Decoder) Target(name string, revision uint8, data []byte) Extension {
	return d.decode("-j", targetKind(name, d.Family), name, revision, data)
}

func (d Decoder) decode(option string, k *kind, name string, revision uint8, data []byte) Extension {
	e := Extension{Name: name, Revision: revision, option: option, decoder: d}
	if k != nil && k.decode != nil {
		f := &fields{data: data, order: d.order(), family: d.Family}
		if body := k.decode(revision, f); body != nil && !f.short {
			e.body, e.Known = body, true
			return e
		}
	}
	e.body = unknown{extensionName: name, data: data, target: option == "-j"}
	return e
}

func (d Decoder) order() binary.ByteOrder {
	if d.BigEndian {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// Comment is the text of a comment match.
func (e Extension) Comment() (string, bool) {
	c, ok := e.body.(comment)
	return string(c), ok
}

// Comment is the text of a comment match's blob.
func Comment(name string, data []byte) (string, bool) {
	if name != "comment" {
		return "", false
	}
	return cString(data), true
}

// unknown is an extension that is not understood.
type unknown struct {
	extensionName string
	data          []byte
	target        bool
	text          string
}

func (u unknown) steps(Decoder) []firewall.Step {
	return []firewall.Step{firewall.Opaque{Name: u.extensionName, Target: u.target, Data: u.data}}
}

func (u unknown) String() string {
	if u.text != "" {
		return u.text
	}
	if len(u.data) == 0 {
		return ""
	}
	return "[unsupported]"
}
