package correlate

import (
	"slices"
	"strings"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/listeners"
)

// chosenByProgram takes "local" back where a BPF program chooses the sockets of
// packets: it may give this one what was sent to any address and port.
func (w writer) chosenByProgram() {
	for _, o := range w.in.Network.Outsiders {
		if o.Place == firewall.AtLookup && o.Kind == firewall.External {
			w.e.Label = Unknown
			w.add("undecided", "%s may give it packets that were sent to another address or port", o.Text)
		}
	}
}

// proxyUnseen takes "local" back from a transparent socket while rules are unread:
// one of them may give it what was sent to any address and port, whatever
// route_localnet says (net/netfilter/nft_tproxy.c).
func (w writer) proxyUnseen() {
	if len(w.in.Unread) == 0 || !slices.ContainsFunc(w.in.Listeners, w.transparent) {
		return
	}
	w.e.Label, w.e.Reasons = Unknown, nil // that it is bound to loopback is no reason for it
	w.add("undecided", "could not be read: %s; rules may give a transparent socket packets that were sent to another address or port", strings.Join(w.in.Unread, ", "))
}

// transparent says that a socket of the row is.
func (w writer) transparent(l listeners.Listener) bool {
	return l.Transparent && l.Transport() == w.e.Protocol && l.Port == w.e.Port && slices.Contains(w.e.Addresses, l.Address)
}
