package listeners

import (
	"net/netip"
	"strings"
	"testing"
)

func TestWhoHoldsAPortForSomebodyElse(t *testing.T) {
	for _, c := range []struct {
		name, command string
		want          Proxy
	}{
		{"docker-proxy", "/usr/bin/docker-proxy -proto tcp -host-ip 0.0.0.0 -host-port 8080 -container-ip 172.17.0.2 -container-port 80 -use-listen-fd",
			Proxy{Kind: "docker-proxy", Address: netip.MustParseAddr("172.17.0.2"), Port: 80}},
		{"docker-proxy over IPv6", "/usr/bin/docker-proxy -proto tcp -host-ip :: -host-port 8080 -container-ip fd00::2 -container-port 80",
			Proxy{Kind: "docker-proxy", Address: netip.MustParseAddr("fd00::2"), Port: 80}},
		{"docker-proxy with a port that is none", "docker-proxy -container-ip 172.17.0.2 -container-port 80000", Proxy{Kind: "docker-proxy"}},
		{"podman's rootlessport", "rootlessport", Proxy{Kind: "rootlessport"}},
		{"Docker without root", "rootlesskit --net=slirp4netns --mtu=65520 dockerd", Proxy{Kind: "rootlesskit"}},
		{"pasta for podman", "/usr/bin/pasta --config-net -t 8080-8080:80-80 --dns-forward 169.254.1.1 -u none -T none -U none --no-map-gw --quiet --netns /run/user/1000/netns/netns-6f",
			Proxy{Kind: "pasta", Port: 80, Path: "/run/user/1000/netns/netns-6f"}},
		{"pasta, two ports in one word", "pasta.avx2 -t 192.0.2.1/22,8000-8100:9000-9100 --netns=blue", Proxy{Kind: "pasta", Port: 9080, Path: "/run/netns/blue"}},
		{"pasta of a process", "pasta -t 8080 --netns 812", Proxy{Kind: "pasta", Port: 8080, Path: "/proc/812/ns/net"}},
		{"pasta that leads UDP elsewhere", "pasta -u 8080:53 --netns 812", Proxy{Kind: "pasta", Path: "/proc/812/ns/net"}},
		{"pasta that leads all", "pasta -t auto", Proxy{Kind: "pasta"}},
		{"slirp4netns for podman", "/usr/bin/slirp4netns --disable-host-loopback --mtu=65520 -c -r 3 --netns-type=path /run/user/1000/netns/netns-6f tap0",
			Proxy{Kind: "slirp4netns", Path: "/run/user/1000/netns/netns-6f"}},
		{"slirp4netns of a process", "slirp4netns --configure --mtu=65520 812 tap0", Proxy{Kind: "slirp4netns", Path: "/proc/812/ns/net"}},
		{"slirp4netns without words", "slirp4netns", Proxy{Kind: "slirp4netns"}},
		{"conmon, which keeps podman's ports", "/usr/bin/conmon --api-version 1 -c " + idA + " -u " + idA + " -r /usr/bin/crun -n web --exit-dir /run/libpod/exits",
			Proxy{Kind: "conmon", Container: Container{ID: idA, Runtime: "podman", Name: "web"}}},
		{"containerd's shim for Docker", "/usr/bin/containerd-shim-runc-v2 -namespace moby -id " + idA + " -address /run/containerd/containerd.sock",
			Proxy{Kind: "containerd-shim", Container: Container{ID: idA, Runtime: "docker"}}},
		{"containerd's shim for a kubelet", "/usr/bin/containerd-shim-runc-v2 -namespace k8s.io -id " + idA,
			Proxy{Kind: "containerd-shim", Container: Container{ID: idA, Runtime: "containerd"}}},
		{"nginx", "nginx: master process /usr/sbin/nginx", Proxy{}},
		{"a name that only begins like one", "/usr/bin/pastalike --netns /x", Proxy{}},
		{"no command line", "", Proxy{}},
	} {
		p := Process{Command: strings.Fields(c.command)}
		if got := p.ProxyFor("tcp", 8080); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
		if p.Proxies() != (c.want.Kind != "") {
			t.Errorf("%s: proxies %t", c.name, p.Proxies())
		}
	}
}

func TestAPortOutsideOfPastasRangesIsNotGuessed(t *testing.T) {
	p := Process{Command: strings.Fields("pasta -t 8000-8010:80-90,22:0,x-y,9000-9002:1-2 --netns blue")}
	for port, want := range map[uint16]uint16{8000: 80, 8010: 90, 8011: 0, 22: 0, 9000: 0, 1: 0} {
		if got := p.ProxyFor("tcp", port).Port; got != want {
			t.Errorf("%d leads to %d, want %d", port, got, want)
		}
	}
}
