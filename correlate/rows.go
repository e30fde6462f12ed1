package correlate

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netglance/netglance/listeners"
)

// A row is the sockets that become one Exposure: same protocol, port and owners.
type row struct {
	Exposure
	sockets []listeners.Listener
}

// rowsIn are the rows of the listeners of a namespace.
func rowsIn(in Input) []*row {
	out := rows(in.Listeners)
	if in.Namespace == "" {
		return out
	}
	for _, r := range out {
		r.Namespace = in.Namespace
		r.Fingerprint = fingerprint(r.Exposure)
	}
	return out
}

// rows groups the listeners, ordered by protocol, port and address. Connected
// clients and raw sockets have no port that an outsider could open a flow to.
func rows(all []listeners.Listener) []*row {
	byKey := map[string]*row{}
	var out []*row
	for _, l := range all {
		if l.Role == listeners.ConnectedClient || l.Protocol == "raw" {
			continue
		}
		key := fmt.Sprintf("%s %d %s", l.Transport(), l.Port, ownersKey(l))
		r := byKey[key]
		if r == nil {
			r = &row{Exposure: Exposure{Protocol: l.Transport(), Port: l.Port, Namespace: listeners.HostNamespace, Owners: l.Owners, Kernel: l.Kernel, ProbableClient: true}}
			byKey[key] = r
			out = append(out, r)
		}
		r.sockets = append(r.sockets, l)
		r.Predicted = cmp.Or(r.Predicted, l.Predicted)
		r.Addresses = append(r.Addresses, l.Address)
		r.ProbableClient = r.ProbableClient && l.Role == listeners.ProbableClient
		if r.OwnerGap == "" {
			r.OwnerGap, r.OwnerHint = l.OwnerGap, l.OwnerHint
		}
	}
	for _, r := range out {
		slices.SortFunc(r.Addresses, netip.Addr.Compare)
		r.Addresses = slices.Compact(r.Addresses)
		r.Devices = devices(r.sockets)
		r.Service = Service(r.Protocol, r.Port)
		r.Fingerprint = fingerprint(r.Exposure)
	}
	slices.SortStableFunc(out, func(a, b *row) int { return compareExposures(a.Exposure, b.Exposure) })
	return out
}

// Sort sorts the rows of several namespaces by protocol and port; else their order stays.
func Sort(all []Exposure) {
	slices.SortStableFunc(all, func(a, b Exposure) int {
		return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Port, b.Port))
	})
}

func compareExposures(a, b Exposure) int {
	return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Port, b.Port),
		slices.CompareFunc(a.Addresses, b.Addresses, netip.Addr.Compare), cmp.Compare(a.Fingerprint, b.Fingerprint))
}

// ownersKey tells sets of owners apart. Sockets whose owners could not be seen
// count as one owner's where the user is the same.
func ownersKey(l listeners.Listener) string {
	if l.Kernel {
		return "kernel"
	}
	if len(l.Owners) == 0 {
		return fmt.Sprintf("user %d", l.UID)
	}
	var key strings.Builder
	for _, p := range l.Owners {
		if p.PID == 0 { // predicted: it has none yet
			key.WriteString(p.Name)
		}
		fmt.Fprintf(&key, "%d ", p.PID)
	}
	return key.String()
}

// devices are the interfaces that all sockets are bound to, or none.
func devices(sockets []listeners.Listener) []string {
	var names []string
	for _, l := range sockets {
		if l.Device == "" {
			return nil
		}
		names = append(names, l.Device)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
