package kerneltest

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Returns is a BPF program, little endian, that returns a number at once
// (Documentation/bpf/standardization/instruction-set.rst).
func Returns(n int32) []byte {
	code := binary.LittleEndian.AppendUint32([]byte{0xb7, 0, 0, 0}, uint32(n)) // r0 = n
	return append(code, 0x95, 0, 0, 0, 0, 0, 0, 0)                             // exit
}

// MarksAndReturns is the same for a program of tc that first gives the packet a mark.
func MarksAndReturns(mark, n int32) []byte {
	const skbMark = 8 // struct __sk_buff, mark
	code := binary.LittleEndian.AppendUint32([]byte{0x62, 1, skbMark, 0}, uint32(mark))
	return append(code, Returns(n)...)
}

// LoadProgram loads a BPF program of a type (BPF_PROG_TYPE_*) for a place
// (BPF_*, 0 where the type has one), by a name. It is gone when the descriptor is
// closed and nothing has it attached.
func LoadProgram(kind, place uint32, name string, code []byte) (fd int, err error) {
	license := []byte("GPL\x00")
	load := struct {
		kind, count        uint32
		code, license      uint64
		logLevel, logSize  uint32
		log                uint64
		version, flags     uint32
		name               [16]byte
		device, attachType uint32
	}{kind: kind, count: uint32(len(code) / 8), code: pointer(code), license: pointer(license), attachType: place}
	copy(load.name[:15], name)
	fd, err = bpf(unix.BPF_PROG_LOAD, unsafe.Pointer(&load), unsafe.Sizeof(load))
	runtime.KeepAlive(code)
	runtime.KeepAlive(license)
	return fd, err
}

func pointer(b []byte) uint64 { return uint64(uintptr(unsafe.Pointer(&b[0]))) }

func bpf(command int, attributes unsafe.Pointer, size uintptr) (int, error) {
	n, _, errno := unix.Syscall(unix.SYS_BPF, uintptr(command), uintptr(attributes), size)
	if errno != 0 {
		return -1, fmt.Errorf("bpf(%d): %w", command, errno)
	}
	return int(n), nil
}

// AttachXDP has an XDP program see all that comes in by a link.
func (ns *Namespace) AttachXDP(link string, program int) error {
	return ns.Do(func() error {
		l, err := netlink.LinkByName(link)
		if err != nil {
			return err
		}
		return netlink.LinkSetXdpFdWithFlags(l, program, 1<<1) // XDP_FLAGS_SKB_MODE
	})
}

// AttachTC has a program of tc decide about a link's packets: parent is
// netlink.HANDLE_MIN_INGRESS or HANDLE_MIN_EGRESS, protocol an Ethernet type.
func (ns *Namespace) AttachTC(link string, parent uint32, protocol uint16, program int, name string) error {
	return ns.Do(func() error {
		l, err := netlink.LinkByName(link)
		if err != nil {
			return err
		}
		attributes := netlink.QdiscAttrs{LinkIndex: l.Attrs().Index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT}
		if err := netlink.QdiscReplace(&netlink.GenericQdisc{QdiscAttrs: attributes, QdiscType: "clsact"}); err != nil {
			return fmt.Errorf("clsact: %w", err)
		}
		return netlink.FilterAdd(&netlink.BpfFilter{
			FilterAttrs: netlink.FilterAttrs{LinkIndex: l.Attrs().Index, Parent: parent, Handle: 1, Priority: 1, Protocol: protocol},
			Fd:          program, Name: name, DirectAction: true,
		})
	})
}

// AttachLink has a program see a link's packets by way of tcx: place is
// BPF_TCX_INGRESS or BPF_TCX_EGRESS. It ends with the descriptor.
func (ns *Namespace) AttachLink(link string, place uint32, program int) (fd int, err error) {
	err = ns.Do(func() error {
		l, err := netlink.LinkByName(link)
		if err != nil {
			return err
		}
		fd, err = createLink(program, uint32(l.Attrs().Index), place)
		return err
	})
	return fd, err
}

// AttachNamespace has a program (BPF_SK_LOOKUP) work in the namespace.
func (ns *Namespace) AttachNamespace(place uint32, program int) (fd int, err error) {
	err = ns.Do(func() error {
		here, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(here)
		fd, err = createLink(program, uint32(here), place)
		return err
	})
	return fd, err
}

// AttachCgroup has a program see the packets of the sockets made in a cgroup.
func AttachCgroup(dir string, place uint32, program int) (fd int, err error) {
	cgroup, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(cgroup)
	return createLink(program, uint32(cgroup), place)
}

func createLink(program int, target, place uint32) (int, error) {
	create := [4]uint32{uint32(program), target, place, 0}
	return bpf(unix.BPF_LINK_CREATE, unsafe.Pointer(&create), unsafe.Sizeof(create))
}

// AttachNetfilter has a program drop or pass what comes to IPv6's output hook.
func (ns *Namespace) AttachNetfilter(program int) (fd int, err error) {
	err = ns.Do(func() error {
		create := struct {
			program, target, place, flags, family, hook uint32
			priority                                    int32
			hookFlags                                   uint32
		}{program: uint32(program), place: 45, family: unix.NFPROTO_IPV6, hook: unix.NF_INET_LOCAL_OUT, priority: 10}
		fd, err = bpf(unix.BPF_LINK_CREATE, unsafe.Pointer(&create), unsafe.Sizeof(create))
		return err
	})
	return fd, err
}
