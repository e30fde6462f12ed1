package nft

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/netglance/netglance/firewall"
)

// assigned is the operand that a statement writes, printed as the target's type.
func (p *printer) assigned(sreg, length uint32, target format) string {
	o := p.get(sreg, length)
	if o == nil {
		return "[value]"
	}
	o = p.typed(o, target)
	if o.kind != kindConstant {
		o = p.masked(o)
		p.recognize(o)
	}
	return o.String()
}

// typed gives the constants of an operand the type of what they are written to.
func (p *printer) typed(o *operand, f format) *operand {
	switch o.kind {
	case kindConstant:
		c := *o
		c.format = f
		return &c
	case kindConcat:
		names := strings.Split(f.typ, " . ")
		joined := *o
		joined.parts = nil
		for i, part := range o.parts {
			if len(names) == len(o.parts) {
				part = p.typed(part, hostFormat(names[i]))
			}
			joined.parts = append(joined.parts, part)
		}
		return &joined
	}
	return o
}

func (p *printer) setMeta(e *expression) bool {
	o := metaOperand(firewall.MetaKey(e.uint32(metaKey)))
	if o == nil {
		return false
	}
	name := o.text
	if !strings.HasPrefix(name, "meta ") {
		name = "meta " + name
	}
	p.add(name + " set " + p.assigned(e.uint32(metaSreg), o.length, o.format))
	return true
}

func (p *printer) setCT(e *expression) bool {
	o := p.loadCT(e)
	if o == nil {
		return false
	}
	value := p.assigned(e.uint32(ctSreg), o.length, o.format)
	if o.format.typ == "ct_event" {
		value = strings.ReplaceAll(value, " | ", ",")
	}
	p.add(o.text + " set " + value)
	return true
}

func (p *printer) setExtHdr(e *expression) bool {
	h := exthdrOf(e)
	if !e.has(exthdrSreg) {
		p.add("reset " + exthdrName(h))
		return true
	}
	p.forget(firewall.TransportHeader)
	o := exthdrOperand(h, h.Offset*8, h.Length*8)
	if o.text == "" {
		return false
	}
	p.add(o.text + " set " + p.assigned(e.uint32(exthdrSreg), h.Length, o.format))
	return true
}

func exthdrName(h firewall.ExtHdr) string {
	name, _ := exthdrFields(h)
	return name
}

func (p *printer) setPayload(e *expression) bool {
	base := e.uint32(payloadBase)
	if base > uint32(firewall.TunnelHeader) {
		return false
	}
	target := payloadOperand(firewall.Payload{Base: firewall.HeaderBase(base), Offset: e.uint32(payloadOffset), Length: e.uint32(payloadLength)})
	value := p.get(e.uint32(payloadSreg), target.length)
	if value == nil {
		return false
	}
	if p.setBits(target, value) {
		return true
	}
	p.recognize(target)
	p.add(target.String() + " set " + p.assigned(e.uint32(payloadSreg), target.length, target.format))
	return true
}

// setBits is a write of a field that doesn't fill its bytes: the rest is read
// and written back.
func (p *printer) setBits(target, value *operand) bool {
	if value.kind != kindBinary || value.right.kind != kindConstant {
		return false
	}
	keep, bits := []byte(nil), value.right.data
	source := value.left
	switch {
	case value.symbol == "|" && source.kind == kindBinary && source.symbol == "&" && source.right.kind == kindConstant:
		keep, source = source.right.data, source.left
		if !same(source, target) || len(keep) != len(bits) {
			return false
		}
		cleared := make([]byte, len(keep))
		for i := range keep {
			// what the and keeps and the or does not set again
			cleared[i] = ^keep[i] | bits[i]
		}
		return p.setField(target, cleared, bits)
	case value.symbol == "|" && same(source, target):
		return p.setField(target, bits, bits)
	case value.symbol == "&" && same(source, target):
		cleared := make([]byte, len(bits))
		for i := range bits {
			cleared[i] = ^bits[i]
		}
		return p.setField(target, cleared, make([]byte, len(bits)))
	}
	return false
}

func (p *printer) setField(target *operand, mask, value []byte) bool {
	lead, length, trail, ok := maskBits(mask)
	if !ok {
		return false
	}
	trimmed := *target
	trimmed.bitOffset += lead
	trimmed.bitLength = length
	trimmed.format.shift = trail
	if !p.name(&trimmed) {
		return false
	}
	p.recognize(&trimmed)
	p.add(trimmed.String() + " set " + trimmed.format.value(value))
	return true
}

