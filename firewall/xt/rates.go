package xt

import (
	"fmt"
	"strings"
	"time"
)

// The flags of hashlimit's mode (xt_hashlimit.h).
const (
	hashDestination = 1 << iota
	hashDestinationPort
	hashSource
	hashSourcePort
	hashAbove
	hashBytes
	hashRateMatch
)

// hashlimit is what xt_hashlimit_info, xt_hashlimit_mtinfo1, 2 and 3 have in common.
type hashlimit struct {
	name                        string
	mode                        uint32
	average, burst              uint64
	size, limit, collect        uint32
	expire, interval            uint32
	sourceMask, destinationMask uint8
}

func readHashlimit(revision uint8, f *fields) hashlimit {
	var h hashlimit
	switch revision {
	case 1:
		h.name = f.name(16)
		h.mode, h.average, h.burst = f.u32(), uint64(f.u32()), uint64(f.u32())
	default:
		h.name = f.name(255)
		f.align(8)
		h.average, h.burst, h.mode = f.u64(), f.u64(), f.u32()
	}
	h.size, h.limit, h.collect, h.expire = f.u32(), f.u32(), f.u32(), f.u32()
	if revision == 3 {
		h.interval = f.u32()
	}
	h.sourceMask, h.destinationMask = f.u8(), f.u8()
	return h
}

func hashlimitText(revision uint8, f *fields, l *line) bool {
	if revision < 1 || revision > 3 {
		return false
	}
	h := readHashlimit(revision, f)
	second := uint64(1000000)
	if revision == 1 {
		second = 10000
	}
	expire := h.rateText(l, second)
	var mode []string
	for _, m := range []struct {
		bit  uint32
		name string
	}{{hashSource, "srcip"}, {hashSourcePort, "srcport"}, {hashDestination, "dstip"}, {hashDestinationPort, "dstport"}} {
		if h.mode&m.bit != 0 {
			mode = append(mode, m.name)
		}
	}
	if len(mode) > 0 {
		l.add(false, "--hashlimit-mode", strings.Join(mode, ","))
	}
	l.add(false, "--hashlimit-name", h.name)
	addUnless(l, "--hashlimit-htable-size", h.size, 0)
	addUnless(l, "--hashlimit-htable-max", h.limit, 0)
	addUnless(l, "--hashlimit-htable-gcinterval", h.collect, 1000)
	addUnless(l, "--hashlimit-htable-expire", h.expire, expire)
	whole := uint32(8 * addressLength(f.family))
	addUnless(l, "--hashlimit-srcmask", uint32(h.sourceMask), whole)
	addUnless(l, "--hashlimit-dstmask", uint32(h.destinationMask), whole)
	if h.mode&hashRateMatch != 0 {
		l.add(false, "--hashlimit-rate-match")
		addUnless(l, "--hashlimit-rate-interval", h.interval, 1)
	}
	return true
}

func addUnless(l *line, name string, value, usual uint32) {
	if value != usual {
		l.add(false, name, number(value))
	}
}

// rateText writes the rate and its burst, and returns the usual expiry of an
// entry in milliseconds: one unit of the rate.
func (h hashlimit) rateText(l *line, second uint64) (expire uint32) {
	name := [...]string{"--hashlimit-upto", "--hashlimit-above"}[h.mode>>4&1]
	if h.mode&hashBytes == 0 {
		rate, unit := rateText(h.average, second)
		l.add(false, name, rate)
		l.add(false, "--hashlimit-burst", number(h.burst))
		return uint32(unit * 1000)
	}
	perSecond := costBytes(h.average)
	l.add(false, name, rateBytes(perSecond, h.average)+"/s")
	if h.burst == 0 {
		return 15000
	}
	l.add(false, "--hashlimit-burst", bytesText(perSecond*h.burst))
	return 60000
}

// costBytes and bytesCost turn a rate in bytes into what units of 16 bytes cost,
// as a share of 2^32, and back.
func costBytes(cost uint64) uint64 {
	units := uint64(1<<32 - 1)
	if cost != 0 {
		units /= cost
	}
	return (max(units, 1) - 1) << 4
}

func bytesCost(bytes uint64) uint64 { return (1<<32 - 1) / (bytes>>4 + 1) }

// rateBytes writes a rate in the largest unit of which it is a whole number, as
// far as its cost can tell.
func rateBytes(bytes, cost uint64) string {
	for _, unit := range []uint64{1 << 20, 1 << 10} {
		if bytes >= unit && bytesCost(bytes/unit*unit) == cost {
			return bytesText(bytes / unit * unit)
		}
	}
	return fmt.Sprintf("%db", bytes)
}

func bytesText(n uint64) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%dmb", n>>20)
	case n >= 1<<10:
		return fmt.Sprintf("%dkb", n>>10)
	}
	return fmt.Sprintf("%db", n)
}

const hashlimitOptions = "hashlimit=1 hashlimit-upto=1 hashlimit-above=1 hashlimit-burst=1 hashlimit-mode=1 hashlimit-name=1 hashlimit-srcmask=1 hashlimit-dstmask=1 hashlimit-htable-size=1 hashlimit-htable-max=1 hashlimit-htable-gcinterval=1 hashlimit-htable-expire=1 hashlimit-rate-match=0 hashlimit-rate-interval=1"

var weekdays = []string{"", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}

