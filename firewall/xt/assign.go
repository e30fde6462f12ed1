package xt

import (
	"fmt"

	"github.com/netglance/netglance/firewall"
)

// classify is xt_classify_target_info (xt_CLASSIFY.h): skb->priority.
type classify struct{ priority uint32 }

func decodeClassify(_ uint8, f *fields) extension { return classify{f.u32()} }

func (c classify) steps(d Decoder) []firewall.Step {
	return one(firewall.Assign{Target: meta(firewall.MetaPriority), Value: firewall.Constant{Data: d.word32(c.priority)}})
}

func (c classify) String() string {
	return fmt.Sprintf("--set-class %04x:%04x", c.priority>>16, c.priority&0xffff)
}

func parseClassify(g *given) extension {
	var c classify
	for _, o := range g.list {
		var major, minor uint16
		if _, err := fmt.Sscanf(o.first(), "%x:%x", &major, &minor); err != nil {
			g.fail(o, "no class")
		}
		c.priority = uint32(major)<<16 | uint32(minor)
	}
	return c
}

// setClass is DSCP, TOS revision 1 and ECN (xt_DSCP.h, ipt_ECN.h): the bits of
// the IP header's class byte that mask covers are cleared, then value is XORed in.
type setClass struct {
	target      string
	value, mask uint8
}

func decodeSetDSCP(_ uint8, f *fields) extension { return setClass{"DSCP", f.u8() << 2, 0xfc} }

func decodeSetTOS(revision uint8, f *fields) extension {
	if revision != 1 {
		return nil
	}
	value, mask := f.u8(), f.u8()
	return setClass{"TOS", value, mask}
}

func (c setClass) steps(d Decoder) []firewall.Step { return one(d.assignClass(c.value, c.mask)) }

func (d Decoder) assignClass(value, mask uint8) firewall.Step {
	target := network(1, 1)
	kept, added := []byte{^mask}, []byte{value}
	if d.Family == firewall.FamilyIPv6 {
		target = network(0, 2)
		kept, added = be16(^(uint16(mask) << 4)), be16(uint16(value)<<4)
	}
	return firewall.Assign{Target: target, Value: firewall.Bitwise{
		Op: firewall.BitXor, Left: masked(target, kept), Right: firewall.Constant{Data: added}, Length: uint32(len(added)),
	}}
}

func (c setClass) String() string {
	if c.target == "DSCP" {
		return "--set-dscp " + paddedHex(c.value>>2)
	}
	return "--set-tos " + paddedHex(c.value) + "/" + paddedHex(c.mask)
}

func parseSetDSCP(g *given) extension {
	c := setClass{target: "DSCP", mask: 0xfc}
	for _, o := range g.list {
		c.value = g.dscpValue(o) << 2
	}
	return c
}

const setTOSOptions = "set-tos=1 and-tos=1 or-tos=1 xor-tos=1"

func parseSetTOS(g *given) extension {
	c := setClass{target: "TOS"}
	for _, o := range g.list {
		switch o.Name {
		case "set-tos":
			c.value, c.mask = g.tosValue(o)
		case "and-tos":
			c.mask = ^g.u8(o)
		case "or-tos":
			c.value = g.u8(o)
			c.mask = c.value
		case "xor-tos":
			c.value = g.u8(o)
		}
	}
	return c
}

// setECN is ipt_ECN_info (ipt_ECN.h): the ECN bits of the IP header are set, or
// those of the TCP header.
type setECN struct{ operation, ect, tcp uint8 }

func decodeSetECN(_ uint8, f *fields) extension { return setECN{f.u8(), f.u8(), f.u8()} }

func (e setECN) steps(d Decoder) []firewall.Step {
	var s []firewall.Step
	if e.operation&ecnIP != 0 {
		s = append(s, d.assignClass(e.ect, 3))
	}
	if bits := e.operation & (ecnECE | ecnCWR); bits != 0 {
		// ECE and CWR stand two bits higher in the TCP header.
		mask := bits << 2
		value := e.tcp & 3 << 6 & mask
		flags := transport(13, 1)
		s = append(s, firewall.Assign{Target: flags, Value: firewall.Bitwise{
			Op: firewall.BitXor, Left: masked(flags, []byte{^mask}), Right: firewall.Constant{Data: []byte{value}}, Length: 1,
		}})
	}
	return s
}

