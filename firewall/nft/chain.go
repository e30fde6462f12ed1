package nft

import (
	"strconv"

	"github.com/netglance/netglance/firewall"
)

// Chain attributes (enum nft_chain_attributes).
const (
	chainTable    = 1  // NFTA_CHAIN_TABLE
	chainHandle   = 2  // NFTA_CHAIN_HANDLE
	chainName     = 3  // NFTA_CHAIN_NAME
	chainHook     = 4  // NFTA_CHAIN_HOOK
	chainPolicy   = 5  // NFTA_CHAIN_POLICY: NF_DROP 0, NF_ACCEPT 1
	chainUse      = 6  // NFTA_CHAIN_USE
	chainType     = 7  // NFTA_CHAIN_TYPE
	chainUserdata = 12 // NFTA_CHAIN_USERDATA
)

// Hook attributes (enum nft_hook_attributes) and those of a device list
// (enum nft_devices_attributes).
const (
	hookNumber   = 1 // NFTA_HOOK_HOOKNUM
	hookPriority = 2 // NFTA_HOOK_PRIORITY
	hookDevice   = 3 // NFTA_HOOK_DEV
	hookDevices  = 4 // NFTA_HOOK_DEVS
	deviceName   = 1 // NFTA_DEVICE_NAME
	devicePrefix = 2 // NFTA_DEVICE_PREFIX, kernel 6.17
)

// A chain is one whose rules are still to be read.
type chain struct {
	*firewall.Chain
	table *table
	// uses are the chain's rules and what jumps to it (NFTA_CHAIN_USE).
	uses uint32
}

func (r *reader) addChain(family firewall.Family, a *attributes) {
	t := r.tables[tableKey{family, a.text(chainTable)}]
	if t == nil {
		return // made since the tables were read: the generation tells
	}
	c := &firewall.Chain{
		Table:   t.Table,
		Name:    a.text(chainName),
		Handle:  a.uint64(chainHandle),
		Comment: comment(a.get(chainUserdata)),
	}
	if t.chains[c.Name] != nil {
		return
	}
	if a.has(chainHook) {
		c.Base = decodeBase(family, a)
	}
	t.Chains = append(t.Chains, c)
	t.chains[c.Name] = c
	r.chains = append(r.chains, &chain{c, t, a.uint32(chainUse)})
}

func decodeBase(family firewall.Family, a *attributes) *firewall.Base {
	base := &firewall.Base{Policy: firewall.Accept, Type: chainTypeOf(a.text(chainType))}
	if a.has(chainPolicy) && a.uint32(chainPolicy) == 0 {
		base.Policy = firewall.Drop
	}
	var h attributes
	h.parse(a.get(chainHook))
	base.Hook = hookOf(family, h.uint32(hookNumber))
	base.Priority = int32(h.uint32(hookPriority))
	if h.has(hookDevices) {
		base.Devices = decodeDevices(h.get(hookDevices))
	} else if h.has(hookDevice) {
		base.Devices = []string{h.text(hookDevice)}
	}
	return base
}

func chainTypeOf(name string) firewall.ChainType {
	switch name {
	case "nat":
		return firewall.NATChain
	case "route":
		return firewall.RouteChain
	}
	return firewall.FilterChain
}

// decodeDevices lists interface names, a trailing '*' for a prefix. Kernel 6.16
// had no attribute of its own for one: there the name's end is left off.
func decodeDevices(b []byte) []string {
	var devices []string
	each(b, deviceName, func(name []byte) {
		if s := string(cString(name)); len(s) == len(name) {
			devices = append(devices, s+"*")
		} else {
			devices = append(devices, s)
		}
	})
	each(b, devicePrefix, func(prefix []byte) {
		devices = append(devices, string(cString(prefix))+"*")
	})
	return devices
}

