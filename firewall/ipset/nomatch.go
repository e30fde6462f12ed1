package ipset

import (
	"bytes"
	"slices"
)

// withoutExceptions resolves "nomatch" members: of the networks that hold an
// address the smallest decides, so an exception cuts its network out of larger
// ones, and smaller ones count again. net is the place of the network among the
// parts of a key; members whose other parts are the same belong together.
func withoutExceptions(members []keyedMember, net int) []keyedMember {
	at := net
	if len(members) > 0 && len(members[0].spans) > 2 && net > 0 {
		at = len(members[0].spans) - 1 // ip,port,net: a port is two spans
	}
	groups := make(map[string][]keyedMember)
	var order []string
	for _, m := range members {
		others := slices.Clone(m.spans)
		others[at] = span{}
		from, to := join(others, false)
		key := string(from) + string(to)
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], m)
	}
	var all []keyedMember
	for _, key := range order {
		all = append(all, resolve(groups[key], at)...)
	}
	return all
}

// resolve walks networks that are nested or apart, from the lowest address on,
// the larger first. The stack holds those that the walk is in.
func resolve(members []keyedMember, at int) (resolved []keyedMember) {
	slices.SortStableFunc(members, func(a, b keyedMember) int {
		if c := bytes.Compare(a.spans[at].from, b.spans[at].from); c != 0 {
			return c
		}
		return bytes.Compare(b.spans[at].to, a.spans[at].to)
	})
	var stack []keyedMember
	var next []byte // the first address that nothing was said of yet
	emit := func(to []byte) {
		if len(stack) == 0 || next == nil || bytes.Compare(next, to) > 0 {
			return
		}
		top := stack[len(stack)-1]
		if top.flags&flagNomatch == 0 {
			top.spans = slices.Clone(top.spans)
			top.spans[at] = span{slices.Clone(next), to}
			resolved = append(resolved, top)
		}
	}
	pop := func() {
		last := stack[len(stack)-1].spans[at].to
		emit(last)
		stack = stack[:len(stack)-1]
		next = after(last)
	}
	for _, m := range members {
		for len(stack) > 0 && bytes.Compare(stack[len(stack)-1].spans[at].to, m.spans[at].from) < 0 {
			pop()
		}
		if before := before(m.spans[at].from); before != nil {
			emit(before)
		}
		stack, next = append(stack, m), m.spans[at].from
	}
	for len(stack) > 0 {
		pop()
	}
	return resolved
}

// after is the next address; nil behind the last.
func after(a []byte) []byte {
	b := slices.Clone(a)
	for i := len(b) - 1; i >= 0; i-- {
		b[i]++
		if b[i] != 0 {
			return b
		}
	}
	return nil
}

// before is the address before; nil before the first.
func before(a []byte) []byte {
	b := slices.Clone(a)
	for i := len(b) - 1; i >= 0; i-- {
		b[i]--
		if b[i] != 0xff {
			return b
		}
	}
	return nil
}
