package xt

import (
	"fmt"
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

// writtenText is the options as written, arguments quoted where they need it.
func writtenText(options []Option) string {
	var l line
	for _, o := range options {
		l.add(o.Invert, "--"+o.Name)
		for _, a := range o.Arguments {
			if strings.ContainsAny(a, " \t\"'\\") || a == "" {
				a = quote(a)
			}
			l.words = append(l.words, a)
		}
	}
	return l.String()
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

// limitText reads xt_rateinfo (xt_limit.h).
func limitText(_ uint8, f *fields, l *line) bool {
	average, burst := f.u32(), f.u32()
	rate, _ := rateText(uint64(average), 10000)
	l.add(false, "--limit", rate)
	if burst != 5 {
		l.add(false, "--limit-burst", number(burst))
	}
	return true
}

// recent is xt_recent_mtinfo and _v1 (xt_recent.h).
type recent struct {
	set    bool
	invert bool
	text   string
}

func decodeRecent(revision uint8, f *fields) extension {
	if revision > 1 {
		return nil
	}
	seconds, hits, mode, invert := f.u32(), f.u32(), f.u8(), f.flag()
	name := f.name(200)
	side := f.u8()
	mask := prefixMask(128, 16)[:addressLength(f.family)]
	if revision == 1 {
		f.align(4)
		mask = f.address()
	}
	var l line
	for _, m := range []struct {
		bit  uint8
		name string
	}{{2, "--set"}, {1, "--rcheck"}, {4, "--update"}, {8, "--remove"}} {
		if mode&m.bit != 0 {
			l.add(invert, m.name)
		}
	}
	if seconds != 0 {
		l.add(false, "--seconds", number(seconds))
	}
	if mode&32 != 0 {
		l.add(false, "--reap")
	}
	if hits != 0 {
		l.add(false, "--hitcount", number(hits))
	}
	if mode&16 != 0 {
		l.add(false, "--rttl")
	}
	if name != "" {
		l.add(false, "--name", name)
	}
	l.add(false, "--mask", mask.String())
	l.add(false, [...]string{"--rsource", "--rdest"}[boolIndex(side != 0)])
	return recent{mode&2 != 0, invert, l.String()}
}

// steps. --set writes the address down and matches always (recent_mt).
func (r recent) steps(Decoder) []firewall.Step {
	switch {
	case r.set && r.invert:
		return one(never())
	case r.set:
		return one(firewall.Passive{Name: "recent", Text: "-m recent " + r.text})
	}
	return chance(firewall.History, "recent", r.text)
}

func (r recent) String() string { return r.text }

const recentOptions = "set=0 rcheck=0 update=0 remove=0 seconds=1 reap=0 hitcount=1 rttl=0 name=1 mask=1 rsource=0 rdest=0"

func parseRecent(g *given) extension {
	r := recent{text: writtenText(g.list)}
	for _, o := range g.list {
		if o.Name == "set" {
			r.set, r.invert = true, o.Invert
		}
	}
	return r
}

// statistic is xt_statistic_info (xt_statistic.h).
type statistic struct {
	text string
	// always and never are for a probability of 1 or 0.
	always, never bool
}

func decodeStatistic(_ uint8, f *fields) extension {
	mode, invert := f.u16(), f.u16()&1 != 0
	var l line
	switch mode {
	case 0:
		p := f.u32()
		l.add(false, "--mode", "random")
		l.add(invert, "--probability", fmt.Sprintf("%.11f", float64(p)/0x80000000))
		full, none := p >= 0x80000000, p == 0
		return statistic{l.String(), full && !invert || none && invert, none && !invert || full && invert}
	case 1:
		every, packet := f.u32(), f.u32()
		l.add(false, "--mode", "nth")
		l.add(invert, "--every", number(uint64(every)+1))
		l.add(false, "--packet", number(packet))
		return statistic{text: l.String()}
	}
	return nil
}

func (s statistic) steps(Decoder) []firewall.Step {
	switch {
	case s.always:
		return nil
	case s.never:
		return one(never())
	}
	return chance(firewall.Random, "statistic", s.text)
}

func (s statistic) String() string { return s.text }

const statisticOptions = "mode=1 probability=1 every=1 packet=1"

func parseStatistic(g *given) extension {
	s := statistic{text: writtenText(g.list)}
	for _, o := range g.list {
		if o.Name != "probability" {
			continue
		}
		var p float64
		if _, err := fmt.Sscanf(o.first(), "%g", &p); err != nil || p < 0 || p > 1 {
			g.fail(o, "no probability")
		}
		s.always = p == 1 && !o.Invert || p == 0 && o.Invert
		s.never = p == 0 && !o.Invert || p == 1 && o.Invert
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

// connbytesText reads xt_connbytes_info (xt_connbytes.h). "From above to" stands
// for an inverted range.
func connbytesText(_ uint8, f *fields, l *line) bool {
	from, to, what, direction := f.u64(), f.u64(), f.u8(), f.u8()
	if what > 2 || direction > 2 {
		return false
	}
	invert := from > to
	if invert {
		from, to = to, from
	}
	span := number(from)
	if to != 0 && to != 1<<64-1 {
		span += ":" + number(to)
	}
	if from == to {
		span = number(from) + ":" + number(to)
	}
	l.add(invert, "--connbytes", span)
	l.add(false, "--connbytes-mode", [...]string{"packets", "bytes", "avgpkt"}[what])
	l.add(false, "--connbytes-dir", [...]string{"original", "reply", "both"}[direction])
	return true
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
		l.add(flags&1 != 0, "--string", `"`+strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(string(pattern))+`"`)
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
