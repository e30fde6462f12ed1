package platform

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxCode is how many bytes of a program are told: longer ones are told without.
const maxCode = 32 << 10

func (h *live) Programs(where string) ([]byte, error) {
	at, err := parsePlace(where)
	if err != nil {
		return nil, err
	}
	text, err := programs(at)
	if err != nil {
		return nil, fmt.Errorf("BPF programs of %s: %w", where, err)
	}
	return text, nil
}

func (h *namespaceHost) Programs(where string) (text []byte, err error) {
	failed := h.namespace.do(func() { text, err = h.live.Programs(where) })
	if failed != nil {
		return nil, failed
	}
	return text, err
}

func programs(at place) ([]byte, error) {
	switch at.kind {
	case "cgroup":
		return cgroupPrograms(at.number)
	case "link":
		return linkPrograms(uint32(at.number))
	case "program":
		return aboutProgram(uint32(at.number))
	case "netns":
		return namespacePrograms()
	}
	return netfilterPrograms()
}

// bpfAsk is bpf(2) with a command that only asks.
func bpfAsk(command int, attributes unsafe.Pointer, size uintptr) (int, error) {
	n, _, errno := unix.Syscall(unix.SYS_BPF, uintptr(command), uintptr(attributes), size)
	if errno != 0 {
		return -1, fmt.Errorf("bpf(%d): %w", command, errno)
	}
	return int(n), nil
}

// notThere: the kernel has no such place (EINVAL before the kernel that has it,
// ENOSYS without BPF), or the link is gone.
func notThere(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENODEV)
}

// maxPrograms is how many one place can have: 64 a cgroup, its ancestors' too.
const maxPrograms = 1 << 12

// attached are the numbers of the programs at a place, in the order in which
// they run. It needs CAP_NET_ADMIN outside of user namespaces.
func attached(target uint32, attachType, flags uint32) ([]uint32, error) {
	ids := make([]uint32, 64)
	for {
		// union bpf_attr, query
		ask := struct {
			target, attachType, flags, attachFlags uint32
			programs                               uint64
			count, _                               uint32
		}{target: target, attachType: attachType, flags: flags, programs: uint64(uintptr(unsafe.Pointer(&ids[0]))), count: uint32(len(ids))}
		_, err := bpfAsk(unix.BPF_PROG_QUERY, unsafe.Pointer(&ask), unsafe.Sizeof(ask))
		runtime.KeepAlive(ids)
		switch {
		case errors.Is(err, unix.ENOSPC) && len(ids) < maxPrograms:
			ids = make([]uint32, 4*len(ids))
		case err != nil && notThere(err):
			return nil, nil
		case err != nil:
			return nil, err
		default:
			return ids[:min(int(ask.count), len(ids))], nil
		}
	}
}

// appendPrograms appends a line "WHERE ID" for each program.
func appendPrograms(text []byte, where string, target uint32, attachType, flags uint32) ([]byte, error) {
	ids, err := attached(target, attachType, flags)
	for _, id := range ids {
		text = fmt.Appendf(text, "%s %d\n", where, id)
	}
	return text, err
}

// linkPrograms are the tcx programs of a link (Linux 6.6), which no dump of tc shows.
func linkPrograms(index uint32) ([]byte, error) {
	text, err := appendPrograms(nil, "ingress", index, unix.BPF_TCX_INGRESS, 0)
	if err != nil {
		return nil, err
	}
	return appendPrograms(text, "egress", index, unix.BPF_TCX_EGRESS, 0)
}

