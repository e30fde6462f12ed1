package listeners

import (
	"strings"
	"testing"
)

const (
	idA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	idB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	uid = "0b9e3f6c-6d2f-4c1e-9f7a-3d4c5b6a7988"
)

func TestUnitsInCgroupPaths(t *testing.T) {
	for _, c := range []struct{ name, text, unit, userUnit, slice string }{
		{"a service", "0::/system.slice/ssh.service\n", "ssh.service", "", "system.slice"},
		{"an instance", "0::/system.slice/system-postgresql.slice/postgresql@15-main.service\n", "postgresql@15-main.service", "", "system-postgresql.slice"},
		{"a login", "0::/user.slice/user-1000.slice/session-3.scope\n", "session-3.scope", "", "user-1000.slice"},
		{"a user's service", "0::/user.slice/user-1000.slice/user@1000.service/app.slice/syncthing.service\n", "user@1000.service", "syncthing.service", "app.slice"},
		{"a user's manager", "0::/user.slice/user-1000.slice/user@1000.service/init.scope\n", "user@1000.service", "init.scope", "user-1000.slice"},
		{"below a unit is its own business", "0::/system.slice/ssh.service/sub/other.service\n", "ssh.service", "", "system.slice"},
		{"pid 1", "0::/init.scope\n", "init.scope", "", ""},
		{"escaped", "0::/system.slice/_cpu.service\n", "cpu.service", "", "system.slice"},
		{"version 1", "12:pids:/system.slice/cron.service\n1:name=systemd:/system.slice/cron.service\n0::/\n", "cron.service", "", "system.slice"},
		{"both versions", "2:cpu,cpuacct:/\n1:name=systemd:/\n0::/system.slice/cron.service\n", "cron.service", "", "system.slice"},
		{"from inside a cgroup namespace", "0::/../../system.slice/ssh.service\n", "ssh.service", "", "system.slice"},
		{"no systemd", "0::/\n", "", "", ""},
		{"nothing", "", "", "", ""},
		{"only a suffix", "0::/.service/.scope\n", "", "", ""},
		{"no colons", "garbage\n0:/x\n", "", "", ""},
	} {
		var p Process
		parseCgroup([]byte(c.text), &p)
		if p.Unit != c.unit || p.UserUnit != c.userUnit || p.Slice != c.slice {
			t.Errorf("%s: unit %q user %q slice %q, want %q %q %q", c.name, p.Unit, p.UserUnit, p.Slice, c.unit, c.userUnit, c.slice)
		}
	}
}

