package kerneltest

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ringLength is how many frames a TAP holds for us to read.
const ringLength = 8192

// A tap is the far end of an interface of the namespace.
type tap struct {
	name string
	fd   int
	mac  macAddress
	// bridge is the one that the interface is a port of; empty if it is none.
	bridge string
}

// openTAP makes a TAP device in the calling thread's namespace
// (Documentation/networking/tuntap.rst). Its descriptor doesn't block.
func openTAP(name string, index int) (*tap, error) {
	if len(name) >= unix.IFNAMSIZ {
		return nil, fmt.Errorf("interface name %q is longer than %d bytes", name, unix.IFNAMSIZ-1)
	}
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("/dev/net/tun: %w", err)
	}
	if index != 0 {
		number := int32(index)
		if err := ioctl(fd, unix.TUNSETIFINDEX, unsafe.Pointer(&number)); err != nil {
			unix.Close(fd)
			return nil, fmt.Errorf("TUNSETIFINDEX %d: %w", index, err)
		}
	}
	var request [40]byte // struct ifreq
	copy(request[:], name)
	binary.NativeEndian.PutUint16(request[unix.IFNAMSIZ:], unix.IFF_TAP|unix.IFF_NO_PI)
	if err := ioctl(fd, unix.TUNSETIFF, unsafe.Pointer(&request)); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("TUNSETIFF %s: %w", name, err)
	}
	return &tap{name: name, fd: fd}, nil
}

func ioctl(fd int, request uint, argument unsafe.Pointer) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(argument))
	if errno != 0 {
		return errno
	}
	return nil
}