func (e setECN) String() string {
	var l line
	if e.operation&(ecnECE|ecnCWR) == ecnECE|ecnCWR && e.tcp == 0 {
		l.add(false, "--ecn-tcp-remove")
		return l.String()
	}
	if e.operation&ecnECE != 0 {
		l.add(false, "--ecn-tcp-ece", number(e.tcp&1))
	}
	if e.operation&ecnCWR != 0 {
		l.add(false, "--ecn-tcp-cwr", number(e.tcp>>1&1))
	}
	if e.operation&ecnIP != 0 {
		l.add(false, "--ecn-ip-ect", number(e.ect))
	}
	return l.String()
}

func parseSetECN(g *given) extension {
	var e setECN
	for _, o := range g.list {
		switch o.Name {
		case "ecn-tcp-remove":
			e.operation |= ecnECE | ecnCWR
		case "ecn-ip-ect":
			e.operation |= ecnIP
			e.ect = g.u8(o)
		}
	}
	return e
}

// setHops is ipt_TTL_info and ip6t_HL_info (ipt_TTL.h, ip6t_HL.h).
type setHops struct {
	v6          bool
	mode, value uint8
}

func decodeSetTTL(_ uint8, f *fields) extension { return readSetHops(f, false) }
func decodeSetHL(_ uint8, f *fields) extension  { return readSetHops(f, true) }

func readSetHops(f *fields, v6 bool) extension {
	h := setHops{v6, f.u8(), f.u8()}
	if h.mode > 2 {
		return nil
	}
	return h
}

// steps. What comes out of adding depends on the sender's own number.
func (h setHops) steps(Decoder) []firewall.Step {
	target := hopLimit(h.v6)
	if h.mode == 0 {
		return one(firewall.Assign{Target: target, Value: firewall.Constant{Data: []byte{h.value}}})
	}
	return one(firewall.Assign{Target: target, Value: firewall.Unpredictable{Kind: firewall.Sender, Name: h.target(), Text: "-j " + h.target() + " " + h.String(), Length: 1}})
}

func (h setHops) target() string { return [...]string{"TTL", "HL"}[boolIndex(h.v6)] }

func (h setHops) String() string {
	prefix := [...]string{"--ttl-", "--hl-"}[boolIndex(h.v6)]
	return prefix + [...]string{"set", "inc", "dec"}[h.mode] + " " + number(h.value)
}

func parseSetTTL(g *given) extension { return g.setHops(setHops{}) }
func parseSetHL(g *given) extension  { return g.setHops(setHops{v6: true}) }

func (g *given) setHops(h setHops) extension {
	for _, o := range g.list {
		h.mode = map[string]uint8{"set": 0, "inc": 1, "dec": 2}[o.Name[len(o.Name)-3:]]
		h.value = g.u8(o)
	}
	return h
}

// tee is xt_tee_tginfo (xt_TEE.h): a copy of the packet goes to a gateway.
type tee struct {
	gateway address
	device  string
}

func decodeTee(_ uint8, f *fields) extension { return tee{f.address(), f.name(16)} }

func (t tee) steps(Decoder) []firewall.Step {
	return one(firewall.Dup{Address: firewall.Constant{Data: t.gateway}})
}

func (t tee) String() string {
	var l line
	l.add(false, "--gateway", t.gateway.String())
	if t.device != "" {
		l.add(false, "--oif", t.device)
	}
	return l.String()
}

func parseTee(g *given) extension {
	var t tee
	for _, o := range g.list {
		if o.Name == "gateway" {
			t.gateway = g.address(o, o.first())
		} else {
			t.device = o.first()
		}
	}
	return t
}