func (p *printer) dynset(e *expression) bool {
	set := p.table.sets[e.text(dynsetSet)]
	op := e.uint32(dynsetOp)
	if set == nil || int64(op) >= int64(len(dynsetOperations)) {
		return false
	}
	key := p.get(e.uint32(dynsetKey), set.KeyLength)
	if key == nil {
		return false
	}
	key = p.masked(key)
	p.recognize(key)
	text := key.String()
	if t := e.uint64(dynsetTimeout); t != 0 {
		text += " timeout " + durationText(milliseconds(t))
	}
	for _, step := range p.table.elementSteps(e.get(dynsetExpression), e.get(dynsetExpressions)) {
		text += stepText(step)
	}
	if e.has(dynsetData) {
		data := p.get(e.uint32(dynsetData), set.DataLength)
		if data == nil {
			return false
		}
		data = p.typed(data, hostFormat(set.DataType))
		p.recognize(data)
		text += " : " + data.String()
	}
	if set.Anonymous {
		p.add("meter " + set.Name + " size " + strconv.FormatUint(uint64(p.table.sizes[set.Name]), 10) + " { " + text + " }")
		return true
	}
	p.add(dynsetOperations[op] + " @" + set.Name + " { " + text + " }")
	return true
}

// objrefText is nft's statement for an object kind, before the name.
var objrefText = map[string]string{
	"counter": "counter name", "quota": "quota name", "limit": "limit name", "synproxy": "synproxy name",
	"ct helper": "ct helper set", "ct timeout": "ct timeout set", "ct expectation": "ct expectation set",
	"secmark": "meta secmark set", "tunnel": "tunnel name",
}

func (p *printer) objref(e *expression) bool {
	if !e.has(objrefSet) {
		text := objrefText[objectKind(e.uint32(objrefType))]
		p.add(text + " " + quote(e.text(objrefName)))
		return text != ""
	}
	set := p.table.sets[e.text(objrefSet)]
	if set == nil {
		return false
	}
	key := p.get(e.uint32(objrefSreg), set.KeyLength)
	if key == nil {
		return false
	}
	key = p.masked(key)
	p.recognize(key)
	p.add(objrefText[set.DataType] + " " + key.String() + " map " + p.setText(set, key))
	return true
}

func (p *printer) reject(e *expression) bool {
	kind, code := e.uint32(rejectType), e.uint8(rejectCode)
	if kind > rejectICMPX {
		return false
	}
	plain := kind == rejectICMPX && code == 1
	family := p.family
	switch {
	case family == firewall.FamilyIPv4 || family == firewall.FamilyIPv6:
		plain = kind == rejectUnreach && (family == firewall.FamilyIPv4 && code == 3 || family == firewall.FamilyIPv6 && code == 4)
		if kind == rejectTCPReset {
			p.forget(firewall.TransportHeader)
		}
	case kind != rejectICMPX:
		if p.protocol[firewall.NetworkHeader] == ip6Header {
			family = firewall.FamilyIPv6
		}
		if kind == rejectUnreach || p.family == firewall.FamilyBridge || p.family == firewall.FamilyNetdev {
			p.forget(firewall.NetworkHeader)
		}
	}
	if plain {
		p.add("reject")
		return true
	}
	p.add("reject with " + rejectWith(kind, code, family))
	return true
}

// natTarget is the "to" part of a translation from its four registers' attributes.
func (p *printer) natTarget(e *expression, addrMin, addrMax, portMin, portMax int, family firewall.Family) (string, bool) {
	address, port := p.natOperand(e, addrMin, addressLength(family)), p.natOperand(e, portMin, 2)
	if e.has(addrMin) && address == nil || e.has(portMin) && port == nil {
		return "", false
	}
	if address != nil && address.kind == kindMap {
		p.recognize(address)
		text := address.String()
		if port == nil || port == address {
			return text, true
		}
		return text + ":" + p.portText(e, port, portMax), true
	}
	text := ""
	if address != nil {
		text = p.addressText(e, address, addrMax, family, port != nil)
	}
	if port != nil {
		text += ":" + p.portText(e, port, portMax)
	}
	return text, true
}

