package service

import (
	"fmt"
	"slices"
)

// usualPorts of a service, by the name that it was recognised under.
func usualPorts(name string) []uint16 {
	var ports []uint16
	for _, k := range protocols() {
		if k.name == name {
			ports = append(append(ports, k.ports...), k.securePorts...)
		}
	}
	for _, a := range applications {
		if a.name == name {
			ports = append(ports, a.ports...)
		}
	}
	for _, d := range datagrams() {
		if d.name == name {
			ports = append(ports, d.ports...)
		}
	}
	return ports
}

// unusualPort: a service away from its ports, or one at another's. Web pages are
// everywhere, so they are only worth a word where something else is well known.
func unusualPort(s sighting) []Finding {
	ports := usualPorts(s.Name)
	if s.Name == "" || s.Name == "tls" || len(ports) == 0 || slices.Contains(ports, s.port) {
		return nil
	}
	usual := Name(s.protocol, s.port)
	switch {
	case usual == s.Name:
		return nil
	case usual != "" && s.port < 1024:
		return []Finding{{low, "unusual-port", fmt.Sprintf("%s is the port of %s, but %s answers.", s.at(), usual, s.spoken()),
			"Find out who put it there: rules that let this port through are meant for something else."}}
	case s.Name == "http":
		return nil
	}
	return []Finding{{info, "unusual-port", fmt.Sprintf("%s answers at %s instead of %d.", s.spoken(), s.at(), ports[0]),
		"If that is meant, leave it: it keeps the noise of scans away and hides it from nobody."}}
}

// Services that answer a small forged datagram with a large one: reachable from
// everywhere, they are used to flood others.
var amplify = map[string]struct{ severity, remedy string }{
	"memcached": {high, "Turn UDP off: -U 0."},
	"ssdp":      {low, "Let only the local network reach it."},
	"cldap":     {low, "Let only the local network reach it."},
	"snmp":      {low, "Let only the managers' addresses reach it."},
	"domain":    {low, "Answer recursive queries of own networks only (BIND: allow-recursion; unbound: access-control)."},
	"ntp":       {low, "Add noquery to restrict in ntp.conf."},
	"coap":      {low, "Let only the local network reach it."},
	"ms-sql-m":  {low, "Turn the SQL Server Browser off."},
}

func amplifiers(s sighting) []Finding {
	a, known := amplify[s.Name]
	if !known || s.protocol != "udp" {
		return nil
	}
	if s.Name == "domain" && !containsFold(s.Info, recursion) || s.Name == "ntp" && !containsFold(s.Info, controlQueries) ||
		s.Name == "snmp" && s.Access != AccessOpen {
		return nil
	}
	return []Finding{{a.severity, "amplifier", fmt.Sprintf("%s answers strangers with more than they send: reachable from everywhere, it is used to flood others.", s.spoken()), a.remedy}}
}
