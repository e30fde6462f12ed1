package firewall

// ConditionKind says why an answer can't be settled by reading.
type ConditionKind uint8

// The kinds of condition. Sender: the sender's choice (source port, TTL …).
// Rate, History, Time, Random: the packet passes at some times and not at
// others. External: a program decides. Unmodelled: netglance doesn't know the
// match. Unread: it could not be read.
const (
	ConditionUnknown ConditionKind = iota
	Sender
	Rate
	History
	Time
	Random
	External
	Unmodelled
	Unread
)

func (k ConditionKind) String() string {
	names := [...]string{"unknown", "sender", "rate", "history", "time", "random", "external", "unmodelled", "unread"}
	if int(k) < len(names) {
		return names[k]
	}
	return "unknown"
}

// A Condition is one thing that an answer depends on.
type Condition struct {
	Kind ConditionKind
	// Text tells it in words: "limit rate 10/minute (inet filter input, rule 4)".
	Text string
}
