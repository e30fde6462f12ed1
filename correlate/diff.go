package correlate

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/internal/addresses"
	"github.com/netglance/netglance/listeners"
)

// Change is what became of a port between two reports.
type Change string

// The changes. A port can have several.
const (
	Opened    Change = "opened"    // nobody listened, and no rule led anywhere; now somebody is reached
	Started   Change = "started"   // the same, and nobody outside reaches it
	Closed    Change = "closed"    // somebody was reached; nobody listens any more
	Stopped   Change = "stopped"   // nobody listens any more, and nobody outside reached it
	OwnedBy   Change = "owner"     // somebody else holds it
	Bound     Change = "bound"     // it is bound elsewhere
	Widened   Change = "widened"   // more sources reach it
	Narrowed  Change = "narrowed"  // fewer do
	Unsettled Change = "unsettled" // of some sources it can't be told any more
	Settled   Change = "settled"   // it can be told now
	Labelled  Change = "label"     // only its label changed
)

// A PortChange is one thing that changed about a port.
type PortChange struct {
	Change Change
	// Before and After are the port then and now; nil where there is none.
	Before, After *Exposure
	// Interface and Family are the way on which the reach changed; empty for other changes.
	Interface string
	Family    int
	// Sources are exactly those that reach it more, or less: at most 1,000 prefixes.
	Sources []netip.Prefix
	// More says that there are others beside them.
	More bool
	Text string
}

// A Difference is what changed between two reports.
type Difference struct {
	Ports []PortChange
	Rules []RuleChange
	// RulesUntold says that one of them doesn't tell its rules.
	RulesUntold bool
	// OtherPorts are ports that other sources than before reach by the rules, where
	// nothing listens, or did. AnswersKnown says that they were asked for.
	OtherPorts   []PortSpan
	AnswersKnown bool
	// Incomplete says that one of them left something unread: what is missing there
	// may not have changed.
	Incomplete bool
}

// Empty says that nothing changed.
func (d Difference) Empty() bool { return len(d.Ports)+len(d.Rules) == 0 }

// maxNodes bounds what a comparison may take of memory: reports are somebody else's.
// Each node has 16 bytes; 100,000 prefixes of IPv6 need some 3 million.
const maxNodes = 1 << 24

// ErrTooMany says that a report names more sources than can be compared.
var ErrTooMany = errors.New("the sources are too many to be compared")

// Diff is what changed from one snapshot to another. Processes are compared by what
// survives a restart.
func Diff(before, after *Snapshot) (Difference, error) {
	d := Difference{Incomplete: !before.Complete || !after.Complete}
	w := differ{space: addresses.NewBounded(maxNodes, 0)}
	w.filler = w.space.Of(addresses.OffWire...)
	for _, pair := range pairs(before.Ports, after.Ports) {
		w.port(pair[0], pair[1])
	}
	d.Ports = w.changes
	if d.RulesUntold = before.Rules == nil || after.Rules == nil; !d.RulesUntold {
		d.Rules = diffRules(before.Rules, after.Rules)
	}
	if len(d.Rules) > 0 && before.EveryPort != nil && after.EveryPort != nil {
		d.AnswersKnown = true
		d.OtherPorts = withoutRows(w.answers(before.EveryPort(), after.EveryPort()), before.Ports, after.Ports)
	}
	if w.space.Full() {
		return Difference{}, ErrTooMany
	}
	return d, nil
}

// portKey is what makes two rows the same port.
func portKey(e Exposure) string {
	return fmt.Sprintf("%s %s %05d-%05d", e.Namespace, e.Protocol, e.Port, max(e.Port, e.LastPort))
}

// pairs joins the rows of the same port: first those with one fingerprint, then
// those that are bound to the same address, then what is left, in order.
func pairs(before, after []Exposure) (out [][2]*Exposure) {
	rowsOf := map[string]*[2][]*Exposure{}
	for side, all := range [][]Exposure{before, after} {
		for i := range all {
			if all[i].ProbableClient {
				continue // the kernel chose its port: the next one has another
			}
			key := portKey(all[i])
			if rowsOf[key] == nil {
				rowsOf[key] = &[2][]*Exposure{}
			}
			rowsOf[key][side] = append(rowsOf[key][side], &all[i])
		}
	}
	for _, key := range slices.Sorted(maps.Keys(rowsOf)) {
		old, now := rowsOf[key][0], rowsOf[key][1]
		for _, same := range []func(a, b *Exposure) bool{
			func(a, b *Exposure) bool { return a.Fingerprint == b.Fingerprint },
			func(a, b *Exposure) bool { return slices.Equal(a.Addresses, b.Addresses) },
			func(a, b *Exposure) bool {
				return slices.ContainsFunc(a.Addresses, func(x netip.Addr) bool { return slices.Contains(b.Addresses, x) })
			},
			func(*Exposure, *Exposure) bool { return true },
		} {
			old = slices.DeleteFunc(old, func(a *Exposure) bool {
				at := slices.IndexFunc(now, func(b *Exposure) bool { return same(a, b) })
				if at < 0 {
					return false
				}
				out = append(out, [2]*Exposure{a, now[at]})
				now = slices.Delete(now, at, at+1)
				return true
			})
		}
		for _, a := range old {
			out = append(out, [2]*Exposure{a, nil})
		}
		for _, b := range now {
			out = append(out, [2]*Exposure{nil, b})
		}
	}
	return out
}

type differ struct {
	space   *addresses.Space
	filler  addresses.Set
	changes []PortChange
}

