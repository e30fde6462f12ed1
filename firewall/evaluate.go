package firewall

// An Evaluator answers questions about one host's rules and network. It is safe
// for concurrent use.
type Evaluator struct {
	rules   *Ruleset
	network *Network
}

// NewEvaluator prepares the rules for questions.
func NewEvaluator(rules *Ruleset, network *Network) *Evaluator {
	return &Evaluator{rules: rules, network: network}
}

// Reach says for every source address what happens to its first packet: a
// partition of all addresses of the query's family, the largest part first.
func (e *Evaluator) Reach(q Query) []Part { panic("in work") }

// Explain follows the query's packet.
func (e *Evaluator) Explain(q Query) Explanation { panic("in work") }
