package listeners

import (
	"fmt"
	"strings"
	"testing"
)

// spacedHost is a fakeHost with namespaces.
type spacedHost struct {
	*fakeHost
	namespaces string
	containers string
	asked      int
}

func (h *spacedHost) NetworkNamespaces() ([]byte, error) {
	if h.namespaces == "!" {
		return nil, errPermission
	}
	return []byte(h.namespaces), nil
}

func (h *spacedHost) Containers() ([]byte, error) {
	h.asked++
	if h.containers == "" {
		return nil, errNotExist
	}
	return []byte(h.containers), nil
}

// newSpacedHost has netglance in namespace 10.
func newSpacedHost() *spacedHost {
	return &spacedHost{fakeHost: &fakeHost{files: map[string]string{}, links: map[string]string{"/proc/self/ns/net": "net:[10]"}}}
}

func (h *spacedHost) process(pid int, name, cgroup string, namespace int) {
	h.parented(pid, 1, name, cgroup, namespace)
}

func (h *spacedHost) parented(pid, parent int, name, cgroup string, namespace int) {
	dir := fmt.Sprintf("/proc/%d/", pid)
	h.files[dir+"comm"], h.files[dir+"cgroup"] = name+"\n", "0::"+cgroup+"\n"
	h.files[dir+"stat"] = fmt.Sprintf("%d (%s) S %d 1 1", pid, name, parent)
	h.namespaces += fmt.Sprintf("%d %d\n", pid, namespace)
}

func titles(all []Namespace) string {
	var out []string
	for _, n := range all {
		out = append(out, n.Title)
	}
	return strings.Join(out, ", ")
}

func TestNamespacesHaveTheNamesThatPeopleGaveThem(t *testing.T) {
	const escaped = "0b9e3f6c_6d2f_4c1e_9f7a_3d4c5b6a7988"
	h := newSpacedHost()
	h.process(1, "systemd", "/init.scope", 10)
	h.process(100, "nginx", "/system.slice/docker-"+idA+".scope", 11)
	h.process(101, "redis", "/system.slice/docker-"+idB+".scope", 12)
	h.process(110, "pause", "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod"+escaped+".slice/cri-containerd-"+idA+".scope", 13)
	h.process(111, "coredns", "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod"+escaped+".slice/cri-containerd-"+idB+".scope", 13)
	h.process(120, "systemd", "/lxc.payload.mail/init.scope", 14)
	h.process(130, "systemd", "/machine.slice/systemd-nspawn@build.service/payload/init.scope", 15)
	h.process(140, "openvpn", "/system.slice/vpn.service", 16)
	h.process(150, "chromium", "/user.slice/user-1000.slice/session-3.scope", 17)
	h.process(151, "chromium", "/user.slice/user-1000.slice/session-3.scope", 18)
	h.process(160, "sshd", "/system.slice/ssh.service", 19)
	h.files["/proc/self/mountinfo"] = `22 1 0:21 / /proc rw - proc proc rw
40 30 0:4 net:[19] /run/netns/blue rw shared:5 - nsfs nsfs rw
41 30 0:4 net:[13] /run/netns/cni-5f1d rw - nsfs nsfs rw
42 30 0:4 net:[20] /run/docker/netns/ingress_sbox rw - nsfs nsfs rw
43 30 0:4 net:[21] /run/netns/with\040space rw - nsfs nsfs rw
44 30 0:4 mnt:[22] /run/snapd/ns/x rw - nsfs nsfs rw
`
	h.containers = `[{"Id":"` + idA + `","Names":["/proxy/alias","/web"]}]`
	all, found := ReadNamespaces(h)
	want := "the host, container bbbbbbbbbbbb, namespace blue, unit vpn.service, container build, process chromium, " +
		"process chromium #2, namespace ingress_sbox, container mail, pod 0b9e3f6c-6d2f-4c1e-9f7a-3d4c5b6a7988, container web, namespace with space"
	got := strings.Split(titles(all), ", ")
	for _, title := range strings.Split(want, ", ") {
		if !strings.Contains(","+strings.Join(got, ",")+",", ","+title+",") {
			t.Errorf("no %q in %q", title, got)
		}
	}
	if len(got) != 12 || got[0] != "the host" {
		t.Errorf("%d namespaces, the first %q", len(got), got[0])
	}
	if len(found) != 0 {
		t.Errorf("gaps %v", found)
	}
	if h.asked != 1 {
		t.Errorf("Docker was asked %d times", h.asked)
	}
}

