package correlate

import (
	_ "embed"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// servicesText has a line "NAME PORT/PROTOCOL" for each port whose usual service
// people know by name, after IANA's registry and common use.
//
//go:embed services.txt
var servicesText string

var services = sync.OnceValue(func() map[string]string {
	names := make(map[string]string, 600)
	for line := range strings.Lines(servicesText) {
		name, port, ok := strings.Cut(strings.TrimSpace(line), " ")
		if ok {
			names[strings.TrimSpace(port)] = name
		}
	}
	return names
})

// ServicePorts are the ports that usually have a name, as "22/tcp", sorted.
func ServicePorts(name string) (ports []string) {
	for port, usual := range services() {
		if usual == name {
			ports = append(ports, port)
		}
	}
	slices.Sort(ports)
	return ports
}

// Service is the usual name of what a port serves; empty if it has none.
func Service(protocol string, port uint16) string {
	if protocol == "udplite" {
		protocol = "udp"
	}
	return services()[strconv.Itoa(int(port))+"/"+protocol]
}
