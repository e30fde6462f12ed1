package twin

import (
	"errors"
	"fmt"
	"slices"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/internal/netlink"
)

// Messages of nf_tables (include/uapi/linux/netfilter/nf_tables.h) and of a batch
// (nfnetlink.h).
const (
	subsystemNFTables = 10 << 8

	nftNewTable   = subsystemNFTables
	nftNewChain   = subsystemNFTables | 3
	nftNewRule    = subsystemNFTables | 6
	nftGetRule    = subsystemNFTables | 7
	nftNewSet     = subsystemNFTables | 9
	nftNewElement = subsystemNFTables | 12
	nftGetElement = subsystemNFTables | 13
	nftNewObject  = subsystemNFTables | 18

	batchBegin = 16
	batchEnd   = 17

	nfgenLength = 4
)

// Attributes. Those of everything but tables start with the table, then the name.
const (
	attributeTable = 1
	attributeName  = 2

	tableNameAttribute = 1
	tableFlags         = 2
	tableUserdata      = 6
	tableDormant       = 1

	chainName     = 3
	chainHook     = 4
	chainPolicy   = 5
	chainType     = 7
	chainFlags    = 10
	chainUserdata = 12
	chainBase     = 1

	ruleChain       = 2
	ruleHandle      = 3
	ruleExpressions = 4
	ruleCompat      = 5
	ruleUserdata    = 7

	setFlags     = 3
	setID        = 10
	setHandle    = 16
	setType      = 19 // kernel 6.16
	setCount     = 20
	setAnonymous = 1

	elementList       = 3
	elementKey        = 1
	elementFlags      = 3
	elementExpiration = 5
	elementEnd        = 1 // NFT_SET_ELEM_INTERVAL_END

	objectType     = 3
	objectData     = 4
	objectUserdata = 8
)

// A chainKey names a chain.
type chainKey struct {
	family      firewall.Family
	table, name string
}

// A replayed message is one of the batch that makes the host's nf_tables anew.
type replayed struct {
	request
	// rule is set for rules, as netglance reads it; nil if it is not known.
	rule *firewall.Rule
	// chain is set for rules and chains.
	chain chainKey
	base  bool // a base chain: without it, its policy is lost too
}

// nftRequest is a message about something of a family.
func nftRequest(messageType, flags uint16, family byte, attributes []byte, what string) request {
	return newRequest(messageType, flags, append([]byte{family, 0, 0, 0}, attributes...), what)
}

// loadTables replays nf_tables as one transaction. What the kernel refuses is left
// out, with what it carries along, and the rest tried again.
func (t *Twin) loadTables() error {
	batch, err := t.replay()
	if err != nil {
		return err
	}
	for len(batch) > 0 {
		rest, err := t.transact(batch)
		if err != nil {
			t.Useless = fmt.Errorf("the kernel did not take the rules: %w", err)
			return nil
		}
		if len(rest) == len(batch) {
			break
		}
		batch = rest
	}
	for _, m := range batch {
		if m.rule != nil {
			t.loaded[m.chain] = append(t.loaded[m.chain], m.rule)
		}
	}
	return nil
}

// transact sends the batch, and returns what remains without what was refused.
func (t *Twin) transact(batch []replayed) (rest []replayed, err error) {
	messages := make([][]byte, 0, len(batch)+2)
	messages = append(messages, batchMark(batchBegin))
	for _, m := range batch {
		messages = append(messages, m.bytes)
	}
	messages = append(messages, batchMark(batchEnd))
	said, err := t.kernel.Transact(protocolNetfilter, messages)
	if err != nil {
		return nil, err
	}
	for i, m := range batch {
		if said[i+1] == nil {
			rest = append(rest, m)
			continue
		}
		t.refuse(m, said[i+1])
	}
	if len(rest) == len(batch) {
		return rest, errors.Join(said[0], said[len(said)-1])
	}
	return rest, nil
}

// batchMark begins or ends a batch for nf_tables: the subsystem stands in the
// resource id, in network order.
func batchMark(messageType uint16) []byte {
	return netlink.Request(messageType, 0, []byte{0, 0, 0, subsystemNFTables >> 8})
}

// refuse notes what the kernel did not take.
func (t *Twin) refuse(m replayed, why error) {
	t.gap(m.what+" is refused by this kernel", why)
	if m.rule != nil {
		t.refused[m.rule] = true
	}
	if m.base {
		t.Useless = fmt.Errorf("this kernel does not take %s: %w", m.what, why)
	}
}

// replay makes the batch, in the order in which things refer to each other.
func (t *Twin) replay() ([]replayed, error) {
	var batch []replayed
	tape := t.host.Tape
	for _, data := range tape.messages(protocolNetfilter, nftNewTable) {
		if len(data) >= nfgenLength {
			batch = append(batch, replayed{request: replayTable(data)})
		}
	}
	for _, data := range tape.messages(protocolNetfilter, nftNewChain) {
		if len(data) >= nfgenLength {
			batch = append(batch, replayChain(data))
		}
	}
	for _, data := range tape.messages(protocolNetfilter, nftNewObject) {
		if len(data) >= nfgenLength {
			b := keep(data[nfgenLength:], attributeTable, attributeName, objectType, objectData, objectUserdata)
			batch = append(batch, replayed{request: nftRequest(nftNewObject, flagCreate, data[0], b, "the object "+named(data))})
		}
	}
	sets, err := t.replaySets()
	if err != nil {
		return nil, err
	}
	return append(append(batch, sets...), t.replayRules()...), nil
}

// named is the family, table and name of a set, object or chain.
func named(data []byte) string {
	list := data[nfgenLength:]
	return fmt.Sprintf("%s %s %s", firewall.Family(data[0]), text(list, attributeTable), text(list, attributeName))
}

