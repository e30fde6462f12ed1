package listeners

import (
	"net/netip"
	"strings"
)

// UnitListeners are the sockets that systemd will hold by the .socket units that
// wanted names, with the unit as the owner, for a host that doesn't run.
func UnitListeners(host Host, wanted func(unit string) bool) []Listener {
	var out []Listener
	files := findUnitFiles(host)
	for _, name := range files.names() {
		if !wanted(name) {
			continue
		}
		unit := socketUnit{name: name}
		for _, file := range files.of(name) {
			if text, err := host.ReadFile(file); err == nil {
				parseSocketUnit(text, instanceOf(name), &unit)
			}
		}
		out = append(out, unit.listeners()...)
	}
	return out
}

func (u *socketUnit) listeners() (out []Listener) {
	owner := []Process{{PID: 1, Name: "systemd", Executable: "/usr/lib/systemd/systemd", User: "root", Unit: "init.scope", SocketUnit: u.name}}
	add := func(protocol, state string, all []unitAddress) {
		if u.protocol != "" && strings.HasPrefix(u.protocol, "udp") == (protocol == "udp") {
			protocol = u.protocol
		}
		for _, a := range all {
			l := Listener{Protocol: protocol, State: state, Role: Server, Address: a.address, Port: a.port, Device: u.device, V6OnlyKnown: true, Owners: owner}
			if !a.address.IsValid() {
				l.Address = netip.IPv6Unspecified() // systemd.socket(5): a bare port is every address of both families
			}
			if l.Family = 4; l.Address.Is6() {
				l.Family, l.V6Only = 6, u.v6only == "ipv6-only"
			}
			out = append(out, l)
		}
	}
	add("tcp", "listen", u.streams)
	add("udp", "unconnected", u.packets)
	return out
}
