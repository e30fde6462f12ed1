package xt

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/netglance/netglance/firewall"
)

// uncertain is a match that reading the rules doesn't settle: all that counts
// is why, and its words.
type uncertain struct {
	match   string
	why     firewall.ConditionKind
	options string
	// needs must match first: a header without which the match fails.
	needs []firewall.Step
}

func (u uncertain) steps(Decoder) []firewall.Step {
	return append(u.needs[:len(u.needs):len(u.needs)], chance(u.why, u.match, u.options)...)
}

func (u uncertain) String() string { return u.options }

// uncertainKind is the kind of such a match: text reads its options from the
// blob, false for a revision that it doesn't know.
func uncertainKind(match string, why firewall.ConditionKind, options string, text func(revision uint8, f *fields, l *line) bool, needs ...firewall.Step) *kind {
	return &kind{
		options: options,
		decode: func(revision uint8, f *fields) extension {
			var l line
			if !text(revision, f, &l) {
				return nil
			}
			return uncertain{match, why, l.String(), needs}
		},
		parse: func(g *given) extension { return uncertain{match, why, writtenText(g.list), needs} },
	}
}

// writtenText is the options as written, arguments quoted where iptables quotes them.
func writtenText(options []Option) string {
	var l line
	for _, o := range options {
		l.add(o.Invert, "--"+o.Name)
		for _, a := range o.Arguments {
			if quotedOptions[o.Name] || strings.ContainsAny(a, " \t\"'\\") || a == "" {
				a = quoted(a)
			}
			l.words = append(l.words, a)
		}
	}
	return l.String()
}

// quotedOptions have their argument in quotes whatever it is.
var quotedOptions = map[string]bool{"string": true, "hex-string": true, "bytecode": true}

// quoted writes a text in quotes.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(s) + `"`
}

// rateText writes a rate from its period as libxt_limit and libxt_hashlimit do:
// in the largest unit that keeps it a whole number. second is how many units of
// period make one.
func rateText(period, second uint64) (text string, unitSeconds uint64) {
	units := []struct {
		name    string
		seconds uint64
	}{{"day", 86400}, {"hour", 3600}, {"min", 60}, {"sec", 1}}
	if period == 0 {
		return "0/sec", 1
	}
	i := 1
	for ; i < len(units); i++ {
		per := units[i].seconds * second
		if period > per || per/period < per%period {
			break
		}
	}
	u := units[i-1]
	return fmt.Sprintf("%d/%s", u.seconds*second/period, u.name), u.seconds
}

// limit is xt_rateinfo (xt_limit.h): a period in ten thousandths of a second.
type limit struct{ average, burst uint32 }

func decodeLimit(_ uint8, f *fields) extension { return limit{f.u32(), f.u32()} }

func (m limit) steps(Decoder) []firewall.Step { return chance(firewall.Rate, "limit", m.String()) }

func (m limit) String() string {
	var l line
	rate, _ := rateText(uint64(m.average), limitSecond)
	l.add(false, "--limit", rate)
	addUnless(&l, "--limit-burst", m.burst, usualBurst)
	return l.String()
}

const (
	limitSecond = 10000
	usualBurst  = 5
)

func parseLimit(g *given) extension {
	m := limit{average: 3600 / 3 * limitSecond, burst: usualBurst}
	for _, o := range g.list {
		if o.Name == "limit" {
			m.average = uint32(g.period(o, limitSecond))
		} else {
			m.burst = g.u32(o)
		}
	}
	return m
}

// period reads "5/minute" into the time between two packets; a unit may be
// shortened, and a second is the usual one.
func (g *given) period(o Option, second uint64) uint64 {
	count, unit, found := strings.Cut(o.first(), "/")
	n := g.number(o, count, 32)
	if n == 0 {
		g.fail(o, "no rate")
		return 0
	}
	if !found {
		unit = "s"
	}
	for _, u := range []struct {
		name    string
		seconds uint64
	}{{"second", 1}, {"minute", 60}, {"hour", 3600}, {"day", 86400}} {
		if unit != "" && strings.HasPrefix(u.name, strings.ToLower(unit)) {
			return u.seconds * second / n
		}
	}
	g.fail(o, "unknown unit of time")
	return 0
}