func TestDockerIsNotAskedWhereItHasNoContainer(t *testing.T) {
	h := newSpacedHost()
	h.process(1, "systemd", "/init.scope", 10)
	h.process(100, "nginx", "/machine.slice/libpod-"+idA+".scope/container", 11)
	ReadNamespaces(h)
	if h.asked != 0 {
		t.Errorf("it was asked %d times", h.asked)
	}
}

func TestAPodmanContainersNameIsItsMonitors(t *testing.T) {
	h := newSpacedHost()
	h.parented(99, 1, "conmon", "/machine.slice/libpod-conmon-"+idA+".scope", 10)
	h.files["/proc/99/cmdline"] = "/usr/bin/conmon\x00-c\x00" + idA + "\x00-n\x00web\x00"
	h.parented(100, 99, "nginx) S 1 (", "/machine.slice/libpod-"+idA+".scope/container", 11)
	h.parented(101, 99, "other", "/machine.slice/libpod-"+idB+".scope/container", 12)
	all, _ := ReadNamespaces(h)
	if got := titles(all); got != "the host, container bbbbbbbbbbbb, container web" {
		t.Errorf("got %q", got)
	}
}

func TestPathsLeadToNamespacesTheLastingOnesFirst(t *testing.T) {
	h := newSpacedHost()
	h.process(812, "nginx", "/", 11)
	h.files["/proc/self/mountinfo"] = "40 30 0:4 net:[11] /run/docker/netns/5f1d rw - nsfs nsfs rw\n41 30 0:4 net:[11] /run/netns/blue rw - nsfs nsfs rw\n"
	h.links["/run/netns/linked"] = "/proc/812/ns/net"
	h.files["/run/netns/linked"], h.files["/run/netns/stale"] = "", ""
	all, _ := ReadNamespaces(h)
	n := all[1]
	if got := strings.Join(n.Paths, " "); got != "/run/netns/blue /run/netns/linked /run/docker/netns/5f1d /proc/812/ns/net" {
		t.Errorf("paths %q", got)
	}
	for _, word := range []string{"blue", "linked", "812", "/proc/812/ns/net", "/run/netns//blue", "/run/docker/netns/5f1d"} {
		if got, err := Find(all, word); err != nil || got.ID != 11 {
			t.Errorf("%s: %+v, %v", word, got, err)
		}
	}
	for _, word := range []string{"stale", "813", "gre", ""} {
		if got, err := Find(all, word); err == nil {
			t.Errorf("%q is %+v", word, got)
		}
	}
	if got, err := Find(all, "/mnt/ns"); err != nil || got.ID != 0 || got.Paths[0] != "/mnt/ns" {
		t.Errorf("a path of its own: %+v, %v", got, err)
	}
	if got, err := Find(all, "host"); err != nil || got.ID != 10 {
		t.Errorf("the host: %+v, %v", got, err)
	}
}

func TestABeginningOfAnIdThatSeveralHaveIsNoNamespace(t *testing.T) {
	h := newSpacedHost()
	h.process(100, "a", "/docker/"+idA, 11)
	h.process(101, "b", "/docker/"+strings.Replace(idA, "aaaaaaaa", "aaaabbbb", 1), 12)
	all, _ := ReadNamespaces(h)
	if _, err := Find(all, "aaaa"); err == nil || !strings.Contains(err.Error(), "2 network namespaces") {
		t.Errorf("error %v", err)
	}
	if n, err := Find(all, "aaaab"); err != nil || n.ID != 12 {
		t.Errorf("%+v, %v", n, err)
	}
}

