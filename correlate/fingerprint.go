package correlate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/netglance/netglance/listeners"
)

// fingerprint names a port by what survives a restart: no pid, no start time,
// no container id, and no label, so that a changed label is a change and not
// another port.
func fingerprint(e Exposure) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%d\n%s\n", e.Protocol, e.Port, e.Namespace)
	for _, a := range e.Addresses {
		fmt.Fprintf(h, "address %s\n", a)
	}
	if e.Redirected {
		fmt.Fprintf(h, "redirected up to %d\n", e.LastPort)
	}
	for _, d := range e.Devices {
		fmt.Fprintf(h, "device %q\n", d)
	}
	for _, o := range identities(e) {
		fmt.Fprintf(h, "owner %q\n", o)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

func identities(e Exposure) []string {
	if e.Kernel {
		return []string{"kernel"}
	}
	var out []string
	for _, p := range e.Owners {
		out = append(out, identity(p))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// identity prefers what an administrator chose: the unit, then the program's file, then its name.
func identity(p listeners.Process) string {
	program := strings.TrimSuffix(p.Executable, " (deleted)")
	if program == "" {
		program = p.Name
	}
	unit := p.Unit
	if p.Container.Runtime != "" {
		unit = "" // the scope's name holds the container's id
	}
	return strings.Join([]string{program, unit, p.SocketUnit, p.Container.Runtime}, "|")
}