func (p *printer) natOperand(e *expression, attribute int, length uint32) *operand {
	first, ok := register(e.uint32(attribute))
	if !e.has(attribute) || !ok {
		return nil
	}
	o := p.registers[first].operand
	if o == nil || o.kind == kindMap {
		return o // whose data may hold an address and a port
	}
	if o.length < length {
		return nil
	}
	return p.whole(first, o, length)
}

func (p *printer) addressText(e *expression, address *operand, addrMax int, family firewall.Family, withPort bool) string {
	f := format{typ: "ipv4_addr"}
	if family == firewall.FamilyIPv6 {
		f.typ = "ipv6_addr"
	}
	if address.kind != kindConstant {
		p.recognize(address)
		return address.String()
	}
	text := bracketed(f.value(address.data), withPort)
	if high := p.natOperand(e, addrMax, 0); high != nil && high.kind == kindConstant && high != address {
		if n, ok := prefixLength(address.data, high.data); ok && n < len(address.data)*8 {
			return f.value(address.data) + "/" + strconv.Itoa(n)
		}
		text += "-" + bracketed(f.value(high.data), withPort)
	}
	return text
}

// bracketed puts an IPv6 address before a port into brackets.
func bracketed(text string, withPort bool) string {
	if a, err := netip.ParseAddr(text); withPort && err == nil && a.Is6() {
		return "[" + text + "]"
	}
	return text
}

func (p *printer) portText(e *expression, port *operand, portMax int) string {
	f := format{typ: "inet_service"}
	if port.kind != kindConstant {
		p.recognize(port)
		return port.String()
	}
	text := f.value(port.data)
	if high := p.natOperand(e, portMax, 0); high != nil && high.kind == kindConstant && string(high.data) != string(port.data) {
		text += "-" + f.value(high.data)
	}
	return text
}

func natFlagsText(flags uint32) string {
	var names []string
	for _, f := range []struct {
		bit  uint32
		name string
	}{{natRandom, "random"}, {natFullyRandom, "fully-random"}, {natPersistent, "persistent"}} {
		if flags&f.bit != 0 {
			names = append(names, f.name)
		}
	}
	if names == nil {
		return ""
	}
	return " " + strings.Join(names, ",")
}

func (p *printer) nat(e *expression) bool {
	family := firewall.Family(e.uint32(natFamily))
	text := "snat"
	if e.uint32(natType) == 1 {
		text = "dnat"
	}
	if p.namesFamily(e, family) {
		text += " " + family.String()
	}
	if e.uint32(natFlags)&natNetMap != 0 {
		text += " prefix"
	}
	target, ok := p.natTarget(e, natAddrMin, natAddrMax, natPortMin, natPortMax, family)
	if !ok {
		return false
	}
	p.add(text + " to " + target + natFlagsText(e.uint32(natFlags)))
	return true
}

// namesFamily says that nft writes the family of the new address: in tables of
// both families, and where a map gives a port or a second address with it.
func (p *printer) namesFamily(e *expression, family firewall.Family) bool {
	if !e.has(natAddrMin) || family != firewall.FamilyIPv4 && family != firewall.FamilyIPv6 {
		return false
	}
	address := p.natOperand(e, natAddrMin, addressLength(family))
	return p.family == firewall.FamilyInet || address != nil && address.kind == kindMap && address.length > addressLength(family)
}

func (p *printer) masq(e *expression) bool {
	return p.portTranslation(e, "masquerade", masqPortMin, masqPortMax, masqFlags)
}

func (p *printer) redir(e *expression) bool {
	return p.portTranslation(e, "redirect", redirPortMin, redirPortMax, redirFlags)
}

func (p *printer) portTranslation(e *expression, text string, portMin, portMax, flags int) bool {
	target, ok := p.natTarget(e, 0, 0, portMin, portMax, p.family)
	if !ok {
		return false
	}
	if target != "" {
		text += " to " + target
	}
	p.add(text + natFlagsText(e.uint32(flags)))
	return true
}

func (p *printer) tproxy(e *expression) bool {
	family := firewall.Family(e.uint32(tproxyFamily))
	target, ok := p.natTarget(e, tproxyAddress, 0, tproxyPort, 0, family)
	if !ok {
		return false
	}
	target = bracketed(target, true)
	text := "tproxy"
	if p.family == firewall.FamilyInet && (family == firewall.FamilyIPv4 || family == firewall.FamilyIPv6) {
		text += " " + family.String()
	}
	p.add(text + " to " + target)
	return true
}

