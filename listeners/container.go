package listeners

import (
	"strings"
)

// scopePrefixes are how runtimes name the scope of a container under systemd:
// PREFIX-ID.scope. (moby daemon/oci_linux.go, podman libpod/container_internal_linux.go,
// cri-o's cgroup manager, containerd's CRI, runc's and crun's own defaults.)
var scopePrefixes = map[string]string{
	"docker":         "docker",
	"libpod":         "podman",
	"crio":           "cri-o",
	"cri-containerd": "containerd",
	"nerdctl":        "containerd",
	"runc":           "runc",
	"crun":           "crun",
}

// cgroupfsParents are the directories below which runtimes put containers by their
// bare id, without systemd.
var cgroupfsParents = map[string]string{
	"docker":        "docker",
	"libpod_parent": "podman",
	"buildkit":      "buildkit",
	"ecs":           "docker",
}

// containerOf reads a container out of a cgroup path. With containers in
// containers, the innermost counts. It is empty for a process of the host, which
// includes a container's monitor (conmon, lxc.monitor, the nspawn supervisor).
func containerOf(path string) Container {
	if path == "/" {
		return Container{}
	}
	var found Container
	var parent, pod string
	kubernetes := false
	for name := range components(path) {
		if strings.Contains(name, "kubepods") {
			kubernetes = true
		}
		if id := podOf(name); id != "" {
			pod = id
		}
		if c, ok := containerName(name, parent, kubernetes); ok {
			c.Pod = pod
			found = c
		} else if isMonitor(name) {
			found = Container{}
		}
		parent = name
	}
	return found
}

// containerName reads one component of the path; parent is the one before it.
func containerName(name, parent string, kubernetes bool) (Container, bool) {
	// containerd without systemd, under a kubelet with it: SLICE:RUNTIME:ID
	if parts := strings.Split(name, ":"); len(parts) == 3 && isID(parts[2]) {
		return Container{ID: parts[2], Runtime: scopePrefixes[parts[1]]}, true
	}
	if c, ok := scopeName(name); ok {
		return c, true
	}
	if isID(name) {
		runtime := cgroupfsParents[parent]
		if runtime == "" && kubernetes {
			runtime = "kubernetes"
		}
		return Container{ID: name, Runtime: runtime}, true
	}
	return machineName(name, parent)
}

// scopeName reads "docker-ID.scope", and the same without ".scope" where a runtime
// uses the name without systemd.
func scopeName(name string) (Container, bool) {
	base := strings.TrimSuffix(name, ".scope")
	at := strings.LastIndexByte(base, '-')
	if at < 0 || !isID(base[at+1:]) {
		return Container{}, false
	}
	runtime, known := scopePrefixes[base[:at]]
	return Container{ID: base[at+1:], Runtime: runtime}, known
}

// machineName reads the names of LXC and of machines that systemd registers, which
// have no hex id but a name.
func machineName(name, parent string) (Container, bool) {
	if id, ok := strings.CutPrefix(name, "lxc.payload."); ok && id != "" {
		return Container{ID: id, Runtime: "lxc"}, true
	}
	if parent == "lxc" || parent == "lxc.payload" {
		return Container{ID: name, Runtime: "lxc"}, true
	}
	if id := between(name, "systemd-nspawn@", ".service"); id != "" {
		return Container{ID: unescape(id), Runtime: "systemd-nspawn"}, true
	}
	id := unescape(between(name, "machine-", ".scope"))
	switch {
	case id == "", strings.HasPrefix(id, "qemu-"): // libvirt: a virtual machine
		return Container{}, false
	case strings.HasPrefix(id, "lxc-"):
		return Container{ID: id, Runtime: "libvirt-lxc"}, true
	}
	return Container{ID: id, Runtime: "systemd-nspawn"}, true
}

// between is what stands between a prefix and a suffix; empty if they don't fit.
func between(name, prefix, suffix string) string {
	middle, ok1 := strings.CutPrefix(name, prefix)
	middle, ok2 := strings.CutSuffix(middle, suffix)
	if !ok1 || !ok2 {
		return ""
	}
	return middle
}

// isMonitor says that a component is of the process that watches a container from
// outside, in a path that looks like the container's.
func isMonitor(name string) bool {
	return name == "supervisor" || strings.HasPrefix(name, "libpod-conmon-") ||
		strings.HasPrefix(name, "crio-conmon-") || strings.HasPrefix(name, "lxc.monitor")
}

// podOf reads a pod's uid out of "kubepods-burstable-podUID.slice" (where systemd
// made the uid's "-" a "_") or "podUID", or podman's out of
// "machine-libpod_pod_ID.slice".
func podOf(name string) string {
	base, _, _ := strings.Cut(name, ":")
	base = strings.TrimSuffix(base, ".slice")
	if at := strings.LastIndex(base, "libpod_pod_"); at >= 0 {
		if id := base[at+len("libpod_pod_"):]; isID(id) {
			return id
		}
	}
	at := strings.LastIndexByte(base, '-')
	if strings.HasPrefix(base, "pod") {
		at = -1
	} else if !strings.Contains(base, "kubepods") {
		return ""
	}
	uid, ok := strings.CutPrefix(base[at+1:], "pod")
	uid = strings.ReplaceAll(uid, "_", "-")
	if !ok || !isPodUID(uid) {
		return ""
	}
	return uid
}

// isPodUID says whether it is a UUID, or the bare hex hash that static pods have.
func isPodUID(uid string) bool {
	bare := strings.ReplaceAll(uid, "-", "")
	return len(bare) == 32 && isHex(bare)
}

// isID says whether it is the full id of an OCI container: 64 hex digits.
func isID(name string) bool { return len(name) == 64 && isHex(name) }

func isHex(text string) bool {
	for i := range len(text) {
		c := text[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(text) > 0
}

// unescape undoes systemd-escape(1): "\x2d" is "-".
func unescape(name string) string {
	if !strings.Contains(name, `\x`) {
		return name
	}
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if i+3 < len(name) && name[i] == '\\' && name[i+1] == 'x' {
			high, low := hexDigit(name[i+2]), hexDigit(name[i+3])
			if high >= 0 && low >= 0 {
				b.WriteByte(byte(high<<4 | low))
				i += 3
				continue
			}
		}
		b.WriteByte(name[i])
	}
	return b.String()
}

func hexDigit(c byte) int { return strings.IndexByte("0123456789abcdef", c) }
