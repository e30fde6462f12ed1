package iptables

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/xt"
)

// decodeTable makes chains of a table's entries. A built-in chain starts where
// its hook enters, another behind an ERROR target with its name; each ends with
// the entry before the next one's start: a built-in one's policy, or a RETURN.
func decodeTable(p *protocolFamily, name string, i info, b []byte, sets Sets) (*firewall.Table, error) {
	entries, err := readEntries(p, b, i.count)
	if err != nil {
		return nil, fmt.Errorf("table %s: %w", name, err)
	}
	d := &tableDecoder{
		protocolFamily: p,
		table:          &firewall.Table{Backend: firewall.IptablesLegacy, Family: p.family, Name: name},
		info:           i,
		chainAt:        make(map[int]*firewall.Chain),
		chainNamed:     make(map[string]*firewall.Chain),
		names:          make(map[string]string),
		xt:             decoder(p.family, sets),
	}
	if err := d.chains(entries); err != nil {
		return nil, fmt.Errorf("table %s: %w", name, err)
	}
	if err := d.rules(); err != nil {
		return nil, fmt.Errorf("table %s: %w", name, err)
	}
	return d.table, nil
}

// decoder is the one for this machine's byte order.
func decoder(family firewall.Family, sets Sets) xt.Decoder {
	d := xt.Decoder{Family: family, BigEndian: binary.NativeEndian.Uint16([]byte{0, 1}) == 1}
	if sets != nil {
		d.SetByIndex, d.SetByName = sets.ByIndex, sets.ByName
	}
	return d
}

type tableDecoder struct {
	*protocolFamily
	table *firewall.Table
	info  info
	// bodies are the entries of each chain, without its head and tail.
	bodies     [][]entry
	chainAt    map[int]*firewall.Chain // by the offset of its first rule
	chainNamed map[string]*firewall.Chain
	names      map[string]string // of extensions, each kept once
	xt         xt.Decoder
}

func (d *tableDecoder) chains(entries []entry) error {
	var current *firewall.Chain
	start := 0
	// end closes the chain whose last entry is the one before n.
	end := func(n int) error {
		if current == nil {
			return nil
		}
		if n == start {
			return fmt.Errorf("chain %q has no end", current.Name)
		}
		d.bodies = append(d.bodies, entries[start:n-1])
		return d.endChain(current, entries[n-1])
	}
	for n, e := range entries {
		hook := d.hookAt(e.offset)
		if hook < 0 && string(e.target().name) != "ERROR" {
			continue
		}
		if err := end(n); err != nil {
			return err
		}
		name := ""
		switch {
		case hook >= 0:
			name, start = builtIn[hook], n
		case n < len(entries)-1: // the last ERROR ends the table
			named, _, _ := bytes.Cut(e.target().data, []byte{0})
			name, start = string(named), n+1
		default:
			return nil
		}
		if d.chainNamed[name] != nil {
			return fmt.Errorf("two chains %q", name)
		}
		current = d.newChain(name, entries[start].offset)
		if hook >= 0 {
			current.Base = base(d.table.Name, hook, firewall.Drop)
		}
	}
	return fmt.Errorf("%d entries without an end", len(entries))
}

func (d *tableDecoder) newChain(name string, offset int) *firewall.Chain {
	c := &firewall.Chain{Table: d.table, Name: name}
	d.table.Chains = append(d.table.Chains, c)
	d.chainAt[offset] = c
	d.chainNamed[name] = c
	return c
}

// hookAt is the hook that enters at an offset, -1 if none does.
func (d *tableDecoder) hookAt(offset int) int {
	for hook := range hookCount {
		if d.info.validHooks>>hook&1 != 0 && d.info.entry[hook] == uint32(offset) {
			return hook
		}
	}
	return -1
}

// hookOf is the hook of a built-in chain.
func (d *tableDecoder) hookOf(c *firewall.Chain) int { return slices.Index(hooks[:], c.Base.Hook) }

