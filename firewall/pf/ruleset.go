package pf

// A Ruleset is a whole configuration: options, and the main ruleset with the
// anchors below it.
type Ruleset struct {
	Dialect Dialect
	Main    *Anchor
	// Statements are options, macros and queues as pfctl -nvf prints them, in order.
	Statements []Statement
	// Skip are the interfaces and groups that pf leaves alone (set skip on).
	Skip []string
	// Disabled says that pf was read from a system on which it is off.
	Disabled bool
	// DefaultBlock says that packets which no rule matches are blocked: FreeBSD's
	// sysctl net.pf.default_to_drop.
	DefaultBlock bool
	// Live says that the rules come from a running system: every anchor and table
	// that isn't there is empty, not unread.
	Live bool
	// Unread are what the rules name and could not be read: answers that depend on it
	// are conditional.
	Unread []string
	// FilledLater are anchors and tables of a file that programs fill at run time.
	// They are taken as they are when the file is loaded: empty.
	FilledLater []string

	// rules and inline count rules and anchors in braces.
	rules, inline int
	// loaded are the anchors that "load anchor" fills.
	loaded []*Anchor
}

// A Statement is what stands beside rules.
type Statement struct {
	// Kind is "macro", "set", "queue", "load".
	Kind string
	Text string
}

// An Anchor is a ruleset: the main one, or one that a rule calls.
type Anchor struct {
	// Path is where it stands from the main ruleset: "" for that one, "a/b".
	Path   string
	Parent *Anchor
	// Name is the last part of Path.
	Name string
	// Filter are pass, block, match and anchor rules, in order; NAT, RDR and Binat
	// are the rules of those rulesets, their anchors among them.
	Filter, NAT, RDR, Binat []*Rule
	Scrub, Dummynet, Ether  []*Rule
	Tables                  []*Table
	Children                []*Anchor // sorted by name
	// Order are all rules, and tables, as they were written.
	Order []any
	// Unread says that the rules inside are not known: nothing was loaded from a
	// file, but a program may fill the anchor at run time.
	Unread bool
	// Defined says that something was loaded into it.
	Defined bool
	// loaded says that "load anchor" filled it.
	loaded bool
}

// A Table is a list of addresses with a name.
type Table struct {
	Name    string
	Anchor  *Anchor
	Entries []Address
	// Persist, Const and Counters are its flags.
	Persist, Const, Counters bool
	// Written is the list as it stands in the file, for printing.
	Written []tablePart
	// Unread names a file that could not be read.
	Unread string
	// Loaded says that the entries are all there are: read from a running system.
	Loaded bool
	// Automatic tables are what pfctl makes of lists of addresses in pools.
	Automatic bool
}

// tablePart is a list in braces, or a file.
type tablePart struct {
	file    string
	entries []Address
	list    bool
}

// child finds or makes the anchor of a name below a.
func (a *Anchor) child(name string) *Anchor {
	for _, c := range a.Children {
		if c.Name == name {
			return c
		}
	}
	c := &Anchor{Path: joinPath(a.Path, name), Parent: a, Name: name}
	at := len(a.Children)
	for at > 0 && a.Children[at-1].Name > name {
		at--
	}
	a.Children = append(a.Children[:at], append([]*Anchor{c}, a.Children[at:]...)...)
	return c
}

func joinPath(path, name string) string {
	if path == "" {
		return name
	}
	return path + "/" + name
}

// table finds the table of a name that rules in a mean: the anchor's own, or
// the main ruleset's (pfr_attach_table).
func (a *Anchor) table(name string) *Table {
	for _, t := range a.Tables {
		if t.Name == name {
			return t
		}
	}
	if a.Parent == nil {
		return nil
	}
	return a.root().table(name)
}

func (a *Anchor) root() *Anchor {
	for a.Parent != nil {
		a = a.Parent
	}
	return a
}

// ruleset is the list that rules of an action belong to.
func (a *Anchor) ruleset(action Action) *[]*Rule {
	switch action {
	case NAT:
		return &a.NAT
	case RDR:
		return &a.RDR
	case Binat:
		return &a.Binat
	case Scrub:
		return &a.Scrub
	case Dummynet:
		return &a.Dummynet
	case Ether:
		return &a.Ether
	}
	return &a.Filter
}

// add appends a rule to its ruleset and numbers it.
func (a *Anchor) add(r *Rule) {
	list := a.ruleset(r.Action)
	r.Number = len(*list)
	*list = append(*list, r)
	a.Order = append(a.Order, r)
	a.Defined = true
}
