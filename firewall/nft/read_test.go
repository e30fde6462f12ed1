package nft_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/nft"
	"github.com/netglance/netglance/internal/netlink"
)

// source is a kernel as a function.
type source func(request netlink.Message) ([]byte, error)

func (s source) Netlink(_ int, request []byte) (answer []byte, err error) {
	_ = netlink.Each(request, func(m netlink.Message) error {
		answer, err = s(m)
		return nil
	})
	return answer, err
}

const (
	msgNewChain, msgNewRule, msgNewTable, msgGetGen, msgGetRule = 10<<8 | 3, 10<<8 | 6, 10 << 8, 10<<8 | 16, 10<<8 | 7
)

func TestNoPermissionIsNotNoFirewall(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EPERM, syscall.EACCES} {
		ruleset, found := nft.Read(source(func(netlink.Message) ([]byte, error) { return nil, fmt.Errorf("netlink: %w", errno) }), nil)
		if len(ruleset.Tables) != 0 || len(found) != 1 || !errors.Is(found[0].Err, fs.ErrPermission) || found[0].Hint == "" {
			t.Errorf("%v: %d tables, gaps %v", errno, len(ruleset.Tables), found)
		}
	}
}

func TestAKernelWithoutNFTablesHasNoRules(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EINVAL, syscall.EPROTONOSUPPORT, syscall.EOPNOTSUPP, syscall.ENOENT} {
		ruleset, found := nft.Read(source(func(netlink.Message) ([]byte, error) { return nil, errno }), nil)
		if len(ruleset.Tables) != 0 || len(found) != 0 || ruleset.Unstable {
			t.Errorf("%v: %d tables, gaps %v", errno, len(ruleset.Tables), found)
		}
	}
}

func TestAChangingGenerationIsReadAgain(t *testing.T) {
	heap := recorded(t, "sets")
	for changes, unstable := range map[int]bool{0: false, 3: false, 1000: true} {
		asked := 0
		ruleset, found := nft.Read(source(func(m netlink.Message) ([]byte, error) {
			if m.Type == msgGetGen {
				asked++
				return generation(uint32(min(asked, changes))), nil
			}
			return heap.Netlink(netfilter, netlink.Request(m.Type, m.Flags, m.Data))
		}), nil)
		if ruleset.Unstable != unstable || (len(found) != 0) != unstable || len(ruleset.Tables) != 2 {
			t.Errorf("%d changes: unstable %t, %d tables, gaps %v", changes, ruleset.Unstable, len(ruleset.Tables), found)
		}
	}
}

func TestAnInterruptedDumpIsReadAgain(t *testing.T) {
	heap := recorded(t, "sets")
	for tears, unstable := range map[int]bool{1: false, 1000: true} {
		torn := 0
		ruleset, _ := nft.Read(source(func(m netlink.Message) ([]byte, error) {
			answer, err := heap.Netlink(netfilter, netlink.Request(m.Type, m.Flags, m.Data))
			if m.Type == 10<<8|4 && torn < tears && len(answer) > 8 { // NFT_MSG_GETCHAIN
				torn++
				binary.NativeEndian.PutUint16(answer[6:], netlink.FlagDumpIntr|netlink.FlagMulti)
			}
			return answer, err
		}), nil)
		if ruleset.Unstable != unstable {
			t.Errorf("%d torn dumps: unstable %t", tears, ruleset.Unstable)
		}
	}
}

func TestAnUnreadableChainIsAGap(t *testing.T) {
	heap := recorded(t, "sets")
	_, found := nft.Read(source(func(m netlink.Message) ([]byte, error) {
		if m.Type == msgGetRule {
			return nil, syscall.EIO
		}
		return heap.Netlink(netfilter, netlink.Request(m.Type, m.Flags, m.Data))
	}), nil)
	if len(found) == 0 || !errors.Is(found[0].Err, syscall.EIO) || !strings.Contains(found[0].Reason, "chain") {
		t.Errorf("gaps %v", found)
	}
}

// attributes and their kin build messages as the kernel does.
func generation(id uint32) []byte { return message(10<<8|15, 0, attr(1, be32(id))) }

func message(messageType uint16, family byte, attributes ...[]byte) []byte {
	m := netlink.Request(messageType, netlink.FlagMulti, append([]byte{family, 0, 0, 0}, join(attributes)...))
	return m
}

func attr(number uint16, data []byte) []byte { return netlink.AppendAttribute(nil, number, data) }

func text(number uint16, s string) []byte { return netlink.AppendString(nil, number, s) }

func be32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