func replayTable(data []byte) request {
	list := data[nfgenLength:]
	b := keep(list, tableNameAttribute, tableUserdata)
	// An owner's table would go away with our socket.
	b = netlink.AppendAttribute(b, tableFlags, be32(word(attribute(list, tableFlags))&tableDormant))
	return nftRequest(nftNewTable, flagCreate, data[0], b, fmt.Sprintf("the table %s %s", firewall.Family(data[0]), text(list, tableNameAttribute)))
}

// replayChain keeps of the flags only that it is a base chain: hardware is not
// there to offload to, and a chain of one rule's own is one like others.
func replayChain(data []byte) replayed {
	list := data[nfgenLength:]
	b := keep(list, attributeTable, chainName, chainHook, chainPolicy, chainType, chainUserdata)
	hooked := attribute(list, chainHook) != nil
	if hooked {
		b = netlink.AppendAttribute(b, chainFlags, be32(chainBase))
	}
	key := chainKey{firewall.Family(data[0]), text(list, attributeTable), text(list, chainName)}
	what := fmt.Sprintf("the chain %s %s %s", key.family, key.table, key.name)
	return replayed{request: nftRequest(nftNewChain, flagCreate, data[0], b, what), chain: key, base: hooked}
}

// replaySets makes all sets, then their elements.
func (t *Twin) replaySets() ([]replayed, error) {
	var sets, elements []replayed
	for i, data := range t.host.Tape.messages(protocolNetfilter, nftNewSet) {
		if len(data) < nfgenLength {
			continue
		}
		b := without(data[nfgenLength:], func(number uint16) bool {
			return number == setHandle || number == setType || number == setCount || number == setID
		})
		b = netlink.AppendAttribute(b, setID, be32(uint32(i+1)))
		sets = append(sets, replayed{request: nftRequest(nftNewSet, flagCreate, data[0], b, "the set "+named(data))})
		t.fetchElements(data)
	}
	for _, data := range t.host.Tape.messages(protocolNetfilter, nftNewElement) {
		if len(data) >= nfgenLength {
			elements = append(elements, replayElements(data))
		}
	}
	return append(sets, elements...), nil
}

// fetchElements reads the elements of a set that was too large to be read before.
func (t *Twin) fetchElements(set []byte) {
	b := netlink.AppendString(nil, attributeTable, text(set[nfgenLength:], attributeTable))
	b = netlink.AppendString(b, attributeName, text(set[nfgenLength:], attributeName))
	ask := netlink.Request(nftGetElement, netlink.FlagDump, append([]byte{set[0], 0, 0, 0}, b...))
	if t.host.Tape.answered(protocolNetfilter, ask) {
		return
	}
	err := errNotRecorded
	if t.host.Source != nil {
		var reply []byte
		if reply, err = t.host.Source.Netlink(protocolNetfilter, ask); err == nil {
			t.host.Tape.KeepNetlink(protocolNetfilter, ask, reply)
			return
		}
	}
	what := "the elements of the set " + named(set)
	t.gap(what, err)
	t.refuseUsers(firewall.Family(set[0]), text(set[nfgenLength:], attributeTable), text(set[nfgenLength:], attributeName))
}

// replayElements lets elements with a timeout begin it anew.
func replayElements(data []byte) replayed {
	list := data[nfgenLength:]
	b := keep(list, attributeTable, attributeName)
	var elements []byte
	for _, e := range rawAttributes(attribute(list, elementList)) {
		left := without(e.data(), func(number uint16) bool { return number == elementExpiration })
		if word(attribute(e.data(), elementFlags))&elementEnd != 0 {
			left = keep(e.data(), elementKey, elementFlags) // the end of a range has nothing else
		}
		elements = netlink.AppendAttribute(elements, e.number|nested, left)
	}
	b = netlink.AppendAttribute(b, elementList|nested, elements)
	return replayed{request: nftRequest(nftNewElement, flagCreate, data[0], b, "elements of the set "+named(data))}
}

// nested is NLA_F_NESTED.
const nested = 0x8000

// replayRules keeps of a rule what it does and its comment.
func (t *Twin) replayRules() []replayed {
	count := map[chainKey]int{}
	var rules []replayed
	for _, data := range t.host.Tape.messages(protocolNetfilter, nftNewRule) {
		if len(data) < nfgenLength {
			continue
		}
		list := data[nfgenLength:]
		key := chainKey{firewall.Family(data[0]), text(list, attributeTable), text(list, ruleChain)}
		count[key]++
		b := keep(list, attributeTable, ruleChain, ruleExpressions, ruleUserdata)
		if compat := compatibility(key.family, attribute(list, ruleExpressions)); compat != nil {
			b = netlink.AppendAttribute(b, ruleCompat|nested, compat)
		}
		what := fmt.Sprintf("rule %d of %s %s %s", count[key], key.family, key.table, key.name)
		m := replayed{request: nftRequest(nftNewRule, flagCreate|flagAppend, data[0], b, what), chain: key}
		if m.rule = t.rule(key, count[key]); m.rule != nil {
			m.what += " (" + m.rule.Text() + ")"
		}
		rules = append(rules, m)
	}
	return rules
}

// rule is the nth rule of a chain as netglance reads it.
func (t *Twin) rule(key chainKey, number int) *firewall.Rule {
	for _, table := range t.host.Rules.Tables {
		if table.Family != key.family || table.Name != key.table || table.Backend == firewall.IptablesLegacy {
			continue
		}
		i := slices.IndexFunc(table.Chains, func(c *firewall.Chain) bool { return c.Name == key.name })
		if i >= 0 && number <= len(table.Chains[i].Rules) {
			return table.Chains[i].Rules[number-1]
		}
	}
	return nil
}
