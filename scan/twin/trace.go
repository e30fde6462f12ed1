package twin

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/internal/netlink"
	"github.com/netglance/netglance/scan/packets"
)

// A Step is one step of a packet through nf_tables, as the kernel traces it
// (NFT_MSG_TRACE).
type Step struct {
	Family       firewall.Family
	Table, Chain string
	// Rule is nil for a policy, and for a rule that netglance doesn't know.
	Rule *firewall.Rule
	// Policy says that a base chain's policy decided.
	Policy bool
	// Verdict is nft's word: accept, drop, jump, goto, return, continue …
	Verdict string
	// Target is the chain of a jump or goto.
	Target string
}

// Attributes of a trace message (include/uapi/linux/netfilter/nf_tables.h), and
// what its type may be.
const (
	nftTrace = subsystemNFTables | 17

	traceTable     = 1
	traceChain     = 2
	traceHandle    = 3
	traceType      = 4
	traceVerdict   = 5
	traceID        = 6
	traceTransport = 9
	tracePolicy    = 16

	traceTypePolicy = 1

	verdictCode  = 1
	verdictChain = 2

	// groupTrace is NFNLGRP_NFTRACE.
	groupTrace = 9

	nftDeleteTable = subsystemNFTables | 2
)

// verdicts are those of nf_tables and netfilter, signed 32-bit numbers.
var verdicts = map[int32]string{
	0: "drop", 1: "accept", 2: "stolen", 3: "queue", 4: "repeat",
	-1: "continue", -2: "break", -3: "jump", -4: "goto", -5: "return",
}

// The table that turns tracing on.
const (
	traceTableName = "netglance_trace"
	traceChainName = "trace"
)

// maxTraced is how many probes' rules are compared.
const maxTraced = 400

// traceSample compares the deciding rule for one probe of each part.
func (v *verifier) traceSample(list []witness, doubts map[packets.Probe]string) error {
	var sample []witness
	taken := map[[2]int]bool{}
	for _, w := range list {
		at := [2]int{w.port, w.way}
		if taken[at] || doubts[w.probe] != "" || !traceable(v.ports[w.port].Ways[w.way].Part) {
			continue
		}
		taken[at] = true
		sample = append(sample, w)
	}
	sample = some(rand.New(rand.NewPCG(3, 4)), sample, maxTraced)
	if len(sample) == 0 {
		return nil
	}
	return v.tracing(func(trace func(packets.Probe) ([]Step, error)) error {
		for _, w := range sample {
			steps, err := trace(w.probe)
			if err != nil {
				return err
			}
			v.result.Traced++
			v.compareRule(w, steps)
		}
		return nil
	})
}

// traceable says that a rule of nf_tables decided, which the packet meets at or
// after prerouting.
func traceable(part firewall.Part) bool {
	d := part.DecidedBy
	if d.Namespace != "" || d.Chain == nil || d.Chain.Table == nil || part.Fate == firewall.Conditional || strings.HasPrefix(d.Text, firewall.AnswerLost) {
		return false
	}
	base := d.Chain.Base
	if len(d.Via) > 0 {
		base = d.Via[0].Chain.Base
	}
	return d.Chain.Table.Backend != firewall.IptablesLegacy && base != nil && base.Hook != firewall.Ingress
}

// compareRule looks for netglance's decision among the kernel's steps.
func (v *verifier) compareRule(w witness, steps []Step) {
	way := v.ports[w.port].Ways[w.way]
	if decidedAlike(way.Part, steps) {
		return
	}
	p := &v.result.Ports[w.port]
	if len(p.OtherRules) == maxConflicts {
		return
	}
	said := v.judges.Host.Explain(w.query(way.Interface))
	p.OtherRules = append(p.OtherRules, Conflict{Way: w.way, Probe: w.probe, Said: said, Fate: way.Part.Fate, Steps: steps})
}