func (p *printer) dup(e *expression) bool {
	text := "dup to "
	device := p.natOperand(e, dupDevice, 4)
	if e.has(dupAddress) {
		address := p.natOperand(e, dupAddress, addressLength(p.family))
		if address == nil {
			return false
		}
		text += p.addressText(e, address, 0, p.family, false)
		if device != nil {
			text += " device "
		}
	}
	if device != nil {
		text += p.deviceText(device)
	}
	p.add(text)
	return true
}

// deviceText is an interface index as a statement's operand.
func (p *printer) deviceText(o *operand) string {
	if o.kind == kindConstant && len(o.data) == 4 {
		return p.interfaces.name(binary.NativeEndian.Uint32(o.data))
	}
	p.recognize(o)
	return o.String()
}

func (p *printer) fwd(e *expression) bool {
	device := p.natOperand(e, fwdDevice, 4)
	if device == nil {
		return false
	}
	text := "fwd to " + p.deviceText(device)
	if e.has(fwdAddress) {
		family := firewall.Family(e.uint32(fwdProtocol))
		address := p.natOperand(e, fwdAddress, addressLength(family))
		if address == nil {
			return false
		}
		text = "fwd " + family.String() + " to " + p.addressText(e, address, 0, family, false) + " device " + p.deviceText(device)
	}
	p.add(text)
	return true
}

func (p *printer) queue(e *expression) bool {
	flags := e.uint16(queueFlags)
	text := "queue"
	var names []string
	if flags&1 != 0 {
		names = append(names, "bypass")
	}
	if flags&2 != 0 {
		names = append(names, "fanout")
	}
	if names != nil {
		text += " flags " + strings.Join(names, ",")
	}
	if e.has(queueSreg) {
		number := p.get(e.uint32(queueSreg), 2)
		if number == nil {
			return false
		}
		p.recognize(number)
		p.add(text + " to " + number.String())
		return true
	}
	first, total := e.uint16(queueNumber), e.uint16(queueTotal)
	text += fmt.Sprintf(" to %d", first)
	if total > 1 {
		text += fmt.Sprintf("-%d", first+total-1)
	}
	p.add(text)
	return true
}

// Attributes of synproxy (enum nft_synproxy_attributes); flags are NF_SYNPROXY_OPT_*.
const (
	synproxyMSS    = 1 // NFTA_SYNPROXY_MSS: u16
	synproxyWscale = 2 // NFTA_SYNPROXY_WSCALE: a byte
	synproxyFlags  = 3 // NFTA_SYNPROXY_FLAGS
)

func (p *printer) synproxy(e *expression) bool {
	flags := e.uint32(synproxyFlags)
	text := "synproxy"
	if flags&1 != 0 {
		text += fmt.Sprintf(" mss %d", e.uint16(synproxyMSS))
	}
	if flags&2 != 0 {
		text += fmt.Sprintf(" wscale %d", e.uint8(synproxyWscale))
	}
	if flags&8 != 0 {
		text += " timestamp"
	}
	if flags&4 != 0 {
		text += " sack-perm"
	}
	p.add(text)
	return true
}

// xtMatch is an x_tables match in iptables' words: nft has none that say all.
func (p *printer) xtMatch(e *expression) bool {
	name := e.text(xtName)
	if name == "comment" {
		return true // it prints as the rule's comment
	}
	text := "xt match " + quote(name)
	if x, ok := p.table.extensions(); ok {
		text = "[" + x.Match(name, uint8(e.uint32(xtRevision)), e.get(xtInfo)).String() + "]"
	}
	p.match(text)
	return true
}

// xtTarget is an x_tables target in iptables' words.
func (p *printer) xtTarget(e *expression) bool {
	name := e.text(xtName)
	text := "xt target " + quote(name)
	if x, ok := p.table.extensions(); ok {
		text = "[" + x.Target(name, uint8(e.uint32(xtRevision)), e.get(xtInfo)).String() + "]"
	}
	p.add(text)
	return true
}

// Attributes of log (enum nft_log_attributes).
const (
	logGroup     = 1 // NFTA_LOG_GROUP: u16
	logPrefix    = 2 // NFTA_LOG_PREFIX
	logSnaplen   = 3 // NFTA_LOG_SNAPLEN
	logThreshold = 4 // NFTA_LOG_QTHRESHOLD: u16
	logLevel     = 5 // NFTA_LOG_LEVEL
	logFlags     = 6 // NFTA_LOG_FLAGS: NF_LOG_*
)

