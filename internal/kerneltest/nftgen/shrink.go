package nftgen

// Shrink takes out of a script whatever it can while fails stays true: tables,
// chains, sets, rules, elements, then parts of rules. A script that nft refuses
// must count as one that doesn't fail.
func Shrink(s Script, fails func(Script) bool) Script {
	for {
		smaller, ok := shrinkOnce(s, fails)
		if !ok {
			return s
		}
		s = smaller
	}
}

// shrinkOnce goes once over all that can be taken out. It is false when nothing could.
func shrinkOnce(s Script, fails func(Script) bool) (Script, bool) {
	shrunk := false
	try := func(candidate Script) bool {
		if !fails(candidate) {
			return false
		}
		s, shrunk = candidate, true
		return true
	}
	for i := len(s.Tables) - 1; i >= 0; i-- {
		c := s
		c.Tables = without(s.Tables, i)
		try(c)
	}
	for i := range s.Tables {
		shrinkTable(i, &s, try)
	}
	return s, shrunk
}

func shrinkTable(i int, s *Script, try func(Script) bool) {
	replace := func(t Table) Script {
		c := Script{Tables: append([]Table(nil), s.Tables...)}
		c.Tables[i] = t
		return c
	}
	for j := len(s.Tables[i].Chains) - 1; j >= 0; j-- {
		t := s.Tables[i]
		t.Chains = without(t.Chains, j)
		try(replace(t))
	}
	for j := len(s.Tables[i].Sets) - 1; j >= 0; j-- {
		t := s.Tables[i]
		t.Sets = without(t.Sets, j)
		try(replace(t))
	}
	for j := range s.Tables[i].Chains {
		shrinkList(func() []Rule { return s.Tables[i].Chains[j].Rules }, func(rules []Rule) bool {
			t := s.Tables[i]
			t.Chains = append([]Chain(nil), t.Chains...)
			t.Chains[j].Rules = rules
			return try(replace(t))
		})
		for k := range s.Tables[i].Chains[j].Rules {
			shrinkList(func() []string { return s.Tables[i].Chains[j].Rules[k] }, func(parts []string) bool {
				if len(parts) == 0 {
					return false
				}
				t := s.Tables[i]
				t.Chains = append([]Chain(nil), t.Chains...)
				t.Chains[j].Rules = append([]Rule(nil), t.Chains[j].Rules...)
				t.Chains[j].Rules[k] = parts
				return try(replace(t))
			})
		}
	}
	for j := range s.Tables[i].Sets {
		shrinkList(func() []string { return s.Tables[i].Sets[j].Elements }, func(elements []string) bool {
			t := s.Tables[i]
			t.Sets = append([]Set(nil), t.Sets...)
			t.Sets[j].Elements = elements
			return try(replace(t))
		})
	}
}

// shrinkList takes out halves, then quarters, down to single members.
func shrinkList[T any](list func() []T, try func([]T) bool) {
	for size := (len(list()) + 1) / 2; size >= 1; size /= 2 {
		for start := len(list()) - size; start >= 0; start -= size {
			l := list()
			rest := append(append([]T(nil), l[:start]...), l[start+size:]...)
			try(rest)
		}
	}
}

func without[T any](list []T, i int) []T {
	return append(append([]T(nil), list[:i]...), list[i+1:]...)
}