// decidedAlike says that the rule or policy which decided is one that the kernel
// went by: the last one for a packet that did not get through, any that accepted
// for one that did, since every base chain may accept.
func decidedAlike(part firewall.Part, steps []Step) bool {
	is := func(s Step) bool {
		c := part.DecidedBy.Chain
		return s.Family == c.Table.Family && s.Table == c.Table.Name && s.Chain == c.Name && sameRule(s.Rule, part.DecidedBy.Rule) &&
			(part.DecidedBy.Rule != nil || s.Policy)
	}
	if part.Fate == firewall.Accepted {
		return slices.ContainsFunc(steps, is)
	}
	return len(steps) > 0 && is(steps[len(steps)-1])
}

// sameRule knows rules of one chain by their handles too: an evaluation may have
// worked on a copy.
func sameRule(a, b *firewall.Rule) bool {
	return a == b || a != nil && b != nil && a.Handle != 0 && a.Handle == b.Handle
}

// tracing runs f while every packet that comes in is traced. Nothing that decides
// is added: a chain before all others that only sets the mark for it.
func (t *Twin) tracing(f func(trace func(packets.Probe) ([]Step, error)) error) error {
	handles, err := t.handles()
	if err != nil {
		return err
	}
	name := t.freeTable()
	if err := t.batch(traceTableMessages(name)); err != nil {
		t.gap("the kernel's way through the rules", err) // a kernel without tracing
		return f(func(packets.Probe) ([]Step, error) { return nil, nil })
	}
	followed, err := t.kernel.Follow(protocolNetfilter, groupTrace)
	if err != nil {
		return err
	}
	trace := func(p packets.Probe) ([]Step, error) {
		if _, err := t.alone(p); err != nil {
			return nil, err
		}
		return t.heard(followed, handles, p)
	}
	gone := nftRequest(nftDeleteTable, 0, byte(firewall.FamilyInet), netlink.AppendString(nil, attributeTable, name), "")
	return errors.Join(f(trace), t.batch([]request{gone}))
}

// alone sends one packet without any other before it.
func (t *Twin) alone(probe packets.Probe) (packets.Outcome, error) {
	if err := t.forgetFlows(); err != nil {
		return packets.Outcome{}, err
	}
	outcomes, err := t.prober.Probe([]packets.Probe{probe})
	if err != nil {
		return packets.Outcome{}, err
	}
	return outcomes[0], nil
}

// freeTable is a name that no table of the host has.
func (t *Twin) freeTable() string {
	name := traceTableName
	for slices.ContainsFunc(t.host.Rules.Tables, func(table *firewall.Table) bool { return table.Name == name }) {
		name += "_"
	}
	return name
}

// traceTableMessages are: table inet NAME { chain trace { type filter hook
// prerouting priority -2147483648; meta nftrace set 1; } }
func traceTableMessages(name string) []request {
	const prerouting, first, register, metaTrace = 0, 1 << 31, 1, 12
	const chain = traceChainName
	table := netlink.AppendString(nil, attributeTable, name)
	hook := netlink.AppendAttribute(netlink.AppendAttribute(nil, 1, be32(prerouting)), 2, be32(first))
	c := netlink.AppendString(netlink.AppendString(nil, attributeTable, name), chainName, chain)
	c = netlink.AppendAttribute(c, chainHook|nested, hook)
	c = netlink.AppendString(c, chainType, "filter")
	value := netlink.AppendAttribute(nil, dataValue, []byte{1})
	load := netlink.AppendAttribute(netlink.AppendAttribute(nil, 1, be32(register)), 2|nested, value)         // immediate: dreg, data
	set := netlink.AppendAttribute(netlink.AppendAttribute(nil, metaKey, be32(metaTrace)), 3, be32(register)) // meta: key, sreg
	var list []byte
	for _, e := range []struct {
		name string
		data []byte
	}{{"immediate", load}, {"meta", set}} {
		b := netlink.AppendString(nil, expressionName, e.name)
		list = netlink.AppendAttribute(list, 1|nested, netlink.AppendAttribute(b, expressionData|nested, e.data))
	}
	r := netlink.AppendString(netlink.AppendString(nil, attributeTable, name), ruleChain, chain)
	r = netlink.AppendAttribute(r, ruleExpressions|nested, list)
	inet := byte(firewall.FamilyInet)
	return []request{
		nftRequest(nftNewTable, flagCreate, inet, table, "a table"),
		nftRequest(nftNewChain, flagCreate, inet, c, "a chain"),
		nftRequest(nftNewRule, flagCreate|flagAppend, inet, r, "a rule"),
	}
}

