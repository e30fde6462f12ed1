//go:build ignore

// names_gen writes names.txt, the usual names of ports:
//
//	go run names_gen.go /usr/share/wireshark/services /etc/services
//
// Both files are of the form of services(5), a later one adds to an earlier one.
// The first, of Debian's libwireshark-data, is IANA's whole registry of service names
// and port numbers; the second, of Debian's netbase, knows some that IANA doesn't.
// Only numbers and names are taken.
package main

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// people are names where everybody runs something else than IANA's registry says, or it says nothing.
var people = map[string]string{
	"2376/tcp": "docker-s", "3000/tcp": "http-alt", "4443/tcp": "https-alt", "5000/tcp": "http-alt", "5601/tcp": "kibana",
	"6443/tcp": "kubernetes", "8006/tcp": "proxmox", "8086/tcp": "influxdb", "8123/tcp": "http-alt", "8443/tcp": "https-alt",
	"8888/tcp": "http-alt", "9000/tcp": "http-alt", "9090/tcp": "prometheus", "9092/tcp": "kafka", "9093/tcp": "alertmanager",
	"9200/tcp": "elasticsearch", "9300/tcp": "elasticsearch", "9443/tcp": "https-alt", "10250/tcp": "kubelet", "10255/tcp": "kubelet",
	"15672/tcp": "rabbitmq", "51820/udp": "wireguard", "32400/tcp": "plex", "25565/tcp": "minecraft", "19132/udp": "minecraft",
	"27015/udp": "srcds", "1883/tcp": "mqtt", "5900/tcp": "vnc", "631/tcp": "ipp", "9100/tcp": "pdl-datastream",
}

var entry = regexp.MustCompile(`^([A-Za-z0-9][\w.+*-]*)\s+(\d+)/([a-z/]+)`)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: go run names_gen.go SERVICES...")
		os.Exit(2)
	}
	names := map[int]map[string]string{}
	add := func(port int, protocol, name string, again bool) {
		if names[port] == nil {
			names[port] = map[string]string{}
		}
		if names[port][protocol] == "" || again {
			names[port][protocol] = name
		}
	}
	for _, file := range os.Args[1:] {
		f, err := os.Open(file)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			m := entry.FindStringSubmatch(lines.Text())
			if m == nil {
				continue
			}
			port, _ := strconv.Atoi(m[2])
			for protocol := range strings.SplitSeq(m[3], "/") {
				if protocol == "tcp" || protocol == "udp" {
					add(port, protocol, m[1], false)
				}
			}
		}
		f.Close()
	}
	for at, name := range people {
		number, protocol, _ := strings.Cut(at, "/")
		port, _ := strconv.Atoi(number)
		add(port, protocol, name, true)
	}
	var out strings.Builder
	out.WriteString("# Written by names_gen.go from IANA's registry and Debian's netbase.\n")
	for _, port := range slices.Sorted(maps.Keys(names)) {
		n := names[port]
		if port == 0 {
			continue
		}
		if n["tcp"] == n["udp"] {
			fmt.Fprintf(&out, "%d %s\n", port, n["tcp"])
			continue
		}
		fmt.Fprint(&out, port)
		for _, protocol := range []string{"tcp", "udp"} {
			if n[protocol] != "" {
				fmt.Fprintf(&out, " %s/%s", n[protocol], protocol)
			}
		}
		out.WriteByte('\n')
	}
	if err := os.WriteFile("names.txt", []byte(out.String()), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