// recent is xt_recent_mtinfo and _v1 (xt_recent.h).
type recent struct {
	mode          uint8
	invert        bool
	seconds, hits uint32
	list          string
	mask          address
	destination   bool
}

// The bits of recent's mode.
const (
	recentCheck = 1 << iota
	recentSet
	recentUpdate
	recentRemove
	recentTTL
	recentReap
)

func decodeRecent(revision uint8, f *fields) extension {
	if revision > 1 {
		return nil
	}
	r := recent{seconds: f.u32(), hits: f.u32(), mode: f.u8(), invert: f.flag(), list: f.name(200), destination: f.flag()}
	r.mask = prefixMask(128, 16)[:addressLength(f.family)]
	if revision == 1 {
		f.align(4)
		r.mask = f.address()
	}
	return r
}

// steps. --set writes the address down and matches always (recent_mt).
func (r recent) steps(Decoder) []firewall.Step {
	switch {
	case r.mode&recentSet != 0 && r.invert:
		return one(never())
	case r.mode&recentSet != 0:
		return one(firewall.Passive{Name: "recent", Text: "-m recent " + r.String()})
	}
	return chance(firewall.History, "recent", r.String())
}

// recentModes in the order in which iptables prints them.
var recentModes = []struct {
	bit  uint8
	name string
}{{recentSet, "set"}, {recentCheck, "rcheck"}, {recentUpdate, "update"}, {recentRemove, "remove"}}

func (r recent) String() string {
	var l line
	for _, m := range recentModes {
		if r.mode&m.bit != 0 {
			l.add(r.invert, "--"+m.name)
		}
	}
	addUnless(&l, "--seconds", r.seconds, 0)
	if r.mode&recentReap != 0 {
		l.add(false, "--reap")
	}
	addUnless(&l, "--hitcount", r.hits, 0)
	if r.mode&recentTTL != 0 {
		l.add(false, "--rttl")
	}
	if r.list != "" {
		l.add(false, "--name", r.list)
	}
	l.add(false, "--mask", r.mask.String())
	l.add(false, [...]string{"--rsource", "--rdest"}[boolIndex(r.destination)])
	return l.String()
}

const recentOptions = "set=0 rcheck=0 update=0 remove=0 seconds=1 reap=0 hitcount=1 rttl=0 name=1 mask=1 rsource=0 rdest=0"

func parseRecent(g *given) extension {
	r := recent{list: "DEFAULT", mask: prefixMask(128, 16)[:addressLength(g.decoder.Family)]}
	for _, o := range g.list {
		switch o.Name {
		case "seconds":
			r.seconds = g.u32(o)
		case "hitcount":
			r.hits = g.u32(o)
		case "reap":
			r.mode |= recentReap
		case "rttl":
			r.mode |= recentTTL
		case "name":
			r.list = cut(o.first(), 199)
		case "mask":
			r.mask = g.address(o, o.first())
		case "rdest":
			r.destination = true
		case "rsource":
			r.destination = false
		}
		for _, m := range recentModes {
			if o.Name == m.name {
				r.mode |= m.bit
				r.invert = r.invert || o.Invert
			}
		}
	}
	return r
}

// statistic is xt_statistic_info (xt_statistic.h). A probability of 1 is 2^31;
// nth keeps every less one.
type statistic struct {
	nth           bool
	invert        bool
	probability   uint32
	every, packet uint32
}

const certain = 1 << 31

func decodeStatistic(_ uint8, f *fields) extension {
	mode, invert := f.u16(), f.u16()&1 != 0
	switch mode {
	case 0:
		return statistic{invert: invert, probability: f.u32()}
	case 1:
		return statistic{nth: true, invert: invert, every: f.u32(), packet: f.u32()}
	}
	return nil
}