// batch sends one transaction, whole or not at all.
func (t *Twin) batch(requests []request) error {
	messages := [][]byte{batchMark(batchBegin)}
	for _, r := range requests {
		messages = append(messages, r.bytes)
	}
	said, err := t.kernel.Transact(protocolNetfilter, append(messages, batchMark(batchEnd)))
	return errors.Join(append(said, err)...)
}

// A handleKey is the kernel's number of a rule in its chain.
type handleKey struct {
	chain  chainKey
	handle uint64
}

// handles are the twin's rules by their numbers, which are not the host's.
func (t *Twin) handles() (map[handleKey]*firewall.Rule, error) {
	reply, err := t.kernel.Request(protocolNetfilter, netlink.Request(nftGetRule, netlink.FlagDump, make([]byte, nfgenLength)))
	if err != nil {
		return nil, fmt.Errorf("the twin's rules: %w", err)
	}
	handles := map[handleKey]*firewall.Rule{}
	next := map[chainKey]int{}
	err = netlink.Each(reply, func(m netlink.Message) error {
		if m.Type != nftNewRule || len(m.Data) < nfgenLength {
			return nil
		}
		list := m.Data[nfgenLength:]
		key := chainKey{firewall.Family(m.Data[0]), text(list, attributeTable), text(list, ruleChain)}
		if i := next[key]; i < len(t.loaded[key]) {
			handles[handleKey{key, long(attribute(list, ruleHandle))}] = t.loaded[key][i]
		}
		next[key]++
		return nil
	})
	return handles, err
}

func long(b []byte) uint64 {
	if len(b) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

// heard reads a probe's steps. A packet's number changes on its way through a bridge,
// and the answer to a forwarded one is traced too, so packets are told apart by their
// headers, which stand in the first message of a number.
func (t *Twin) heard(followed int, handles map[handleKey]*firewall.Rule, p packets.Probe) ([]Step, error) {
	var steps []Step
	ours := map[string]bool{}
	err := t.kernel.Heard(followed, func(datagram []byte) {
		_ = netlink.Each(datagram, func(m netlink.Message) error { // the kernel's own messages are whole
			if m.Type != nftTrace || len(m.Data) < nfgenLength {
				return nil
			}
			list := m.Data[nfgenLength:]
			id := string(attribute(list, traceID))
			if header := attribute(list, traceTransport); header != nil {
				ours[id] = startsFlow(p, header)
			}
			if ours[id] {
				steps = append(steps, readStep(firewall.Family(m.Data[0]), list, handles))
			}
			return nil
		})
	})
	// The first steps are those that turned the trace on.
	return slices.DeleteFunc(steps, func(s Step) bool { return s.Chain == traceChainName && strings.HasPrefix(s.Table, traceTableName) }), err
}

// startsFlow says that a transport header is the probe's, not its answer's.
func startsFlow(p packets.Probe, header []byte) bool {
	if p.Protocol == protocolTCP {
		const synAck = 0x12
		return len(header) >= 14 && header[13]&synAck == 0x02
	}
	return len(header) >= 2 && binary.BigEndian.Uint16(header) == p.SourcePort
}

func readStep(family firewall.Family, list []byte, handles map[handleKey]*firewall.Rule) Step {
	s := Step{Family: family, Table: text(list, traceTable), Chain: text(list, traceChain)}
	if word(attribute(list, traceType)) == traceTypePolicy {
		s.Policy = true
		s.Verdict = verdicts[int32(word(attribute(list, tracePolicy)))]
		return s
	}
	verdict := attribute(list, traceVerdict)
	s.Verdict = verdicts[int32(word(attribute(verdict, verdictCode)))]
	s.Target = text(verdict, verdictChain)
	s.Rule = handles[handleKey{chainKey{family, s.Table, s.Chain}, long(attribute(list, traceHandle))}]
	return s
}