// endChain takes a built-in chain's policy from its last entry.
func (d *tableDecoder) endChain(c *firewall.Chain, tail entry) error {
	verdict, ok := standardVerdict(d.xt, tail)
	if c.Base == nil {
		if !ok || verdict != firewall.Return {
			return fmt.Errorf("chain %q doesn't end with RETURN", c.Name)
		}
		return nil
	}
	hook := d.hookOf(c)
	if !ok || verdict != firewall.Accept && verdict != firewall.Drop || d.info.underflow[hook] != uint32(tail.offset) {
		return fmt.Errorf("chain %q doesn't end with a policy", c.Name)
	}
	c.Base.Policy = verdict
	return nil
}

// standardVerdict is the verdict of an entry that matches everything.
func standardVerdict(d xt.Decoder, e entry) (firewall.VerdictCode, bool) {
	target := e.target()
	header := e.header()
	if e.targetOffset() != e.entrySize || !header.unconditional() || len(target.name) != 0 {
		return 0, false
	}
	steps := d.Target("", target.revision, target.data).Steps()
	if len(steps) != 1 {
		return 0, false
	}
	v, ok := steps[0].(firewall.Verdict)
	return v.Code, ok
}

func (d *tableDecoder) rules() error {
	for i, c := range d.table.Chains {
		if err := d.chainRules(c, d.bodies[i]); err != nil {
			return err
		}
	}
	return nil
}

// shareOfRules is how many rules are worth a processor of their own.
const shareOfRules = 512

// chainRules decodes a chain's rules, a large chain's on all processors.
func (d *tableDecoder) chainRules(c *firewall.Chain, entries []entry) error {
	c.Rules = make([]*firewall.Rule, len(entries))
	share := max(shareOfRules, (len(entries)+runtime.GOMAXPROCS(0)-1)/runtime.GOMAXPROCS(0))
	errs := make([]error, len(entries)/share+1)
	var decoding sync.WaitGroup
	for from := 0; from < len(entries); from += share {
		worker := *d
		worker.names = make(map[string]string)
		decoding.Go(func() {
			errs[from/share] = worker.someRules(c, entries, from, min(from+share, len(entries)))
		})
	}
	decoding.Wait()
	return errors.Join(errs...)
}

func (d *tableDecoder) someRules(c *firewall.Chain, entries []entry, from, to int) error {
	find := func(name string) *firewall.Chain { return d.chainNamed[name] }
	var matches []xt.Extension // kept from rule to rule
	for n := from; n < to; n++ {
		r, err := d.rule(c, entries[n], matches[:0])
		if err != nil {
			return fmt.Errorf("chain %q, rule %d: %w", c.Name, n+1, err)
		}
		matches = r.matches
		c.Rules[n] = r.model(c, n+1, find, kernelRule{d, c, entries[n]})
	}
	return nil
}

// rule. A standard target that jumps to the next entry is none at all: iptables
// writes rules without a target so. matches is where the rule's may be kept.
func (d *tableDecoder) rule(c *firewall.Chain, e entry, matches []xt.Extension) (rule, error) {
	r := rule{chain: c.Name, header: e.header(), matches: matches}
	e.matches(func(m extension) {
		r.matches = append(r.matches, d.xt.Match(d.intern(m.name), m.revision, m.data))
	})
	target := e.target()
	offset, jumps := d.xt.JumpOffset(target.data)
	if len(target.name) != 0 || !jumps {
		r.target, r.hasTarget = d.xt.Target(d.intern(target.name), target.revision, target.data), true
		return r, nil
	}
	if int(offset) == e.end() {
		return r, nil
	}
	chain := d.chainAt[int(offset)]
	if chain == nil {
		return r, fmt.Errorf("jump to byte %d, where no chain starts", offset)
	}
	r.jump = chain.Name
	return r, nil
}

func (d *tableDecoder) intern(name []byte) string {
	if s, ok := d.names[string(name)]; ok {
		return s
	}
	s := string(name)
	d.names[s] = s
	return s
}

// kernelRule prints a rule from its entry.
type kernelRule struct {
	decoder *tableDecoder
	chain   *firewall.Chain
	entry   entry
}

func (k kernelRule) String() string {
	r, err := k.decoder.rule(k.chain, k.entry, nil)
	if err != nil {
		return "-A " + k.chain.Name
	}
	return r.String()
}
