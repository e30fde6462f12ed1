package listeners

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// unitDirectories are where systemd looks for units, the first wins
// (systemd.unit(5), "System Unit Search Path").
var unitDirectories = []string{
	"/etc/systemd/system.control",
	"/run/systemd/system.control",
	"/run/systemd/transient",
	"/etc/systemd/system",
	"/run/systemd/system",
	"/run/systemd/generator",
	"/usr/local/lib/systemd/system",
	"/usr/lib/systemd/system",
	"/lib/systemd/system",
	"/run/systemd/generator.late",
}

// Bounds of what is read of unit files.
const (
	maxSocketUnits = 1000
	maxUnitLines   = 10_000
)

// A socketUnit is what a .socket unit says of where it listens (systemd.socket(5)).
type socketUnit struct {
	name    string
	streams []unitAddress // ListenStream=
	packets []unitAddress // ListenDatagram=
	// protocol is SocketProtocol=: "udplite", "sctp", "mptcp"; empty for the usual.
	protocol string
	device   string // BindToDevice=
	v6only   string // BindIPv6Only=: "ipv6-only", "both", or empty for the system's default
}

// A unitAddress is an address and port; the address is invalid for a bare port,
// which is every address.
type unitAddress struct {
	address netip.Addr
	port    uint16
}

// nameSocketUnits names the .socket units of the sockets that systemd, as pid 1,
// holds. Where it holds none, no file is read.
func nameSocketUnits(host Host, listeners []Listener) {
	var units []socketUnit
	read := false
	for i := range listeners {
		l := &listeners[i]
		if len(l.Owners) == 0 || l.Owners[0].PID != 1 || l.Owners[0].Name != "systemd" {
			continue
		}
		if !read {
			units, read = readSocketUnits(host), true
		}
		l.Owners = slices.Clone(l.Owners) // it may be shared with other rows of pid 1
		l.Owners[0].SocketUnit = unitFor(l, units)
	}
}

// unitFor is the unit that fits a listener; none if several do, for a wrong name is
// worse than none. A unit that names the address comes before one that names the
// port alone.
func unitFor(l *Listener, units []socketUnit) string {
	var names [2][]string // by address, by bare port
	for i := range units {
		switch units[i].fits(l) {
		case fitsAddress:
			names[0] = append(names[0], units[i].name)
		case fitsPort:
			names[1] = append(names[1], units[i].name)
		}
	}
	for _, fitting := range names {
		if len(fitting) == 1 {
			return fitting[0]
		}
		if len(fitting) > 1 {
			return ""
		}
	}
	return ""
}

type fit uint8

const (
	fitsNot fit = iota
	fitsPort
	fitsAddress
)

func (u *socketUnit) fits(l *Listener) fit {
	addresses := u.streams
	usual := "tcp"
	if l.Protocol == "udp" || l.Protocol == "udplite" {
		addresses, usual = u.packets, "udp"
	}
	if cmp.Or(u.protocol, usual) != l.Protocol || u.device != "" && u.device != l.Device {
		return fitsNot
	}
	best := fitsNot
	for _, a := range addresses {
		best = max(best, a.fits(l, u.v6only))
	}
	return best
}

func (a unitAddress) fits(l *Listener, v6only string) fit {
	if a.port != l.Port {
		return fitsNot
	}
	if a.address.IsValid() {
		if a.address.WithZone("") == l.Address.WithZone("") {
			return fitsAddress
		}
		return fitsNot
	}
	// A bare port is [::], or 0.0.0.0 on a host without IPv6.
	if !l.Address.IsUnspecified() || v6only == "ipv6-only" && l.Family == 4 {
		return fitsNot
	}
	return fitsPort
}

// readSocketUnits reads the .socket units that are active, or, where systemd
// doesn't tell (before 241), all that there are.
func readSocketUnits(host Host) []socketUnit {
	files := findUnitFiles(host)
	var units []socketUnit
	for _, name := range socketUnitNames(host, files) {
		unit := socketUnit{name: name}
		instance := instanceOf(name)
		for _, file := range files.of(name) {
			if text, err := host.ReadFile(file); err == nil {
				parseSocketUnit(text, instance, &unit)
			}
		}
		units = append(units, unit)
	}
	return units
}

