package nft

import (
	"fmt"
	"strconv"
	"strings"
)

// String is the rule's expressions by name.
func (r *rule) String() string {
	return "[" + strings.Join(ExpressionNames(&r.Rule), "] [") + "]"
}

// quote puts a string between quotation marks, as nft does: nothing is escaped
// in nft's own output, but a mark or a control character in the text would
// pretend to be something else, so those are.
func quote(s string) string {
	q := strconv.Quote(s)
	if strings.ContainsFunc(s, func(c rune) bool { return c == '"' || c < ' ' || c == 0x7f }) {
		return q
	}
	return `"` + s + `"`
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

// defaultBurst is the burst in packets that nft leaves out.
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
		return text + fmt.Sprintf(" burst %d packets", burst)
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