// steps. The kernel compares with 31 random bits.
func (s statistic) steps(Decoder) []firewall.Step {
	always := s.probability >= certain
	switch {
	case s.nth && s.every == 0:
		return one(matchUnless(!s.invert, never()))
	case s.nth || !always && s.probability != 0:
		return chance(firewall.Random, "statistic", s.String())
	case always == s.invert:
		return one(never())
	}
	return nil
}

func (s statistic) String() string {
	var l line
	if s.nth {
		l.add(false, "--mode", "nth")
		l.add(s.invert, "--every", number(uint64(s.every)+1))
		l.add(false, "--packet", number(s.packet))
		return l.String()
	}
	l.add(false, "--mode", "random")
	l.add(s.invert, "--probability", fmt.Sprintf("%.11f", float64(s.probability)/certain))
	return l.String()
}

const statisticOptions = "mode=1 probability=1 every=1 packet=1"

func parseStatistic(g *given) extension {
	var s statistic
	for _, o := range g.list {
		switch o.Name {
		case "mode":
			s.nth = o.first() == "nth"
		case "probability":
			p, err := strconv.ParseFloat(o.first(), 64)
			if err != nil || !(p >= 0 && p <= 1) {
				g.fail(o, "no probability")
				continue
			}
			s.probability, s.invert = uint32(math.Round(p*certain)), o.Invert
		case "every":
			n := g.u32(o)
			if n == 0 {
				g.fail(o, "below 1")
				continue
			}
			s.every, s.invert = n-1, o.Invert
		case "packet":
			s.packet = g.u32(o)
		}
	}
	return s
}

// connlimitText reads xt_connlimit_info (xt_connlimit.h).
func connlimitText(revision uint8, f *fields, l *line) bool {
	mask := f.address()
	limit, flags := f.u32(), f.u32()
	if revision == 0 || revision > 1 {
		return false
	}
	l.add(false, [...]string{"--connlimit-above", "--connlimit-upto"}[flags&1], number(limit))
	l.add(false, "--connlimit-mask", prefixNumber(mask))
	l.add(false, [...]string{"--connlimit-saddr", "--connlimit-daddr"}[flags>>1&1])
	return true
}

// prefixNumber is a mask's length, always written.
func prefixNumber(mask address) string {
	if text := maskText(mask); text != "" {
		return text[1:]
	}
	return number(8 * len(mask))
}

// quotaText reads xt_quota_info (xt_quota.h).
func quotaText(_ uint8, f *fields, l *line) bool {
	flags := f.u32()
	f.skip(4)
	l.add(flags&1 != 0, "--quota", number(f.u64()))
	return true
}

// connbytes is xt_connbytes_info (xt_connbytes.h): how much a connection has
// carried. A range that ends before it starts is an inverted one.
type connbytes struct {
	from, to        uint64
	invert          bool
	what, direction uint8
}

func decodeConnbytes(_ uint8, f *fields) extension {
	c := connbytes{from: f.u64(), to: f.u64(), what: f.u8(), direction: f.u8()}
	if c.from > c.to {
		c.invert, c.from, c.to = true, c.to, c.from
	}
	if int(c.what) >= len(connbytesModes) || int(c.direction) >= len(connbytesDirections) {
		return nil
	}
	return c
}

func (c connbytes) steps(Decoder) []firewall.Step {
	return chance(firewall.History, "connbytes", c.String())
}

var (
	connbytesModes      = []string{"packets", "bytes", "avgpkt"}
	connbytesDirections = []string{"original", "reply", "both"}
)

func (c connbytes) String() string {
	var l line
	span := number(c.from)
	if c.to != 1<<64-1 {
		span += ":" + number(c.to)
	}
	l.add(c.invert, "--connbytes", span)
	l.add(false, "--connbytes-mode", connbytesModes[c.what])
	l.add(false, "--connbytes-dir", connbytesDirections[c.direction])
	return l.String()
}

