package platform

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	// The kernel fills at most 32 KiB of a dump at a time, and only if the reader's
	// buffer is that large: each piece restarts the dump from its beginning.
	initialBuffer = 64 << 10
	maxBuffer     = 4 << 20
	// where a reply is gathered, so that it needn't be moved while it grows; what of
	// it is not used is never touched, and costs nothing
	gatherBytes = 512 << 10
	// what the kernel may queue of a reply that is no dump
	queueBytes = 1 << 20
	// the kernel answers while the request is sent; this only ends a wait for a lost reply
	replySeconds = 30
	idleSockets  = 8
	attempts     = 4
)

// A socket is one netlink socket with its own receive buffer; not for concurrent use.
type socket struct {
	fd       int
	sequence uint32
	request  []byte
	buffer   []byte
	// reply is where the next reply is gathered: a dump comes in hundreds of pieces.
	reply   []byte
	cleanup runtime.Cleanup
}

// openSocket opens a netlink socket in the calling thread's network namespace;
// it stays there whoever uses it.
func openSocket(protocol int) (*socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	s := &socket{fd: fd, buffer: make([]byte, initialBuffer)}
	s.cleanup = runtime.AddCleanup(s, func(fd int) { unix.Close(fd) }, fd)
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: replySeconds}); err != nil {
		s.close()
		return nil, fmt.Errorf("setsockopt SO_RCVTIMEO: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, queueBytes); err != nil {
		s.close()
		return nil, fmt.Errorf("setsockopt SO_RCVBUF: %w", err)
	}
	return s, nil
}

func (s *socket) close() {
	s.cleanup.Stop()
	unix.Close(s.fd)
}

// exchange sends one request and reads its whole reply. Every request asks for
// an acknowledgement, so that the end of a reply that is no dump is known. ended
// says that nothing of the reply is left: an error can be the kernel's answer.
func (s *socket) exchange(request []byte) (reply []byte, ended bool, err error) {
	s.sequence++
	s.request = append(s.request[:0], request...)
	flags := binary.NativeEndian.Uint16(s.request[6:])
	binary.NativeEndian.PutUint16(s.request[6:], flags|flagRequest|flagAck)
	binary.NativeEndian.PutUint32(s.request[8:], s.sequence)
	binary.NativeEndian.PutUint32(s.request[12:], 0)
	if err := s.send(); err != nil {
		return nil, false, err
	}
	if s.reply == nil {
		s.reply = make([]byte, 0, gatherBytes)
	}
	gathered := s.reply[:0]
	for {
		datagram, err := s.receive()
		if err != nil {
			return nil, false, err
		}
		gathered, ended, err = appendReply(gathered, datagram, s.sequence)
		if err != nil {
			return nil, ended, err
		}
		if ended {
			return s.handOut(gathered), true, nil
		}
		if len(gathered) > maxReply {
			return nil, false, fmt.Errorf("reply over %d MiB: %w", maxReply>>20, ErrTooLarge)
		}
	}
}

// handOut copies a short reply, so that its room serves again; a long one is
// handed out as it is.
func (s *socket) handOut(gathered []byte) []byte {
	if len(gathered) > gatherBytes/2 {
		s.reply = nil
		return gathered
	}
	s.reply = gathered[:0]
	return bytes.Clone(gathered)
}

func (s *socket) send() error {
	for {
		err := unix.Sendto(s.fd, s.request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("send: %w", err)
		}
		return nil
	}
}

// errShortBuffer says that a datagram was longer than the buffer, which has grown.
var errShortBuffer = errors.New("netlink: message longer than the buffer")

// receive waits for a datagram of the kernel's; others may not speak for it.
func (s *socket) receive() ([]byte, error) {
	for {
		// MSG_TRUNC: n is the datagram's length even where the buffer is shorter
		n, from, err := unix.Recvfrom(s.fd, s.buffer, unix.MSG_TRUNC)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.ENOBUFS:
			return nil, errOverrun
		case err == unix.EAGAIN:
			return nil, fmt.Errorf("no reply in %d s: %w", replySeconds, os.ErrDeadlineExceeded)
		case err != nil:
			return nil, fmt.Errorf("receive: %w", err)
		}
		if sender, ok := from.(*unix.SockaddrNetlink); !ok || sender.Pid != 0 {
			continue
		}
		if n <= len(s.buffer) {
			return s.buffer[:n], nil
		}
		if n > maxBuffer {
			return nil, fmt.Errorf("message of %d bytes: %w", n, ErrTooLarge)
		}
		s.buffer = make([]byte, 2*n)
		return nil, errShortBuffer
	}
}

// A socketPool keeps netlink sockets open between requests: opening one costs as
// much as a small dump.
type socketPool struct {
	open func(protocol int) (*socket, error)

	mu   sync.Mutex
	idle map[int][]*socket
}

func (p *socketPool) request(protocol int, request []byte) ([]byte, error) {
	name, err := readRequest(protocol, request)
	if err != nil {
		return nil, err
	}
	s, err := p.get(protocol)
	if err != nil {
		return nil, fmt.Errorf("netlink %s: %w", name, err)
	}
	reply, err := p.exchange(s, protocol, request)
	if err != nil {
		return nil, fmt.Errorf("netlink %s: %w", name, err)
	}
	return reply, nil
}

// exchange retries what was lost for lack of room. A socket whose reply was not
// read to its end is closed: what is left of it would be in the way.
func (p *socketPool) exchange(s *socket, protocol int, request []byte) ([]byte, error) {
	for attempt := 1; ; attempt++ {
		reply, ended, err := s.exchange(request)
		if ended {
			p.put(protocol, s)
			return reply, err
		}
		buffer := s.buffer
		s.close()
		if attempt == attempts || !errors.Is(err, errOverrun) && !errors.Is(err, errShortBuffer) {
			return nil, err
		}
		if s, err = p.open(protocol); err != nil {
			return nil, err
		}
		s.buffer = buffer
	}
}

func (p *socketPool) get(protocol int) (*socket, error) {
	p.mu.Lock()
	idle := p.idle[protocol]
	if n := len(idle); n > 0 {
		s := idle[n-1]
		p.idle[protocol] = idle[:n-1]
		p.mu.Unlock()
		return s, nil
	}
	p.mu.Unlock()
	return p.open(protocol)
}

func (p *socketPool) put(protocol int, s *socket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle[protocol]) >= idleSockets {
		s.close()
		return
	}
	if p.idle == nil {
		p.idle = map[int][]*socket{}
	}
	p.idle[protocol] = append(p.idle[protocol], s)
}

func (p *socketPool) closeIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, sockets := range p.idle {
		for _, s := range sockets {
			s.close()
		}
	}
	p.idle = nil
}