func TestContainersInCgroupPaths(t *testing.T) {
	const escaped = "0b9e3f6c_6d2f_4c1e_9f7a_3d4c5b6a7988"
	none := Container{}
	for _, c := range []struct {
		path string
		want Container
	}{
		{"/docker/" + idA, Container{idA, "docker", "", "", ""}},
		{"/system.slice/docker-" + idA + ".scope", Container{idA, "docker", "", "", ""}},
		{"/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" + idA + ".scope", Container{idA, "docker", "", "", ""}},
		{"/system.slice/docker-" + idA + ".scope/system.slice/nginx.service", Container{idA, "docker", "", "", ""}},
		{"/docker/" + idA + "/docker/" + idB, Container{idB, "docker", "", "", ""}},
		{"/ci/" + idA, Container{idA, "", "", "", ""}},
		{"/machine.slice/libpod-" + idA + ".scope", Container{idA, "podman", "", "", ""}},
		{"/machine.slice/libpod-" + idA + ".scope/container", Container{idA, "podman", "", "", ""}},
		{"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + idA + ".scope/container", Container{idA, "podman", "", "", ""}},
		{"/libpod_parent/libpod-" + idA, Container{idA, "podman", "", "", ""}},
		{"/machine.slice/machine-libpod_pod_" + idB + ".slice/libpod-" + idA + ".scope", Container{idA, "podman", idB, "", ""}},
		{"/machine.slice/libpod-conmon-" + idA + ".scope", none},
		{"/libpod_parent/libpod-" + idA + "/supervisor", none},
		{"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + escaped + ".slice/cri-containerd-" + idA + ".scope", Container{idA, "containerd", uid, "", ""}},
		{"/kubepods.slice/kubepods-pod" + escaped + ".slice/crio-" + idA + ".scope", Container{idA, "cri-o", uid, "", ""}},
		{"/kubepods.slice/kubepods-pod" + escaped + ".slice/crio-" + idA + ".scope/container", Container{idA, "cri-o", uid, "", ""}},
		{"/kubepods.slice/kubepods-pod" + escaped + ".slice/crio-conmon-" + idA + ".scope", none},
		{"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" + escaped + ".slice/docker-" + idA + ".scope", Container{idA, "docker", uid, "", ""}},
		{"/kubepods/burstable/pod" + uid + "/" + idA, Container{idA, "kubernetes", uid, "", ""}},
		{"/kubepods/pod" + strings.ReplaceAll(uid, "-", "") + "/" + idA, Container{idA, "kubernetes", strings.ReplaceAll(uid, "-", ""), "", ""}},
		{"/kubepods/besteffort/pod" + uid + "/crio-" + idA, Container{idA, "cri-o", uid, "", ""}},
		{"/system.slice/containerd.service/kubepods-burstable-pod" + escaped + ".slice:cri-containerd:" + idA, Container{idA, "containerd", uid, "", ""}},
		{"/docker/" + idB + "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod" + escaped + ".slice/cri-containerd-" + idA + ".scope", Container{idA, "containerd", uid, "", ""}},
		{"/system.slice/nerdctl-" + idA + ".scope", Container{idA, "containerd", "", "", ""}},
		{"/ecs/0123456789abcdef0123456789abcdef/" + idA, Container{idA, "", "", "", ""}},
		{"/lxc/web", Container{"web", "lxc", "", "", ""}},
		{"/lxc/101/ns/system.slice/ssh.service", Container{"101", "lxc", "", "", ""}},
		{"/lxc.payload.web/system.slice/nginx.service", Container{"web", "lxc", "", "", ""}},
		{"/lxc.payload/web", Container{"web", "lxc", "", "", ""}},
		{"/lxc.monitor.web", none},
		{"/lxc.monitor/web", none},
		{"/machine.slice/machine-build\\x2dbox.scope/payload/init.scope", Container{"build-box", "systemd-nspawn", "", "", ""}},
		{"/machine.slice/systemd-nspawn@web.service/payload", Container{"web", "systemd-nspawn", "", "", ""}},
		{"/machine.slice/systemd-nspawn@web.service/supervisor", none},
		{"/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/libvirt/emulator", none},
		{"/machine.slice/machine-lxc\\x2d7\\x2dweb.scope", Container{"lxc-7-web", "libvirt-lxc", "", "", ""}},
		{"/system.slice/docker.service", none},
		{"/system.slice/docker-cleanup.scope", none},
		{"/system.slice/containerd.service", none},
		{"/system.slice/docker-" + idA[1:] + ".scope", none},
		{"/system.slice/docker-" + strings.ToUpper(idA) + ".scope", none},
		{"/", none},
		{"", none},
		{"/../../docker/" + idA, Container{idA, "docker", "", "", ""}},
		{"/kubepods.slice/kubepods-podnone.slice/crio-" + idA + ".scope", Container{idA, "cri-o", "", "", ""}},
	} {
		if got := containerOf(c.path); got != c.want {
			t.Errorf("%s\n  got %+v\n want %+v", c.path, got, c.want)
		}
	}
}

func TestContainerToldByAVersion1ControllerOnly(t *testing.T) {
	var p Process
	parseCgroup([]byte("11:memory:/docker/"+idA+"\n1:name=systemd:/\n0::/\n"), &p)
	if want := (Container{ID: idA, Runtime: "docker"}); p.Container != want {
		t.Errorf("%+v, want %+v", p.Container, want)
	}
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{
		`a\x2db`: "a-b", `\x2d`: "-", `a\x2`: `a\x2`, `\xzz1`: `\xzz1`, "plain": "plain", `a\`: `a\`,
	} {
		if got := unescape(in); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}