func join(parts [][]byte) []byte {
	var all []byte
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// expression is an NFTA_LIST_ELEM with an expression.
func expression(name string, attributes ...[]byte) []byte {
	return attr(1, append(text(1, name), attr(2, join(attributes))...))
}

// value is a nested NFTA_DATA_VALUE.
func value(number uint16, data ...byte) []byte { return attr(number, attr(1, data)) }

func verdict(code int32, chain string) []byte {
	v := attr(1, be32(uint32(code)))
	if chain != "" {
		v = append(v, text(2, chain)...)
	}
	return expression("immediate", attr(1, be32(0)), attr(2, attr(2, v)))
}

// steps decodes one rule of a table of both families.
func steps(t *testing.T, expressions ...[]byte) []firewall.Step {
	t.Helper()
	heap := join([][]byte{
		generation(1),
		message(msgNewTable, 1, text(1, "t")),
		message(msgNewChain, 1, text(1, "t"), text(3, "c")),
		message(msgNewRule, 1, text(1, "t"), text(2, "c"), attr(4, join(expressions))),
	})
	ruleset, found := nft.Read(messages(heap), nil)
	if len(found) != 0 || len(ruleset.Tables) != 1 || len(ruleset.Tables[0].Chains[0].Rules) != 1 {
		t.Fatalf("gaps %v, ruleset %s", found, dump(ruleset))
	}
	rule := ruleset.Tables[0].Chains[0].Rules[0]
	t.Log(rule.Text())
	return rule.Steps
}

func dumped(t *testing.T, expressions ...[]byte) string {
	t.Helper()
	var all []string
	for _, step := range steps(t, expressions...) {
		all = append(all, dumpStep(step))
	}
	return strings.Join(all, "; ")
}

func loadMeta(key, dreg uint32) []byte {
	return expression("meta", attr(1, be32(dreg)), attr(2, be32(key)))
}

func loadPayload(base, offset, length, dreg uint32) []byte {
	return expression("payload", attr(1, be32(dreg)), attr(2, be32(base)), attr(3, be32(offset)), attr(4, be32(length)))
}

func compare(sreg uint32, data ...byte) []byte {
	return expression("cmp", attr(1, be32(sreg)), attr(2, be32(0)), value(3, data...))
}

func TestAnUnknownExpressionIsKeptAndNoRegisterTrustedAfterIt(t *testing.T) {
	got := dumped(t, loadMeta(16, 1), expression("novelty", attr(7, []byte{1, 2})), compare(1, 6), verdict(1, ""))
	want := "firewall.Opaque{novelty true [6 0 7 0 1 2 0 0]}; Compare{0 OpaqueValue{novelty [] 4} 06}; accept 0 false"
	if got != want && !strings.HasPrefix(got, "firewall.Opaque{novelty true [6 0 7 0 1 2") {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if !strings.Contains(got, "OpaqueValue{novelty") || strings.Contains(got, "Meta") {
		t.Errorf("a register is trusted: %s", got)
	}
}

func TestAnUnknownAttributeMakesTheExpressionOpaque(t *testing.T) {
	got := steps(t, expression("cmp", attr(1, be32(1)), attr(2, be32(0)), value(3, 6), attr(9, be32(1))))
	if o, ok := got[0].(firewall.Opaque); !ok || o.Name != "cmp" || o.Target {
		t.Errorf("got %v", got)
	}
	got = steps(t, expression("nat", attr(1, be32(0)), attr(2, be32(2)), attr(14, be32(1))))
	if o, ok := got[0].(firewall.Opaque); !ok || !o.Target {
		t.Errorf("got %v", got)
	}
}

func TestAJumpToAMissingChainIsOpaque(t *testing.T) {
	got := steps(t, verdict(-3, "gone"))
	if o, ok := got[0].(firewall.Opaque); !ok || !o.Target {
		t.Errorf("got %v", got)
	}
	if v, ok := steps(t, verdict(-3, "c"))[0].(firewall.Verdict); !ok || v.Code != firewall.Jump || v.Chain == nil {
		t.Errorf("a jump to a chain that is there: %v", v)
	}
}

func TestABreakVerdictNeverMatches(t *testing.T) {
	if got := dumped(t, verdict(-2, "")); got != "firewall.AnyOf{[]}" {
		t.Errorf("got %s", got)
	}
}

// Registers 1 to 4 have 16 bytes and are the same place as 8 to 23 with 4 bytes each.
func TestOldAndNewRegisterNumbersShareTheirBytes(t *testing.T) {
	for name, c := range map[string]struct {
		rule [][]byte
		want string
	}{
		"a word of an address": {
			[][]byte{loadPayload(1, 8, 16, 1), compare(10, 1, 2, 3, 4)},
			"Compare{0 Payload{1 8 16}[8:+4] 01020304}",
		},
		"two loads as one key": {
			[][]byte{loadPayload(1, 12, 4, 1), loadPayload(2, 2, 2, 9), compare(1, 1, 2, 3, 4, 0, 22, 0, 0)},
			"Compare{0 Payload{1 12 4}.Payload{2 2 2} 0102030400160000}",
		},
		"a later load on top": {
			[][]byte{loadPayload(1, 8, 16, 1), loadMeta(3, 9), compare(1, 1, 2, 3, 4, 5, 6, 7, 8)},
			"Compare{0 Payload{1 8 16}[0:+4].Meta{3} 0102030405060708}",
		},
		"a short comparison of a name": {
			[][]byte{loadMeta(6, 1), compare(1, 'e', 't', 'h')},
			"Compare{0 Meta{6} 657468}",
		},
		"a register that nothing wrote": {
			[][]byte{compare(1, 6)},
			"Compare{0 OpaqueValue{register that was not written [] 4}[0:+1] 06}",
		},
	} {
		if got := dumped(t, c.rule...); got != c.want {
			t.Errorf("%s:\n got  %s\n want %s", name, got, c.want)
		}
	}
}

// What was loaded before a write is not what a later look finds.
func TestAValueLoadedBeforeAWriteIsNotReadAfterIt(t *testing.T) {
	set := func(key, sreg uint32) []byte { return expression("meta", attr(2, be32(key)), attr(3, be32(sreg))) }
	constant := func(dreg uint32, data ...byte) []byte {
		return expression("immediate", attr(1, be32(dreg)), value(2, data...))
	}
	got := dumped(t, loadMeta(3, 1), constant(2, 1, 0, 0, 0), set(3, 2), compare(1, 5, 0, 0, 0))
	if want := "Assign{Meta{3} 01000000}; Compare{0 OpaqueValue{value from before a change [] 4} 05000000}"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	// a mark computed from itself, written, and then kept for the connection
	xor := expression("bitwise", attr(1, be32(1)), attr(2, be32(1)), attr(3, be32(4)), value(4, 255, 255, 255, 255), value(5, 1, 0, 0, 0))
	keep := expression("ct", attr(2, be32(3)), attr(4, be32(1)))
	got = dumped(t, loadMeta(3, 1), xor, set(3, 1), keep)
	if want := "Assign{Meta{3} Bitwise{2 Meta{3} 01000000 0 4}}; Assign{CT{3 -1} Meta{3}}"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAValueJoinedWithItselfOverAndOverStaysSmall(t *testing.T) {
	var rule [][]byte
	rule = append(rule, loadMeta(3, 1))
	for range 100 {
		// NFT_BITWISE_XOR of a register with itself
		rule = append(rule, expression("bitwise", attr(1, be32(1)), attr(2, be32(1)), attr(3, be32(4)), attr(6, be32(5)), attr(8, be32(1))))
	}
	rule = append(rule, compare(1, 0, 0, 0, 0))
	if got := dumped(t, rule...); len(got) > 100_000 {
		t.Errorf("the value prints as %d bytes", len(got))
	}
}

func TestHooksOfEachFamily(t *testing.T) {
	for _, c := range []struct {
		family byte
		number uint32
		want   firewall.Hook
	}{
		{1, 1, firewall.Input}, {1, 5, firewall.Ingress}, {2, 4, firewall.Postrouting}, {2, 5, firewall.HookUnknown},
		{3, 0, firewall.Input}, {3, 1, firewall.Output}, {5, 0, firewall.Ingress}, {5, 1, firewall.Egress}, {7, 0, firewall.Prerouting},
	} {
		heap := join([][]byte{
			generation(1), message(msgNewTable, c.family, text(1, "t")),
			message(msgNewChain, c.family, text(1, "t"), text(3, "c"), attr(4, join([][]byte{
				attr(1, be32(c.number)), attr(2, be32(0xfffffffb)),
				attr(4, join([][]byte{text(1, "eth0"), attr(1, []byte("old")), text(2, "veth")})),
			})), attr(5, be32(0))),
		})
		ruleset, _ := nft.Read(messages(heap), nil)
		base := ruleset.Tables[0].Chains[0].Base
		if base.Hook != c.want || base.Priority != -5 || base.Policy != firewall.Drop || fmt.Sprint(base.Devices) != "[eth0 old* veth*]" {
			t.Errorf("family %d hook %d: %+v", c.family, c.number, base)
		}
	}
}
