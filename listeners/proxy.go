package listeners

import (
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
)

// A Proxy is what a process that holds sockets for somebody else tells, by its
// command line, of whom it holds them for. A command line is the process's own
// word: it names owners, and decides nothing.
type Proxy struct {
	// Kind is the program: "docker-proxy", "rootlessport", "rootlesskit", "pasta",
	// "slirp4netns", "conmon", "containerd-shim"; empty if the process is none.
	Kind string
	// Container is whom it serves, where it says so.
	Container Container
	// Address and Port are where it passes things on; an invalid address is that of
	// the namespace itself, port 0 is not known.
	Address netip.Addr
	Port    uint16
	// Path leads to the network namespace that it serves; empty if it doesn't say.
	Path string
}

// ProxyFor reads the command line of a process that holds a port.
func (p Process) ProxyFor(protocol string, port uint16) Proxy {
	proxy := proxyOf(p)
	if proxy.Kind == "pasta" {
		proxy.Port = pastaPort(p.Command, protocol, port)
	}
	return proxy
}

// Proxies says that the process holds sockets for somebody else.
func (p Process) Proxies() bool { return proxyOf(p).Kind != "" }

func proxyOf(p Process) Proxy {
	program := p.Executable
	if len(p.Command) > 0 {
		program = p.Command[0] // /proc/self/exe: podman and docker are several programs in one
	}
	kind := path.Base(program)
	switch kind {
	case "docker-proxy", "rootlesskit-docker-proxy":
		return dockerProxy(p.Command)
	case "rootlessport", "rootlessport-child":
		return Proxy{Kind: "rootlessport"}
	case "rootlesskit":
		return Proxy{Kind: kind}
	case "pasta", "pasta.avx2", "passt", "passt.avx2":
		return Proxy{Kind: strings.TrimSuffix(kind, ".avx2"), Path: pastaNamespace(p.Command)}
	case "slirp4netns":
		return Proxy{Kind: kind, Path: slirpNamespace(p.Command)}
	case "conmon", "conmon-rs":
		return Proxy{Kind: "conmon", Container: Container{ID: option(p.Command, "-c", "--cid"), Name: option(p.Command, "-n", "--name"), Runtime: "podman"}}
	case "containerd-shim", "containerd-shim-runc-v1", "containerd-shim-runc-v2":
		return Proxy{Kind: "containerd-shim", Container: shimContainer(p.Command)}
	}
	return Proxy{}
}

// dockerProxy reads
//
//	docker-proxy -proto tcp -host-ip 0.0.0.0 -host-port 8080 -container-ip 172.17.0.2 -container-port 80
//
// (moby cmd/docker-proxy/main_linux.go)
func dockerProxy(command []string) Proxy {
	proxy := Proxy{Kind: "docker-proxy"}
	address, err1 := netip.ParseAddr(option(command, "-container-ip"))
	port, err2 := strconv.ParseUint(option(command, "-container-port"), 10, 16)
	if err1 == nil && err2 == nil {
		proxy.Address, proxy.Port = address.Unmap(), uint16(port)
	}
	return proxy
}

// shimContainer reads "containerd-shim-runc-v2 -namespace moby -id ID -address …".
// moby is Docker's namespace in containerd, k8s.io the kubelet's.
func shimContainer(command []string) Container {
	c := Container{ID: option(command, "-id"), Runtime: "containerd"}
	if option(command, "-namespace") == "moby" {
		c.Runtime = "docker"
	}
	return c
}

// option is the value of the first of some options; empty if it has none.
func option(command []string, names ...string) string {
	for i, word := range command {
		for _, name := range names {
			if word == name && i+1 < len(command) {
				return command[i+1]
			}
			if value, ok := strings.CutPrefix(word, name+"="); ok {
				return value
			}
		}
	}
	return ""
}

// pastaNamespace is the value of --netns, a path or a name (passt(1)).
func pastaNamespace(command []string) string {
	if value := option(command, "--netns"); value != "" {
		return namespacePath(value)
	}
	return ""
}

// slirpNamespace reads "slirp4netns [options] PID|PATH TAPNAME" (slirp4netns(1)).
func slirpNamespace(command []string) string {
	if len(command) < 3 {
		return ""
	}
	target := command[len(command)-2]
	if option(command, "--netns-type") == "path" || strings.HasPrefix(target, "/") {
		return target
	}
	if pid, err := strconv.Atoi(target); err == nil && pid > 0 {
		return namespacePath(target)
	}
	return ""
}

func namespacePath(word string) string {
	switch {
	case strings.Contains(word, "/"):
		return word
	case strings.Trim(word, "0123456789") == "":
		return "/proc/" + word + "/ns/net"
	}
	return namedDirectories[0] + "/" + word
}

// pastaPort is the port inside that pasta leads a port to; 0 if its options don't
// say. "-t 8080:80", "-t 192.0.2.1/8000-8010:80-90,22" and "--tcp-ports=…" name
// ports; others ("auto", "all", exclusions) keep the number.
func pastaPort(command []string, protocol string, port uint16) uint16 {
	names := []string{"-t", "--tcp-ports"}
	if strings.HasPrefix(protocol, "udp") {
		names = []string{"-u", "--udp-ports"}
	}
	for i, word := range command {
		name, value, joined := strings.Cut(word, "=")
		if !slices.Contains(names, name) {
			continue
		}
		if !joined && i+1 < len(command) {
			value = command[i+1]
		}
		for spec := range strings.SplitSeq(value, ",") {
			if inside := pastaSpec(spec, port); inside != 0 {
				return inside
			}
		}
	}
	return 0
}

// pastaSpec reads "[ADDRESS[%INTERFACE]/]FIRST[-LAST][:FIRST[-LAST]]".
func pastaSpec(spec string, port uint16) uint16 {
	if at := strings.LastIndexByte(spec, '/'); at >= 0 {
		spec = spec[at+1:]
	}
	outside, inside, mapped := strings.Cut(spec, ":")
	first, last, ok := spanOf(outside)
	if !ok || port < first || port > last {
		return 0
	}
	if !mapped {
		return port
	}
	low, high, ok := spanOf(inside)
	if !ok || high-low != last-first {
		return 0
	}
	return low + port - first
}

func spanOf(text string) (first, last uint16, ok bool) {
	low, high, ranged := strings.Cut(text, "-")
	if !ranged {
		high = low
	}
	a, err1 := strconv.ParseUint(low, 10, 16)
	b, err2 := strconv.ParseUint(high, 10, 16)
	return uint16(a), uint16(b), err1 == nil && err2 == nil && a > 0 && a <= b
}