var logLevels = [...]string{"emerg", "alert", "crit", "err", "warn", "notice", "info", "debug", "audit"}

const logWarning = 4 // the level that nft leaves out

func logText(e *expression) string {
	var b strings.Builder
	b.WriteString("log")
	if e.has(logPrefix) {
		b.WriteString(" prefix " + quote(e.text(logPrefix)))
	}
	if e.has(logGroup) {
		fmt.Fprintf(&b, " group %d", e.uint16(logGroup))
		if e.has(logSnaplen) {
			fmt.Fprintf(&b, " snaplen %d", e.uint32(logSnaplen))
		}
		if e.has(logThreshold) && e.uint16(logThreshold) != 0 {
			fmt.Fprintf(&b, " queue-threshold %d", e.uint16(logThreshold))
		}
	}
	if level := e.uint32(logLevel); e.has(logLevel) && level != logWarning && int64(level) < int64(len(logLevels)) {
		b.WriteString(" level " + logLevels[level])
	}
	b.WriteString(logFlagsText(e.uint32(logFlags)))
	return b.String()
}

// logFlagsText names the NF_LOG_* flags (include/uapi/linux/netfilter/nf_log.h).
func logFlagsText(flags uint32) string {
	if flags&0x2f == 0x2f {
		return " flags all"
	}
	var tcp []string
	if flags&1 != 0 {
		tcp = append(tcp, "sequence")
	}
	if flags&2 != 0 {
		tcp = append(tcp, "options")
	}
	text := ""
	if len(tcp) > 0 {
		text = " flags tcp " + strings.Join(tcp, ",")
	}
	for _, f := range []struct {
		bit  uint32
		name string
	}{{4, "ip options"}, {8, "skuid"}, {32, "ether"}} {
		if flags&f.bit != 0 {
			text += " flags " + f.name
		}
	}
	return text
}

// timeUnits are the words for a limit's unit in seconds.
var timeUnits = map[uint64]string{1: "second", 60: "minute", 3600: "hour", 86400: "day", 604800: "week"}

// defaultBurst is the burst in packets that nft and iptables leave out.
const defaultBurst = 5

func limitText(a *attributes) string {
	over := ""
	if a.uint32(limitFlags)&1 != 0 {
		over = "over "
	}
	unit := timeUnits[a.uint64(limitUnit)]
	if unit == "" {
		unit = strconv.FormatUint(a.uint64(limitUnit), 10) + " seconds"
	}
	rate, burst := a.uint64(limitRate), uint64(a.uint32(limitBurst))
	if a.uint32(limitType) == 0 {
		text := fmt.Sprintf("limit rate %s%d/%s", over, rate, unit)
		if burst != 0 && burst != defaultBurst {
			text += fmt.Sprintf(" burst %d packets", burst)
		}
		return text
	}
	number, word := byteUnit(rate)
	text := fmt.Sprintf("limit rate %s%d %s/%s", over, number, word, unit)
	if burst != 0 {
		number, word = byteUnit(burst)
		text += fmt.Sprintf(" burst %d %s", number, word)
	}
	return text
}

// byteUnit puts a number of bytes in the largest unit that divides it.
func byteUnit(n uint64) (uint64, string) {
	units := []string{"bytes", "kbytes", "mbytes"}
	i := 0
	for n != 0 && n%1024 == 0 && i < len(units)-1 {
		n /= 1024
		i++
	}
	return n, units[i]
}

func quotaText(a *attributes) string {
	over := ""
	if a.uint32(quotaFlags)&1 != 0 {
		over = "over "
	}
	number, unit := byteUnit(a.uint64(quotaBytes))
	return fmt.Sprintf("quota %s%d %s", over, number, unit)
}

func connlimitText(a *attributes) string {
	over := ""
	if a.uint32(connlimitFlags)&1 != 0 {
		over = "over "
	}
	return fmt.Sprintf("ct count %s%d", over, a.uint32(connlimitCount))
}

// tcpOptionNames by kind (RFC 9293, 7323, 2018).
var tcpOptionNames = map[uint8]string{
	0: "eol", 1: "nop", 2: "maxseg", 3: "window", 4: "sack-perm", 5: "sack", 8: "timestamp", 19: "md5sig", 30: "mptcp", 34: "fastopen",
}

func tcpOptionName(kind uint8) string {
	if name := tcpOptionNames[kind]; name != "" {
		return name
	}
	return strconv.Itoa(int(kind))
}