// hookOf maps the hook numbers of a family: NF_INET_* and NF_BR_* have the same
// order, NF_ARP_* and NF_NETDEV_* their own.
func hookOf(family firewall.Family, number uint32) firewall.Hook {
	var hooks []firewall.Hook
	switch family {
	case firewall.FamilyARP:
		hooks = []firewall.Hook{firewall.Input, firewall.Output, firewall.Forward}
	case firewall.FamilyNetdev:
		hooks = []firewall.Hook{firewall.Ingress, firewall.Egress}
	default:
		hooks = []firewall.Hook{firewall.Prerouting, firewall.Input, firewall.Forward, firewall.Output, firewall.Postrouting}
		if family == firewall.FamilyInet {
			hooks = append(hooks, firewall.Ingress)
		}
	}
	if int(number) < len(hooks) {
		return hooks[number]
	}
	return firewall.HookUnknown
}

// verdictCode reads an nf_tables verdict (enum nft_verdicts, or NF_* with data in
// the upper 16 bits). Break is no code of its own: ok is false.
func verdictCode(code int32) (v firewall.Verdict, ok bool) {
	switch code {
	case -1: // NFT_CONTINUE
		return firewall.Verdict{Code: firewall.Continue}, true
	case -3: // NFT_JUMP
		return firewall.Verdict{Code: firewall.Jump}, true
	case -4: // NFT_GOTO
		return firewall.Verdict{Code: firewall.Goto}, true
	case -5: // NFT_RETURN
		return firewall.Verdict{Code: firewall.Return}, true
	}
	if code < 0 {
		return firewall.Verdict{}, false
	}
	switch code & 0xff {
	case 0: // NF_DROP
		return firewall.Verdict{Code: firewall.Drop}, true
	case 1: // NF_ACCEPT
		return firewall.Verdict{Code: firewall.Accept}, true
	case 2: // NF_STOLEN
		return firewall.Verdict{Code: firewall.Stolen}, true
	case 3: // NF_QUEUE; NF_VERDICT_FLAG_QUEUE_BYPASS is 0x8000
		return firewall.Verdict{Code: firewall.Queue, Number: uint16(code >> 16), Bypass: code&0x8000 != 0}, true
	}
	return firewall.Verdict{}, false
}

// Data attributes (enum nft_data_attributes) and verdict attributes.
const (
	dataValue    = 1 // NFTA_DATA_VALUE
	dataVerdict  = 2 // NFTA_DATA_VERDICT
	verdictNum   = 1 // NFTA_VERDICT_CODE
	verdictChain = 2 // NFTA_VERDICT_CHAIN
)

// plainVerdicts are the verdicts without a chain or a number, by code.
var plainVerdicts = func() (steps [firewall.Stolen + 1]firewall.Step) {
	for code := range steps {
		steps[code] = firewall.Verdict{Code: firewall.VerdictCode(code)}
	}
	return steps
}()

// decodeVerdict reads a nested verdict. What it can't make out is opaque: a jump
// to a chain that isn't there, a code that isn't known.
func (t *table) decodeVerdict(b []byte) firewall.Step {
	var a attributes
	a.parse(b)
	code := int32(a.uint32(verdictNum))
	if a.malformed || !a.has(verdictNum) {
		return firewall.Opaque{Name: "verdict", Target: true, Data: b}
	}
	if code == -2 { // NFT_BREAK: the rule ends here
		return firewall.AnyOf{}
	}
	v, ok := verdictCode(code)
	if !ok {
		return firewall.Opaque{Name: "verdict " + strconv.Itoa(int(code)), Target: true, Data: b}
	}
	if v == (firewall.Verdict{Code: v.Code}) && v.Code != firewall.Jump && v.Code != firewall.Goto {
		return plainVerdicts[v.Code]
	}
	if v.Code == firewall.Queue {
		return v
	}
	v.Chain = t.chains[string(cString(a.get(verdictChain)))]
	if v.Chain == nil {
		return firewall.Opaque{Name: v.Code.String() + " to a missing chain", Target: true, Data: b}
	}
	return v
}