func (w *differ) add(change Change, before, after *Exposure, format string, arguments ...any) {
	w.changes = append(w.changes, PortChange{Change: change, Before: before, After: after, Text: fmt.Sprintf(format, arguments...)})
}

func (w *differ) port(before, after *Exposure) {
	switch {
	case before == nil:
		w.add(unlessHidden(*after, Opened, Started), nil, after, "%s, held by %s", after.Label, holders(*after))
		return
	case after == nil:
		w.add(unlessHidden(*before, Closed, Stopped), before, nil, "it was %s, held by %s", before.Label, holders(*before))
		return
	}
	start := len(w.changes)
	if a, b := identities(*before), identities(*after); !slices.Equal(a, b) && before.OwnerGap == "" && after.OwnerGap == "" {
		w.add(OwnedBy, before, after, "held by %s, before by %s", holders(*after), holders(*before))
	}
	if !before.Redirected && !slices.Equal(before.Addresses, after.Addresses) {
		w.add(Bound, before, after, "bound to %s, before to %s", addressList(after.Addresses), addressList(before.Addresses))
	}
	w.reach(before, after)
	if before.Label != after.Label && len(w.changes) == start {
		w.add(Labelled, before, after, "%s, before %s", after.Label, before.Label)
	}
}

// unlessHidden is the first, or the second for a port that nobody outside reaches.
func unlessHidden(e Exposure, reached, hidden Change) Change {
	if e.Label == Filtered || e.Label == Local {
		return hidden
	}
	return reached
}

// reach compares who gets through, way by way.
func (w *differ) reach(before, after *Exposure) {
	wasSure, wasMaybe := openBy(w.space, *before)
	sure, maybe := openBy(w.space, *after)
	ways := map[wayKey]addresses.Set{}
	for _, m := range []map[wayKey]addresses.Set{wasSure, wasMaybe, sure, maybe} {
		maps.Copy(ways, m)
	}
	for _, at := range sortedWays(ways) {
		w.way(Widened, before, after, at, w.space.Diff(w.space.Diff(sure[at], wasSure[at]), wasMaybe[at]), "reaches it now")
		w.way(Narrowed, before, after, at, w.space.Diff(w.space.Diff(wasSure[at], sure[at]), maybe[at]), "doesn't reach it any more")
		w.way(Unsettled, before, after, at, w.space.Diff(maybe[at], wasMaybe[at]), "may reach it or not: it can't be told any more")
		w.way(Settled, before, after, at, w.space.Diff(wasMaybe[at], maybe[at]), "is settled now: before it could not be told whether it reaches the port")
	}
}

func (w *differ) way(change Change, before, after *Exposure, at wayKey, sources addresses.Set, what string) {
	if sources.Empty() {
		return
	}
	c := PortChange{Change: change, Before: before, After: after, Interface: at.iface, Family: at.family}
	c.Sources, c.More = w.space.Prefixes(sources, maxOutside)
	c.Text = fmt.Sprintf("%s, by %s, %s", familyText(w.space.Text(sources, w.filler, at.family), at.family), at.iface, what)
	w.changes = append(w.changes, c)
}

func sortedWays(m map[wayKey]addresses.Set) []wayKey {
	return slices.SortedFunc(maps.Keys(m), func(a, b wayKey) int {
		return cmp.Or(strings.Compare(a.iface, b.iface), cmp.Compare(a.family, b.family))
	})
}

func addressList(all []netip.Addr) string {
	var words []string
	for _, a := range all {
		words = append(words, a.String())
	}
	return strings.Join(words, ", ")
}

// holders names the owners in words.
func holders(e Exposure) string {
	names := Holders(e)
	switch {
	case e.Kernel:
		return "the kernel"
	case len(names) > 0:
		return strings.Join(names, ", ")
	case e.OwnerGap != "":
		return "somebody unseen"
	}
	return "nobody here"
}

// Holders names the owners without their pids, each once, sorted.
func Holders(e Exposure) []string {
	names := []string{}
	for _, p := range e.Owners {
		names = append(names, holder(p))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func holder(p listeners.Process) string {
	switch {
	case p.Container.Runtime != "":
		return p.Name + " in a container of " + p.Container.Runtime
	case p.SocketUnit != "" && p.PID == 1:
		return p.SocketUnit
	case p.Unit != "":
		return p.Name + " (" + p.Unit + ")"
	}
	return p.Name
}

// A ChainRules is a base chain or another one, with its rules' texts in order.
type ChainRules struct {
	// Name is "FAMILY TABLE CHAIN", Base the hook, priority and policy; empty if no hook calls it.
	Name, Base string
	Rules      []string
}

// RulesOf are a ruleset's chains, sorted by name.
func RulesOf(rules *firewall.Ruleset) []ChainRules {
	out := []ChainRules{}
	for _, t := range rules.Tables {
		for _, c := range t.Chains {
			one := ChainRules{Name: t.Backend.String() + " " + chainName(c)}
			if c.Base != nil {
				one.Base = fmt.Sprintf("%s %s priority %d policy %s", c.Base.Type, c.Base.Hook, c.Base.Priority, c.Base.Policy)
			}
			if t.Dormant {
				one.Base += " dormant"
			}
			for _, r := range c.Rules {
				one.Rules = append(one.Rules, r.Text())
			}
			out = append(out, one)
		}
	}
	slices.SortFunc(out, func(a, b ChainRules) int { return strings.Compare(a.Name, b.Name) })
	return out
}
