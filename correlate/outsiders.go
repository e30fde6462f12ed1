package correlate

import "github.com/netglance/netglance/firewall"

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