// parseConnbytes. One number is where an open range starts.
func parseConnbytes(g *given) extension {
	var c connbytes
	for _, o := range g.list {
		switch o.Name {
		case "connbytes":
			from, to, _ := strings.Cut(o.first(), ":")
			c.from, c.to, c.invert = 0, 1<<64-1, o.Invert
			if from != "" {
				c.from = g.number(o, from, 64)
			}
			if to != "" {
				c.to = g.number(o, to, 64)
			}
		case "connbytes-mode":
			c.what = g.choice(o, connbytesModes)
		case "connbytes-dir":
			c.direction = g.choice(o, connbytesDirections)
		}
	}
	return c
}

// choice is a word's place in a list.
func (g *given) choice(o Option, words []string) uint8 {
	i := slices.Index(words, o.first())
	if i < 0 {
		g.fail(o, "none of "+strings.Join(words, ", "))
		return 0
	}
	return uint8(i)
}

// clusterText reads xt_cluster_match_info (xt_cluster.h).
func clusterText(_ uint8, f *fields, l *line) bool {
	nodes, mask, seed, flags := f.u32(), f.u32(), f.u32(), f.u32()
	l.add(flags&1 != 0, "--cluster-local-nodemask", fmt.Sprintf("0x%08x", mask))
	l.add(false, "--cluster-total-nodes", number(nodes))
	l.add(false, "--cluster-hash-seed", fmt.Sprintf("0x%08x", seed))
	return true
}

// osfText reads nf_osf_info (nfnetlink_osf.h).
func osfText(_ uint8, f *fields, l *line) bool {
	genre := f.name(32)
	f.skip(4) // length
	flags, log, ttl := f.u32(), f.u32(), f.u32()
	l.add(flags&8 != 0, "--genre", genre)
	if flags&2 != 0 {
		l.add(false, "--ttl", number(ttl))
	}
	if flags&4 != 0 {
		l.add(false, "--log", number(log))
	}
	return true
}

// stringText reads xt_string_info (xt_string.h), revision 1.
func stringText(revision uint8, f *fields, l *line) bool {
	from, to := f.u16(), f.u16()
	algorithm := f.name(16)
	pattern := f.take(128)
	length, flags := f.u8(), f.u8()
	if revision > 1 || length > 128 {
		return false
	}
	pattern = pattern[:length]
	if printable(pattern) {
		l.add(flags&1 != 0, "--string", quoted(string(pattern)))
	} else {
		l.add(flags&1 != 0, "--hex-string", hexPattern(pattern))
	}
	l.add(false, "--algo", algorithm)
	if from != 0 {
		l.add(false, "--from", number(from))
	}
	if to != 0xffff && to != 0 {
		l.add(false, "--to", number(to))
	}
	if revision == 1 && flags&2 != 0 {
		l.add(false, "--icase")
	}
	return true
}

func printable(b []byte) bool {
	if len(b) > 0 && b[len(b)-1] == '\\' {
		return false
	}
	for _, c := range b {
		if c < 0x20 || c > 0x7e {
			return false
		}
	}
	return true
}

func hexPattern(b []byte) string {
	var t strings.Builder
	t.WriteString(`"|`)
	for _, c := range b {
		fmt.Fprintf(&t, "%02x", c)
	}
	t.WriteString(`|"`)
	return t.String()
}

// bpfText reads xt_bpf_info and _v1 (xt_bpf.h).
func bpfText(revision uint8, f *fields, l *line) bool {
	mode, count := uint16(0), f.u16()
	switch revision {
	case 0:
		f.align(4)
	case 1:
		mode, count = count, f.u16()
		f.skip(4)
	default:
		return false
	}
	if mode == 1 {
		l.add(false, "--object-pinned", f.name(512))
		return true
	}
	if mode != 0 || count > 64 {
		return false
	}
	text := number(count)
	for range count {
		text += fmt.Sprintf(",%d %d %d %d", f.u16(), f.u8(), f.u8(), f.u32())
	}
	l.add(false, "--bytecode", `"`+text+`"`)
	return true
}

// nfacctText reads xt_nfacct_match_info (xt_nfacct.h).
func nfacctText(_ uint8, f *fields, l *line) bool {
	l.add(false, "--nfacct-name", f.name(32))
	return true
}