func TestNamespacesThatCanNotBeToldAreSaid(t *testing.T) {
	h := newSpacedHost()
	h.process(5, "own", "/", 10)
	h.namespaces += "6 ! EACCES\n7 ! EACCES\ngarbage\n"
	all, found := ReadNamespaces(h)
	if len(all) != 1 || len(found) != 1 || !strings.Contains(found[0].Reason, "3 processes") || found[0].Hint == "" {
		t.Errorf("%d namespaces, gaps %+v", len(all), found)
	}
	h.namespaces = "!"
	if _, found = ReadNamespaces(h); len(found) != 1 {
		t.Errorf("gaps %+v", found)
	}
	delete(h.links, "/proc/self/ns/net")
	if all, found = ReadNamespaces(h); len(all) != 0 || len(found) != 1 || !strings.Contains(found[0].Hint, "record") {
		t.Errorf("a recording without them: %d, %+v", len(all), found)
	}
}

func TestThousandsOfNamespacesAreBounded(t *testing.T) {
	h := newSpacedHost()
	var text strings.Builder
	for i := range maxNamespaces + 10 {
		fmt.Fprintf(&text, "%d %d\n", 1000+i, 100_000+i)
	}
	h.namespaces = text.String()
	all, found := ReadNamespaces(h)
	if len(all) != maxNamespaces || all[0].Name != HostNamespace {
		t.Errorf("%d namespaces", len(all))
	}
	if len(found) != 1 || !strings.Contains(found[0].Reason, "11 more") {
		t.Errorf("gaps %+v", found)
	}
}

func TestANamespaceOfSomebodysChild(t *testing.T) {
	h := newSpacedHost()
	h.process(900, "rootlessport", "/", 10)
	h.parented(901, 900, "exe", "/machine.slice/libpod-conmon-"+idA+".scope", 11) // rootlessport-child
	h.parented(903, 1, "nginx", "/machine.slice/libpod-"+idA+".scope/container", 11)
	h.parented(902, 1, "nginx", "/", 12)
	h.process(950, "conmon", "/", 10)
	all, _ := ReadNamespaces(h)
	if n, ok := ServedBy(h, all, Process{PID: 900}, Proxy{Kind: "rootlessport"}); !ok || n.ID != 11 || n.Title != "container aaaaaaaaaaaa" {
		t.Errorf("by its child: %+v, %t", n, ok)
	}
	if n, ok := ServedBy(h, all, Process{PID: 950}, Proxy{Kind: "conmon", Container: Container{ID: idA}}); !ok || n.ID != 11 {
		t.Errorf("by its container: %+v, %t", n, ok)
	}
	if n, ok := ServedBy(h, all, Process{PID: 951}, Proxy{Kind: "rootlessport"}); ok {
		t.Errorf("nobody's child: %+v", n)
	}
}

// Sockets are the network namespace's, their holders the machine's.
func TestASocketIsItsHoldersWhateverNamespaceTheyAreIn(t *testing.T) {
	first, second := oneListener(), oneListener()
	for pid, name := range map[int]string{7: "sshd", 8: "systemd"} {
		first.files[fmt.Sprintf("/proc/%d/stat", pid)] = statLine(pid, name, 1)
	}
	first.holders = []string{"7 3 7\n8 40 7\n"} // the socket's inode is 7
	second.holders = []string{"the second host's own are not asked"}
	for i, r := range ReadEach([]Host{first, second}) {
		if len(r.Listeners) != 1 || len(r.Listeners[0].Owners) != 2 || r.Listeners[0].Owners[0].Name != "sshd" {
			t.Errorf("namespace %d: %+v", i, r.Listeners)
		}
	}
	if first.walks != 1 || second.walks != 0 {
		t.Errorf("%d and %d walks over the descriptors, want one", first.walks, second.walks)
	}
}
