package xt

import (
	"bytes"
	"strings"

	"github.com/netglance/netglance/firewall"
)

// The bits of physdev's flags (xt_physdev.h).
const (
	physdevIn = 1 << iota
	physdevOut
	physdevBridged
	physdevIsIn
	physdevIsOut
)

// physdev is xt_physdev_info: the bridge ports of a packet that br_netfilter
// hands to iptables.
type physdev struct {
	in, out           [16]byte
	inMask, outMask   [16]byte
	invert, condition uint8
}

func decodePhysdev(_ uint8, f *fields) extension {
	return physdev{
		in: [16]byte(f.take(16)), inMask: [16]byte(f.take(16)),
		out: [16]byte(f.take(16)), outMask: [16]byte(f.take(16)),
		invert: f.u8(), condition: f.u8(),
	}
}

// steps. A packet without ports fails every condition that isn't inverted and
// meets every one that is.
func (p physdev) steps(Decoder) []firewall.Step {
	in, out := firewall.BridgePort{}, firewall.BridgePort{Out: true}
	var s []firewall.Step
	add := func(flag uint8, match firewall.Step) {
		if p.condition&flag != 0 {
			s = append(s, matchUnless(p.invert&flag != 0, match))
		}
	}
	add(physdevIsIn, loads(in, 16))
	add(physdevIn, interfaceName(in, p.in, p.inMask))
	add(physdevIsOut, loads(out, 16))
	add(physdevOut, interfaceName(out, p.out, p.outMask))
	add(physdevBridged, loads(out, 16))
	return s
}

// InterfaceStep matches an interface name under a mask, as the header of a
// legacy rule has it; nil where the mask is empty and every name matches.
func InterfaceStep(v firewall.Value, name, mask [16]byte, invert bool) firewall.Step {
	switch {
	case mask == [16]byte{} && !invert:
		return nil
	case mask == [16]byte{}:
		return never()
	}
	c, ok := interfaceName(v, name, mask).(firewall.Compare)
	if ok && invert {
		c.Op = firewall.NotEqual
	}
	return c
}

// InterfaceText is a name as iptables prints it, "+" at its end for a wildcard.
func InterfaceText(name, mask [16]byte) string { return interfaceText(name, mask) }

// InterfaceBytes are the bytes and the mask of a name as written; false where it
// is too long.
func InterfaceBytes(text string) (name, mask [16]byte, ok bool) { return interfaceBytes(text) }

// interfaceName compares a name under a mask: all 16 bytes, or those before a wildcard.
func interfaceName(v firewall.Value, name, mask [16]byte) firewall.Step {
	length := bytes.IndexByte(mask[:], 0)
	if length < 0 {
		length = 16
	}
	if !allBytes(mask[:length], 0xff) || !allBytes(mask[length:], 0) {
		return equal(masked(v, mask[:]), name[:], false)
	}
	if length > 0 && name[length-1] == 0 {
		length = 16
		name = [16]byte(append([]byte(cString(name[:])), make([]byte, 16-len(cString(name[:])))...))
	}
	if length == 0 {
		return loads(v, 16)
	}
	return equal(v, name[:length], false)
}

// interfaceText is a name, "+" at its end for a wildcard. iptables keeps the "+"
// behind the bytes that the mask covers.
func interfaceText(name, mask [16]byte) string {
	covered := bytes.IndexByte(mask[:], 0)
	if covered < 0 {
		covered = 16
	}
	text := cString(name[:covered])
	if covered < 16 && len(text) == covered {
		text += "+"
	}
	return text
}

// interfaceBytes are a name's bytes and mask: the mask covers the ending zero
// too unless the name ends in "+".
func interfaceBytes(text string) (name, mask [16]byte, ok bool) {
	if len(text) > 15 {
		return name, mask, false
	}
	prefix, wildcard := strings.CutSuffix(text, "+")
	copy(name[:], prefix)
	covered := len(prefix)
	if !wildcard {
		covered++
	}
	for i := range covered {
		mask[i] = 0xff
	}
	return name, mask, true
}

func (p physdev) String() string {
	var l line
	add := func(flag uint8, name string, arguments ...string) {
		if p.condition&flag != 0 {
			l.add(p.invert&flag != 0, name, arguments...)
		}
	}
	add(physdevIsIn, "--physdev-is-in")
	add(physdevIn, "--physdev-in", interfaceText(p.in, p.inMask))
	add(physdevIsOut, "--physdev-is-out")
	add(physdevOut, "--physdev-out", interfaceText(p.out, p.outMask))
	add(physdevBridged, "--physdev-is-bridged")
	return l.String()
}

const physdevOptions = "physdev-in=1 physdev-out=1 physdev-is-in=0 physdev-is-out=0 physdev-is-bridged=0"

func parsePhysdev(g *given) extension {
	var p physdev
	for _, o := range g.list {
		var flag uint8
		ok := true
		switch o.Name {
		case "physdev-in":
			flag = physdevIn
			p.in, p.inMask, ok = interfaceBytes(o.first())
		case "physdev-out":
			flag = physdevOut
			p.out, p.outMask, ok = interfaceBytes(o.first())
		case "physdev-is-in":
			flag = physdevIsIn
		case "physdev-is-out":
			flag = physdevIsOut
		case "physdev-is-bridged":
			flag = physdevBridged
		}
		if !ok {
			g.fail(o, "interface name too long")
		}
		p.condition |= flag
		if o.Invert {
			p.invert |= flag
		}
	}
	return p
}
