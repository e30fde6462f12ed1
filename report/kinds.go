package report

import "github.com/netglance/netglance/correlate"

// A kindText explains a kind of finding to somebody who has only the report.
type kindText struct {
	name, short, full, help string
}

const docs = "https://github.com/netglance/netglance"

var kindTexts = map[correlate.Kind]kindText{
	correlate.KindExposed: {"PortExposed", "A port is reachable, and nothing declares that",
		"Some source outside of this host can reach the port by the host's own rules, and neither the policy nor a rule that names the port or the sources declares that. What lies before the host is not looked at.",
		"Close it with the rule that the message's remedy names, bind the service to loopback, or declare it in netglance.yaml with a reason."},
	correlate.KindUnknown: {"Undecided", "It could not be decided who reaches a port, or whether an assertion holds",
		"Something that decides about packets could not be read, or depends on what no reading settles.",
		"Run netglance as root, and see which sources the report names as unread."},
	correlate.KindConditional: {"Conditional", "Whether some sources reach a port depends on more than the rules",
		"A rate limit, a time, a program or a match that is not modelled decides about some sources.",
		"Read the condition. \"netglance firewall verify\" asks a kernel about both outcomes."},
	correlate.KindConflict: {"Conflict", "What a packet found is not what the rules say",
		"A probe disagrees with the answer that was read from the rules.",
		"Believe the probe, and report the disagreement: one of the two is wrong."},
	correlate.KindExpired: {"PolicyExpired", "An entry of the policy has ended",
		"The last day of an entry or a suppression is over: it declares nothing any more.",
		"Take it out, or give it a later date with a reason."},
	correlate.KindAssertion: {"AssertionFails", "An assertion of the policy does not hold",
		"The rules and the sockets of this host contradict what the policy asserts, for the sources that the message names.",
		"See the rule that the message names: netglance firewall explain PORT --from SOURCE."},
	correlate.KindNew: {"NewReach", "More is reachable than in the baseline",
		"A port is reachable by sources that did not reach it in the baseline, or the baseline does not have it.",
		"Close it, or declare it and write a new baseline."},
}
