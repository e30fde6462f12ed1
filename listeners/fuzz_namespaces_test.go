package listeners

import (
	"strings"
	"testing"
)

// What a mount's name, a cgroup, a command line or Docker's answer says is
// anybody's text.
func FuzzNamespaces(f *testing.F) {
	f.Add("1 10\n812 11\n813 ! EACCES\n", "40 30 0:4 net:[11] /run/netns/blue\\040x rw - nsfs nsfs rw\n", "0::/docker/"+idA+"\n", `[{"Id":"`+idA+`","Names":["/web","/a/b"]}]`, "812 (x) y) S 1 1")
	f.Add("812 18446744073709551615\n", "net:[0]", "0::/lxc/web", "{", "(")
	f.Fuzz(func(t *testing.T, namespaces, mounts, cgroup, containers, stat string) {
		h := newSpacedHost()
		h.namespaces, h.containers = namespaces, containers
		h.files["/proc/self/mountinfo"] = mounts
		for _, dir := range []string{"/proc/1/", "/proc/812/"} {
			h.files[dir+"cgroup"], h.files[dir+"stat"], h.files[dir+"comm"] = cgroup, stat, stat
		}
		h.links["/run/netns/x"] = mounts
		h.files["/run/netns/x"] = ""
		all, _ := ReadNamespaces(h)
		names := map[string]bool{}
		for _, n := range all {
			if n.Name == "" || n.Title == "" || len(n.Paths) == 0 {
				t.Errorf("%+v", n)
			}
			if names[n.Name] && !strings.Contains(n.Name, "#") {
				t.Errorf("two are called %q", n.Name)
			}
			names[n.Name] = true
		}
		if len(all) == 0 || all[0].Name != HostNamespace {
			t.Errorf("the host is not the first of %d", len(all))
		}
	})
}

func FuzzProxies(f *testing.F) {
	for _, command := range []string{
		"/usr/bin/docker-proxy -proto tcp -host-ip 0.0.0.0 -host-port 8080 -container-ip 172.17.0.2 -container-port 80",
		"pasta --config-net -t 192.0.2.1/22,8000-8100:9000-9100 -u none --netns /run/user/1000/netns/netns-6f",
		"slirp4netns --netns-type=path /run/user/1000/netns/netns-6f tap0", "conmon -c " + idA + " -n web", "pasta -t 65535-1:0-65535", "conmon -c",
	} {
		f.Add(strings.ReplaceAll(command, " ", "\x00"), uint16(8080))
	}
	f.Fuzz(func(t *testing.T, command string, port uint16) {
		p := Process{Command: parseCommandLine([]byte(command))}
		for _, protocol := range []string{"tcp", "udp", "udplite"} {
			if proxy := p.ProxyFor(protocol, port); proxy.Kind == "" && proxy != (Proxy{}) {
				t.Errorf("%q: %+v", command, proxy)
			}
		}
	})
}
