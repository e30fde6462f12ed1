package platform

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TwinRing is how many frames a link of a Twin holds for us to read, once its
// txqueuelen says so.
const TwinRing = 8192

// typeEthernet is ARPHRD_ETHER (include/uapi/linux/if_arp.h).
const typeEthernet = 1

// A link is the far end of an interface of a Twin.
type link struct {
	name string
	fd   int
}

// OpenLink makes an interface whose far end is ours (Documentation/networking/tuntap.rst):
// a TAP for hardware type 1 (Ethernet), else a TUN of that ARPHRD_* type, whose
// frames are IP packets without a header before them. index 0 lets the kernel
// choose. It returns the link's number for WriteFrame and ReadFrame.
func (t *Twin) OpenLink(name string, index int, hardware uint16) (int, error) {
	if len(name) >= unix.IFNAMSIZ {
		return 0, fmt.Errorf("interface name %q is longer than %d bytes", name, unix.IFNAMSIZ-1)
	}
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return 0, fmt.Errorf("/dev/net/tun: %w", err)
	}
	if err := setTUN(fd, name, index, hardware); err != nil {
		unix.Close(fd)
		return 0, fmt.Errorf("interface %s: %w", name, err)
	}
	t.links = append(t.links, link{name, fd})
	return len(t.links) - 1, nil
}

func setTUN(fd int, name string, index int, hardware uint16) error {
	if index != 0 {
		number := int32(index)
		if err := ioctl(fd, unix.TUNSETIFINDEX, unsafe.Pointer(&number)); err != nil {
			return fmt.Errorf("TUNSETIFINDEX %d: %w", index, err)
		}
	}
	flags := uint16(unix.IFF_TAP | unix.IFF_NO_PI)
	if hardware != typeEthernet {
		flags = unix.IFF_TUN | unix.IFF_NO_PI
	}
	var request [40]byte // struct ifreq
	copy(request[:], name)
	binary.NativeEndian.PutUint16(request[unix.IFNAMSIZ:], flags)
	if err := ioctl(fd, unix.TUNSETIFF, unsafe.Pointer(&request)); err != nil {
		return fmt.Errorf("TUNSETIFF: %w", err)
	}
	if hardware == typeEthernet || hardware == unix.ARPHRD_NONE {
		return nil
	}
	if err := unix.IoctlSetInt(fd, unix.TUNSETLINK, int(hardware)); err != nil {
		return fmt.Errorf("TUNSETLINK %d: %w", hardware, err)
	}
	return nil
}

func ioctl(fd int, request uint, argument unsafe.Pointer) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(argument))
	if errno != 0 {
		return errno
	}
	return nil
}

// WriteFrame lets a frame come in by a link.
func (t *Twin) WriteFrame(link int, frame []byte) error {
	if _, err := unix.Write(t.links[link].fd, frame); err != nil {
		return fmt.Errorf("sending into %s: %w", t.links[link].name, err)
	}
	return nil
}

// ReadFrame reads a frame that left by a link. The length is 0 if none waits.
func (t *Twin) ReadFrame(link int, buffer []byte) (int, error) {
	for {
		n, err := unix.Read(t.links[link].fd, buffer)
		switch {
		case err == nil:
			return n, nil
		case errors.Is(err, unix.EAGAIN):
			return 0, nil
		case errors.Is(err, unix.EINTR):
		default:
			return 0, fmt.Errorf("reading from %s: %w", t.links[link].name, err)
		}
	}
}
