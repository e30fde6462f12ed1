package nftgen

// socket matches the local socket of a packet. Where no rule may look one up, its
// owner is all that there is.
func (g *generator) socket(at *place) string {
	switch at.hook {
	case "prerouting", "input", "output":
		return g.pick("socket transparent ", "socket wildcard ", "socket transparent ", "meta skuid ") + g.pick("0", "1", "!= 0")
	}
	return "meta skuid " + g.pick("", "!= ") + "0"
}

// mayProxy says that a rule here can give packets to a transparent proxy.
func (g *generator) mayProxy(at *place) bool {
	return g.options.Sockets && at.hook == "prerouting" && at.kind == "filter" && !at.untracked() &&
		(at.transport == "tcp" || at.transport == "udp")
}

// proxy gives packets to a socket of one of the usual ports.
func (g *generator) proxy(at *place) string {
	port := ":" + g.pick("53", "80", "443", "8080", "9090")
	family := ""
	if at.table.Family == "inet" && at.family != "inet" {
		family = at.family + " " // nft wants said again what a match said
	}
	if at.family == "inet" || g.chance(70) {
		return "tproxy " + family + "to " + port
	}
	v4 := at.family == "ip"
	address := g.address(g.options.Own4, g.options.Own6, v4)
	if !v4 {
		address = "[" + address + "]"
	}
	return "tproxy " + family + "to " + address + port
}