// timeText reads xt_time_info (xt_time.h).
func timeText(_ uint8, f *fields, l *line) bool {
	from, until, start, stop := f.u32(), f.u32(), f.u32(), f.u32()
	monthdays, days, flags := f.u32(), f.u8(), f.u8()
	if start != 0 || stop != 24*60*60-1 {
		l.add(false, "--timestart", clock(start))
		l.add(false, "--timestop", clock(stop))
	}
	if monthdays != 0xfffffffe {
		var list []string
		for d := 1; d <= 31; d++ {
			if monthdays>>d&1 != 0 {
				list = append(list, number(d))
			}
		}
		l.add(false, "--monthdays", strings.Join(list, ","))
	}
	if days != 0xfe {
		l.add(false, "--weekdays", bitNames(uint32(days)&0xfe, weekdays))
	}
	if from != 0 {
		l.add(false, "--datestart", date(from))
	}
	if until != 0 {
		l.add(false, "--datestop", date(until))
	}
	if flags&1 != 0 {
		l.add(false, "--kerneltz")
	}
	if flags&2 != 0 {
		l.add(false, "--contiguous")
	}
	return true
}

func clock(seconds uint32) string {
	return fmt.Sprintf("%02d:%02d:%02d", seconds/3600, seconds/60%60, seconds%60)
}

func date(seconds uint32) string {
	return time.Unix(int64(seconds), 0).UTC().Format("2006-01-02T15:04:05")
}

const timeOptions = "timestart=1 timestop=1 monthdays=1 weekdays=1 datestart=1 datestop=1 kerneltz=0 localtz=0 utc=0 contiguous=0"

// The flags of xt_rateest_match_info (xt_rateest.h).
const (
	rateestInvert = 1 << iota
	rateestAbsolute
	rateestRelative
	rateestDelta
	rateestBits
	rateestPackets
)

func rateestText(_ uint8, f *fields, l *line) bool {
	first, second := f.name(16), f.name(16)
	flags, mode := f.u16(), f.u16()
	bytes1, packets1, bytes2, packets2 := f.u32(), f.u32(), f.u32(), f.u32()
	compare, ok := map[uint16]string{1: "--rateest-eq", 2: "--rateest-lt", 3: "--rateest-gt"}[mode]
	if !ok {
		return false
	}
	has := func(flag uint16) bool { return flags&flag != 0 }
	// value writes "--rateest-bpsN rate" or "--rateest-ppsN rate" for side N.
	value := func(side string, bytes, packets uint32) {
		if has(rateestBits) {
			l.add(false, "--rateest-bps"+side, bitRate(bytes))
		}
		if has(rateestPackets) {
			l.add(false, "--rateest-pps"+side, number(packets))
		}
	}
	name := "--rateest"
	if has(rateestRelative) {
		name = "--rateest1"
	}
	if has(rateestDelta) {
		l.add(false, "--rateest-delta")
	}
	l.add(false, name, first)
	switch {
	case has(rateestDelta):
		value("1", bytes1, packets1)
		l.add(has(rateestInvert), compare)
		value("2", bytes2, packets2)
	case has(rateestRelative):
		l.add(has(rateestInvert), compare)
		if has(rateestBits) {
			l.add(false, "--rateest-bps")
		}
		if has(rateestPackets) {
			l.add(false, "--rateest-pps")
		}
	default:
		l.add(has(rateestInvert), compare)
		value("", bytes2, packets2)
	}
	if has(rateestRelative) {
		l.add(false, "--rateest2", second)
	}
	return true
}

func bitRate(bytes uint32) string {
	bits := uint64(bytes) * 8
	switch {
	case bits >= 1e9:
		return fmt.Sprintf("%.0fMbit", float64(bits)/1e6)
	case bits >= 1e6:
		return fmt.Sprintf("%.0fKbit", float64(bits)/1e3)
	}
	return fmt.Sprintf("%dbit", bits)
}

const rateestOptions = "rateest=1 rateest1=1 rateest2=1 rateest-bps=? rateest-pps=? rateest-bps1=1 rateest-bps2=1 rateest-pps1=1 rateest-pps2=1 rateest-delta=0 rateest-eq=0 rateest-lt=0 rateest-gt=0"

// ipvsText reads xt_ipvs_mtinfo (xt_ipvs.h).
func ipvsText(_ uint8, f *fields, l *line) bool {
	virtual, mask := f.address(), f.address()
	port := f.be16()
	protocol, method := f.u8(), f.u8()
	control := f.be16()
	invert, which := f.u8(), f.u8()
	add := func(bit uint8, name string, arguments ...string) {
		if which&bit != 0 {
			l.add(invert&bit != 0, name, arguments...)
		}
	}
	if which == 1 {
		add(1, "--ipvs")
	}
	add(2, "--vproto", number(protocol))
	add(4, "--vaddr", virtual.String()+maskText(mask))
	add(8, "--vport", number(port))
	if which&16 != 0 {
		l.add(false, "--vdir", [...]string{"ORIGINAL", "REPLY"}[boolIndex(invert&16 != 0)])
	}
	add(32, "--vmethod", map[uint8]string{0: "MASQ", 2: "IPIP", 3: "GATE"}[method])
	add(64, "--vportctl", number(control))
	return true
}

const ipvsOptions = "ipvs=0 vproto=1 vaddr=1 vport=1 vdir=1 vmethod=1 vportctl=1"