// namespacePrograms are those that choose the socket of a packet (Linux 5.9).
func namespacePrograms() ([]byte, error) {
	fd, err := openRead("/proc/thread-self/ns/net", 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	return appendPrograms(nil, "sk_lookup", uint32(fd), unix.BPF_SK_LOOKUP, 0)
}

// cgroupHooks are the places of a cgroup where packets can be dropped.
var cgroupHooks = []struct {
	name       string
	attachType uint32
}{{"ingress", unix.BPF_CGROUP_INET_INGRESS}, {"egress", unix.BPF_CGROUP_INET_EGRESS}}

// queryEffective is BPF_F_QUERY_EFFECTIVE: the ancestors' programs too.
const queryEffective = 1

// cgroupPrograms tells the path of a cgroup v2 by the number of its directory, and
// what is attached to it and above it, with the path of where. Most have nothing.
func cgroupPrograms(id uint64) ([]byte, error) {
	fd, err := openCgroup(id)
	if err != nil {
		return nil, err
	}
	found := false
	for _, hook := range cgroupHooks {
		ids, err := attached(uint32(fd), hook.attachType, queryEffective)
		if err != nil {
			unix.Close(fd)
			return nil, err
		}
		found = found || len(ids) > 0
	}
	if !found {
		unix.Close(fd)
		return nil, nil
	}
	return ancestorPrograms(fd)
}

// maxDepth is how deep a cgroup may lie.
const maxDepth = 64

// ancestorPrograms walks from a cgroup to the root, and closes it.
func ancestorPrograms(fd int) (text []byte, err error) {
	for range maxDepth {
		name, root, err := cgroupPath(fd)
		for _, hook := range cgroupHooks {
			if err == nil {
				text, err = appendPrograms(text, hook.name+" "+fmt.Sprintf("%q", name), uint32(fd), hook.attachType, 0)
			}
		}
		if err != nil || root {
			unix.Close(fd)
			return text, err
		}
		parent, err := unix.Openat(fd, "..", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		unix.Close(fd)
		if err != nil {
			return nil, err
		}
		fd = parent
	}
	unix.Close(fd)
	return nil, fmt.Errorf("a cgroup %d deep: %w", maxDepth, ErrTooLarge)
}

// cgroupPath is the path of an open cgroup below the mounted root.
func cgroupPath(fd int) (name string, root bool, err error) {
	name, err = readlink(fmt.Sprintf("/proc/thread-self/fd/%d", fd))
	if err != nil {
		return "", false, err
	}
	mount, err := cgroupMount()
	if err != nil {
		return "", false, err
	}
	below, inside := strings.CutPrefix(name, mount)
	if !inside {
		return name, name == "/", nil
	}
	return "/" + strings.TrimPrefix(below, "/"), below == "", nil
}

// programTypes are enum bpf_prog_type's names of the types that matter here.
var programTypes = map[uint32]string{3: "sched_cls", 4: "sched_act", 6: "xdp", 8: "cgroup_skb", 30: "sk_lookup", 32: "netfilter"}

// aboutProgram tells a program's type, its name (as a Go string) and, where the
// kernel shows them and they are few, its instructions in hex.
func aboutProgram(id uint32) ([]byte, error) {
	fd, err := bpfAsk(unix.BPF_PROG_GET_FD_BY_ID, unsafe.Pointer(&[3]uint32{id}), 12)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var info programInfo
	if err := objectInfo(fd, unsafe.Pointer(&info), unsafe.Sizeof(info)); err != nil {
		return nil, err
	}
	code := make([]byte, info.codeLength)
	if 0 < len(code) && len(code) <= maxCode {
		info = programInfo{codeLength: uint32(len(code)), code: uint64(uintptr(unsafe.Pointer(&code[0])))}
		err := objectInfo(fd, unsafe.Pointer(&info), unsafe.Sizeof(info))
		runtime.KeepAlive(code)
		if err != nil {
			return nil, err
		}
	}
	if info.code == 0 || int(info.codeLength) > len(code) { // refused (kptr_restrict), or too long
		code = nil
	}
	kind := programTypes[info.kind]
	if kind == "" {
		kind = fmt.Sprintf("type(%d)", info.kind)
	}
	return fmt.Appendf(nil, "%s %q %s\n", kind, unix.ByteSliceToString(info.name[:]), hex.EncodeToString(code)), nil
}

// A programInfo begins struct bpf_prog_info.
type programInfo struct {
	kind, id               uint32
	tag                    [8]byte
	nativeLength           uint32
	codeLength             uint32
	native, code, loadTime uint64
	uid, mapCount          uint32
	maps                   uint64
	name                   [16]byte
}

func objectInfo(fd int, info unsafe.Pointer, size uintptr) error {
	ask := struct {
		fd, length uint32
		info       uint64
	}{uint32(fd), uint32(size), uint64(uintptr(info))}
	_, err := bpfAsk(unix.BPF_OBJ_GET_INFO_BY_FD, unsafe.Pointer(&ask), unsafe.Sizeof(ask))
	runtime.KeepAlive(info)
	return err
}

// linkTypeNetfilter is BPF_LINK_TYPE_NETFILTER (Linux 6.4).
const linkTypeNetfilter = 10

// netfilterPrograms are the BPF programs among netfilter's hooks: family, hook,
// priority and program. They are found among all links of the kernel, which don't
// tell their network namespace. Needs CAP_SYS_ADMIN.
func netfilterPrograms() (text []byte, err error) {
	for id := uint32(0); ; {
		next := [3]uint32{id}
		if _, err := bpfAsk(unix.BPF_LINK_GET_NEXT_ID, unsafe.Pointer(&next), 12); errors.Is(err, unix.ENOENT) || err != nil && notThere(err) {
			return text, nil
		} else if err != nil {
			return nil, err
		}
		id = next[1]
		fd, err := bpfAsk(unix.BPF_LINK_GET_FD_BY_ID, unsafe.Pointer(&[3]uint32{id}), 12)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EAGAIN) { // gone, or not yet there
			continue
		} else if err != nil {
			return nil, err
		}
		// struct bpf_link_info with its netfilter part
		var info struct {
			kind, id, program, _ uint32
			family, hook         uint32
			priority             int32
			flags                uint32
		}
		err = objectInfo(fd, unsafe.Pointer(&info), unsafe.Sizeof(info))
		unix.Close(fd)
		if err != nil {
			return nil, err
		}
		if info.kind == linkTypeNetfilter {
			text = fmt.Appendf(text, "netfilter %d %d %d %d\n", info.family, info.hook, info.priority, info.program)
		}
	}
}

// cgroupID is FILEID_KERNFS (include/linux/exportfs.h): eight bytes of a kernfs id.
const cgroupID = 0xfe

// openCgroup opens a cgroup v2 by the number of its directory, which is what
// sockets tell (INET_DIAG_CGROUP_ID).
func openCgroup(id uint64) (int, error) {
	mount, err := cgroupMount()
	if err != nil {
		return -1, err
	}
	root, err := unix.Open(mount, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: mount, Err: err}
	}
	defer unix.Close(root)
	handle := unix.NewFileHandle(cgroupID, binary.NativeEndian.AppendUint64(nil, id))
	fd, err := unix.OpenByHandleAt(root, handle, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("cgroup %d: %w", id, err)
	}
	return fd, nil
}

// cgroupMount is where the cgroup v2 hierarchy is mounted.
func cgroupMount() (string, error) {
	for _, name := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var about unix.Statfs_t
		if unix.Statfs(name, &about) == nil && about.Type == unix.CGROUP2_SUPER_MAGIC {
			return name, nil
		}
	}
	mounts, err := readFile("/proc/thread-self/mounts")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); len(fields) > 2 && fields[2] == "cgroup2" && !strings.Contains(fields[1], `\`) {
			return fields[1], nil
		}
	}
	return "", fmt.Errorf("no mounted cgroup v2: %w", unix.ENOENT)
}
