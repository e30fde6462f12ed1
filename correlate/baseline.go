package correlate

import (
	"fmt"

	"github.com/netglance/netglance/internal/addresses"
)

// A Snapshot is what an earlier report says, or a recorded host's.
type Snapshot struct {
	// Name is the file's.
	Name  string
	Ports []Exposure
	// Findings are the fingerprints of its findings, suppressed ones left out.
	Findings map[string]bool
	// Rules are its rules, chain by chain; nil if it doesn't tell them.
	Rules []ChainRules
	// EveryPort are the rows of all ports, whether anything listens there or not; nil
	// if they can't be told.
	EveryPort func() []Exposure
	// Complete says that nothing was left unread.
	Complete bool
}

// Compare marks the findings that the snapshot has too, and adds one for every
// port that more sources reach than then.
func Compare(found []Finding, ports []Exposure, known *Snapshot) ([]Finding, error) {
	space := addresses.NewBounded(maxNodes, 0)
	before := map[string][]Exposure{}
	for _, e := range known.Ports {
		before[e.Fingerprint] = append(before[e.Fingerprint], e)
	}
	wider := map[*Exposure]string{}
	for i := range ports {
		if ports[i].ProbableClient {
			continue
		}
		if text := widened(space, before[ports[i].Fingerprint], ports[i]); text != "" {
			wider[&ports[i]] = text
		}
	}
	if space.Full() {
		return nil, ErrTooMany
	}
	for i := range found {
		f := &found[i]
		f.Known = known.Findings[f.Fingerprint] && (f.Port == nil || wider[f.Port] == "")
	}
	for i := range ports {
		e := &ports[i]
		if text := wider[e]; text != "" {
			found = append(found, Finding{Kind: KindNew, Severity: newSeverity(found, e), Port: e, Text: text, Remedy: e.Remedy, Fingerprint: findingPrint(KindNew, e.Fingerprint)})
		}
	}
	SortFindings(found)
	return found, nil
}

// newSeverity is that of the port's exposure, or low where it is declared.
func newSeverity(found []Finding, e *Exposure) Severity {
	for _, f := range found {
		if f.Port == e && f.Kind == KindExposed {
			return f.Severity
		}
	}
	return Low
}

// A wayKey is one way into the host.
type wayKey struct {
	iface  string
	family int
}

// openBy are the sources that get through, or may, by way.
func openBy(space *addresses.Space, e Exposure) (sure, maybe map[wayKey]addresses.Set) {
	sure, maybe = map[wayKey]addresses.Set{}, map[wayKey]addresses.Set{}
	for _, r := range e.Reach {
		at := wayKey{r.Interface, r.Family}
		switch set := sourceSet(space, r.Sources, r.Family); {
		case fromLinkOnly(r):
		case reaches(r.Part) == surely:
			sure[at] = space.Or(sure[at], set)
		case reaches(r.Part) == perhaps:
			maybe[at] = space.Or(maybe[at], set)
		}
	}
	return sure, maybe
}

// widened says who reaches the port now and didn't, by any of the rows that were
// it then; empty if nobody.
func widened(space *addresses.Space, before []Exposure, e Exposure) string {
	was := map[wayKey]addresses.Set{}
	for _, b := range before {
		sure, _ := openBy(space, b)
		for at, set := range sure {
			was[at] = space.Or(was[at], set)
		}
	}
	sure, _ := openBy(space, e)
	var text string
	for _, at := range sortedWays(sure) {
		more := space.Diff(sure[at], was[at])
		switch {
		case more.Empty() || text != "":
		case len(before) == 0:
			text = "the baseline has no such port with such an owner"
		default:
			text = fmt.Sprintf("%s reaches it by %s now", familyText(space.Text(more, space.Of(addresses.OffWire...), at.family), at.family), at.iface)
		}
	}
	return text
}
