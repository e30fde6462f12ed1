package firewall

import (
	"slices"
	"strconv"

	"github.com/netglance/netglance/internal/bdd"
)

// A turn is a base chain's place among those of its hook: when says which packets
// meet it there.
type turn struct {
	chain *Chain
	when  bdd.Node
}

// turns are the chains in the order in which the kernel calls them. Chains of nft
// tell by their numbers which was registered first; a legacy table doesn't, so
// beside chains of its very priority it may have any place (nf_hook_entries_grow).
func (w *walker) turns(chains []*Chain) []turn {
	var list []turn
	for len(chains) > 0 {
		tied := 1
		for tied < len(chains) && chains[tied].Base.Priority == chains[0].Base.Priority {
			tied++
		}
		list = append(list, w.tiedTurns(chains[:tied])...)
		chains = chains[tied:]
	}
	return list
}

func isLegacy(c *Chain) bool { return c.Table.Backend == IptablesLegacy }

// tiedTurns are those of one priority. At one priority a family's legacy tables
// have one chain a hook.
func (w *walker) tiedTurns(chains []*Chain) []turn {
	at := slices.IndexFunc(chains, isLegacy)
	if at < 0 || len(chains) == 1 {
		list := make([]turn, len(chains))
		for i, c := range chains {
			list[i] = turn{c, bdd.True}
		}
		return list
	}
	legacy, waiting := chains[at], bdd.True
	var list []turn
	for _, c := range slices.Delete(slices.Clone(chains), at, at+1) {
		before := w.fact("which was registered first at priority "+strconv.Itoa(int(c.Base.Priority))+": "+
			legacy.FullName()+" of iptables-legacy or "+c.FullName(), Unmodelled)
		list = append(list, turn{legacy, w.m.And(waiting, before)}, turn{c, bdd.True})
		waiting = w.m.Diff(waiting, before)
	}
	return append(list, turn{legacy, waiting})
}

// runTurn takes the packets through a chain that has its turn with them.
func (w *walker) runTurn(p *packet, next turn, live bdd.Node, t trail) (bdd.Node, trail) {
	met, t := w.runChain(p, next.chain, w.m.And(live, next.when), t)
	return w.m.Or(met, w.m.Diff(live, next.when)), t
}