// socketUnitNames are the active units: for each that runs systemd keeps a link
// /run/systemd/units/invocation:NAME.
func socketUnitNames(host Host, files *unitFiles) []string {
	links, err := host.ReadDir("/run/systemd/units")
	if err != nil {
		return files.names()
	}
	var names []string
	for _, link := range links {
		name, ok := strings.CutPrefix(link, "invocation:")
		if ok && strings.HasSuffix(name, ".socket") && len(names) < maxSocketUnits {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return files.names()
	}
	return names
}

// unitFiles are the .socket files and the directories of their drop-ins.
type unitFiles struct {
	host    Host
	file    map[string]string   // by name, in the first directory that has it
	dropins map[string][]string // directories NAME.socket.d, first ones last
}

func findUnitFiles(host Host) *unitFiles {
	f := &unitFiles{host: host, file: make(map[string]string), dropins: make(map[string][]string)}
	for _, dir := range unitDirectories {
		names, err := host.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, name := range names {
			f.add(dir, name)
		}
	}
	return f
}

func (f *unitFiles) add(dir, name string) {
	if len(f.file)+len(f.dropins) >= maxSocketUnits {
		return
	}
	if base, ok := strings.CutSuffix(name, ".d"); ok && strings.HasSuffix(base, ".socket") {
		f.dropins[base] = append(f.dropins[base], dir+"/"+name)
		return
	}
	if _, known := f.file[name]; !known && strings.HasSuffix(name, ".socket") {
		f.file[name] = dir + "/" + name
	}
}

// names are all units that can run by themselves, sorted.
func (f *unitFiles) names() []string {
	var names []string
	for name := range f.file {
		if !strings.HasSuffix(name, "@.socket") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// of is the files of a unit in the order in which they apply: its own or its
// template's, then drop-ins by their name. Of drop-ins with one name, the first
// directory's counts.
func (f *unitFiles) of(name string) []string {
	template := templateOf(name)
	var files []string
	if file := cmp.Or(f.file[name], f.file[template]); file != "" {
		files = append(files, file)
	}
	byName := make(map[string]string)
	for _, unit := range []string{name, template} {
		for _, dir := range f.dropins[unit] {
			confs, _ := f.host.ReadDir(dir)
			for _, conf := range confs {
				if _, known := byName[conf]; !known && strings.HasSuffix(conf, ".conf") {
					byName[conf] = dir + "/" + conf
				}
			}
		}
	}
	confs := make([]string, 0, len(byName))
	for conf := range byName {
		confs = append(confs, conf)
	}
	slices.Sort(confs)
	for _, conf := range confs {
		files = append(files, byName[conf])
	}
	return files
}

// templateOf is "x@.socket" for "x@1.socket"; empty if it is no instance.
func templateOf(name string) string {
	at := strings.IndexByte(name, '@')
	if at < 0 {
		return ""
	}
	return name[:at+1] + ".socket"
}

// instanceOf is "1" for "x@1.socket".
func instanceOf(name string) string {
	_, instance, _ := strings.Cut(strings.TrimSuffix(name, ".socket"), "@")
	return instance
}

// parseSocketUnit reads one file of a unit over what files before it said: lists
// grow, an empty value empties them (systemd.syntax(7)).
func parseSocketUnit(text []byte, instance string, u *socketUnit) {
	inSection := false
	lines := 0
	for line := range strings.Lines(string(text)) {
		if lines++; lines > maxUnitLines {
			return
		}
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			inSection = line == "[Socket]"
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || !inSection || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue
		}
		value = strings.ReplaceAll(strings.TrimSpace(value), "%i", instance)
		u.set(strings.TrimSpace(key), strings.ReplaceAll(value, "%I", unescape(instance)))
	}
}

func (u *socketUnit) set(key, value string) {
	switch key {
	case "ListenStream":
		u.streams = appendUnitAddress(u.streams, value)
	case "ListenDatagram":
		u.packets = appendUnitAddress(u.packets, value)
	case "SocketProtocol":
		u.protocol = value
	case "BindToDevice":
		u.device = value
	case "BindIPv6Only":
		u.v6only = value
	}
}

// appendUnitAddress reads "22", "127.0.0.1:22", "[::1]:22" or "[fe80::1]:22%eth0"; paths,
// abstract names, vsock and specifiers are not of IP and are left out.
func appendUnitAddress(addresses []unitAddress, value string) []unitAddress {
	if value == "" {
		return nil
	}
	if port, err := strconv.ParseUint(value, 10, 16); err == nil {
		return append(addresses, unitAddress{port: uint16(port)})
	}
	bare, _, _ := strings.Cut(value, "%")
	at, err := netip.ParseAddrPort(bare)
	if err != nil {
		return addresses
	}
	return append(addresses, unitAddress{address: at.Addr(), port: at.Port()})
}
