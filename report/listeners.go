package report

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/netglance/netglance/listeners"
)

// ListenersText writes a table with ss's columns.
func ListenersText(w io.Writer, all []listeners.Listener, s Style) error {
	var t table
	spaces := slices.ContainsFunc(all, func(l listeners.Listener) bool { return l.Namespace != "" })
	header := plainCells("NETID", "STATE", "LOCAL ADDRESS:PORT", "PROCESS", "USER", "UNIT")
	if spaces {
		header = append(header, cell{text: "NAMESPACE"})
	}
	for i := range header {
		header[i].color = bold
	}
	t.add(header...)
	for _, l := range all {
		row := plainCells(l.Protocol, stateWord(l), localAddress(l), processes(l), users(l), places(l.Owners))
		if spaces {
			row = append(row, cell{text: Clean(l.Namespace)})
		}
		t.add(row...)
	}
	return t.write(w, s)
}

// stateWord is ss's word, or for a UDP socket what it probably is.
func stateWord(l listeners.Listener) string {
	switch l.Role {
	case listeners.ConnectedClient:
		return "ESTAB"
	case listeners.ProbableClient:
		return "UNCONN (client?)"
	}
	switch l.State {
	case "unconnected":
		return "UNCONN"
	case "established":
		return "ESTAB"
	}
	return strings.ToUpper(l.State)
}

// localAddress marks the scope of what ss leaves open: [::] that serves IPv4 too
// prints as "*", like ss does.
func localAddress(l listeners.Listener) string {
	host := Clean(l.Address.String())
	switch {
	case l.DualStack():
		host = "*"
	case l.Address.Is6():
		host = "[" + host + "]"
	}
	if l.Device != "" {
		host += "%" + Clean(l.Device)
	}
	local := host + ":" + strconv.Itoa(int(l.Port))
	if l.Remote.IsValid() {
		local += " → " + net.JoinHostPort(l.Remote.Addr().String(), strconv.Itoa(int(l.Remote.Port())))
	}
	return local
}

func processes(l listeners.Listener) string {
	if l.Kernel {
		return "kernel"
	}
	return processNames(l.Owners, l.OwnerGap)
}

// processNames is "nginx 812 +3": a name, the first pid with it, and how many more there are.
func processNames(all []listeners.Process, gap string) string {
	if len(all) == 0 {
		if gap == "" {
			return "–"
		}
		return "unknown"
	}
	var words []string
	count := map[string]int{}
	for _, p := range all {
		count[p.Name]++
	}
	for _, p := range all {
		n := count[p.Name]
		if n == 0 {
			continue
		}
		count[p.Name] = 0
		word := Clean(cmp.Or(p.Name, "?"))
		if p.PID != 0 { // a predicted one has none yet
			word += fmt.Sprintf(" %d", p.PID)
		}
		if n > 1 {
			word += fmt.Sprintf(" +%d", n-1)
		}
		if p.Replaced {
			word += " (binary replaced)"
		} else if p.Deleted {
			word += " (binary deleted)"
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

func users(l listeners.Listener) string {
	if len(l.Owners) == 0 && l.UIDUnknown {
		return "?"
	}
	if len(l.Owners) == 0 {
		return "uid " + strconv.Itoa(int(l.UID))
	}
	return distinct(l.Owners, func(p listeners.Process) string {
		return cmp.Or(Clean(p.User), "uid "+strconv.Itoa(int(p.UID)))
	})
}

// places are the units and containers of the owners.
func places(all []listeners.Process) string {
	return distinct(all, place)
}

func place(p listeners.Process) string {
	if p.Container.Runtime != "" || p.Container.ID != "" {
		return "container " + Clean(p.Container.ShortName())
	}
	return Clean(cmp.Or(p.SocketUnit, p.UserUnit, p.Unit))
}

func distinct(all []listeners.Process, of func(listeners.Process) string) string {
	var words []string
	seen := map[string]bool{"": true}
	for _, p := range all {
		if word := of(p); !seen[word] {
			seen[word] = true
			words = append(words, word)
		}
	}
	return strings.Join(words, ", ")
}
