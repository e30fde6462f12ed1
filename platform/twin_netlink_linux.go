package platform

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// A twinSocket is a netlink socket in a Twin.
type twinSocket struct {
	fd     int
	buffer []byte
}

func (s *twinSocket) close() { unix.Close(s.fd) }

// socketOf is the namespace's netlink socket of a protocol.
func (t *Twin) socketOf(protocol int) (*twinSocket, error) {
	if s := t.netlink[protocol]; s != nil {
		return s, nil
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return nil, fmt.Errorf("netlink socket: %w", err)
	}
	s := &twinSocket{fd: fd, buffer: make([]byte, initialBuffer)}
	// An acknowledgement needs no copy of what it is about (Linux 4.2).
	if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1); err != nil {
		s.close()
		return nil, fmt.Errorf("setsockopt NETLINK_CAP_ACK: %w", err)
	}
	s.roomFor(unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, 16<<20)
	t.netlink[protocol] = s
	return s, nil
}

// roomFor sets a buffer's size, as large as this user may have it.
func (s *twinSocket) roomFor(force, plain, bytes int) {
	if unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, force, bytes) != nil {
		_ = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, plain, bytes)
	}
}

// Transact sends messages, built by internal/netlink.Request, as one datagram, and
// returns what the kernel said against each, nil where nothing. The other error is
// that they could not be sent.
func (t *Twin) Transact(protocol int, messages [][]byte) ([]error, error) {
	s, err := t.socketOf(protocol)
	if err != nil {
		return nil, err
	}
	var datagram []byte
	for i, m := range messages {
		start := len(datagram)
		datagram = append(datagram, m...)
		binary.NativeEndian.PutUint32(datagram[start+8:], uint32(i+1))
	}
	s.roomFor(unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, len(datagram)+1<<16)
	if err := unix.Sendto(s.fd, datagram, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, fmt.Errorf("netlink: sending %d bytes: %w", len(datagram), err)
	}
	said := make([]error, len(messages))
	// The kernel works while it is sent to: every answer is there.
	err = s.drain(func(sequence uint32, errno unix.Errno) {
		if i := int(sequence) - 1; i >= 0 && i < len(said) && errno != 0 {
			said[i] = errno
		}
	})
	return said, err
}

// drain reads the errors and acknowledgements that wait.
func (s *twinSocket) drain(f func(sequence uint32, errno unix.Errno)) error {
	for {
		n, _, err := unix.Recvfrom(s.fd, s.buffer, 0)
		if errors.Is(err, unix.EAGAIN) {
			return nil
		}
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("netlink: %w", err)
		}
		for b := s.buffer[:n]; len(b) >= headerLength; {
			length := int(binary.NativeEndian.Uint32(b))
			if length < headerLength || length > len(b) {
				return fmt.Errorf("netlink: a message of %d bytes in %d", length, len(b))
			}
			if binary.NativeEndian.Uint16(b[4:]) == unix.NLMSG_ERROR && length >= headerLength+4 {
				f(binary.NativeEndian.Uint32(b[8:]), unix.Errno(-int32(binary.NativeEndian.Uint32(b[headerLength:]))))
			}
			b = b[min((length+3)&^3, len(b)):]
		}
	}
}

// Request sends one request and returns all messages of its reply, as Host.Netlink does.
func (t *Twin) Request(protocol int, request []byte) ([]byte, error) {
	s, err := openSocket(protocol)
	if err != nil {
		return nil, err
	}
	defer s.close()
	reply, _, err := s.exchange(request)
	return reply, err
}

// Follow opens a netlink socket that hears a multicast group; Heard reads what came.
func (t *Twin) Follow(protocol, group int) (int, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return 0, fmt.Errorf("netlink socket: %w", err)
	}
	t.followed = append(t.followed, fd)
	s := twinSocket{fd: fd}
	s.roomFor(unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, 64<<20)
	// A socket without a port of its own hears nothing: the kernel's is 0 too.
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, fmt.Errorf("netlink socket: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, group); err != nil {
		return 0, fmt.Errorf("netlink group %d: %w", group, err)
	}
	return fd, nil
}

// Heard hands every datagram that a followed group sent to f, which must not keep
// it. The error is unix.ENOBUFS where some were lost.
func (t *Twin) Heard(followed int, f func(datagram []byte)) error {
	var b [initialBuffer]byte
	for {
		n, _, err := unix.Recvfrom(followed, b[:], 0)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("netlink: %w", err)
		default:
			f(b[:n])
		}
	}
}
