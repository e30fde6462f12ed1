package kerneltest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// connect has a program of the host itself start the probe's flow. Its packets
// leave by the output hook and come in by lo; a failed output is a drop.
func (ns *Namespace) connect(probe Probe, number uint32) (Outcome, error) {
	fail := func(err error) (Outcome, error) {
		return Outcome{}, fmt.Errorf("%s: %w", probe, err)
	}
	kind := unix.SOCK_DGRAM
	if probe.Protocol == protocolTCP {
		kind = unix.SOCK_STREAM
	}
	family, from := socketAddress(netip.AddrPortFrom(probe.From, probe.SourcePort))
	_, to := socketAddress(netip.AddrPortFrom(probe.To, probe.Port))
	fd, err := unix.Socket(family, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, int(probe.Protocol))
	if err != nil {
		return fail(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, from); err != nil {
		return fail(err)
	}
	if probe.Protocol != protocolTCP {
		payload := binary.BigEndian.AppendUint32(nil, payloadMagic)
		err := unix.Sendto(fd, binary.BigEndian.AppendUint32(payload, number), 0, to)
		if err != nil && !errors.Is(err, unix.EPERM) {
			return fail(err)
		}
		r := round{base: number, outcomes: make([]Outcome, 1)}
		err = ns.collect(&r)
		return r.outcomes[0], err
	}
	// A close resets: no connection stays behind.
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		return fail(err)
	}
	if err := unix.Connect(fd, to); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return outcomeOf(err), nil
	}
	if err := ns.prober.backlog.wait(); err != nil {
		return fail(err)
	}
	events := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	if n, err := unix.Poll(events, 0); err != nil || n == 0 {
		return Outcome{}, err
	}
	errno, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return fail(err)
	}
	if errno != 0 {
		return outcomeOf(unix.Errno(errno)), nil
	}
	return Outcome{Kind: Accepted, Via: "lo"}, nil
}

// outcomeOf reads a connect's error. A reset and an ICMP port unreachable are one.
func outcomeOf(err error) Outcome {
	switch {
	case errors.Is(err, unix.ECONNREFUSED):
		return Outcome{Kind: Reset, Via: "lo"}
	case errors.Is(err, unix.EPERM):
		return Outcome{}
	}
	return Outcome{Kind: Unreachable, Via: "lo"}
}

func socketAddress(at netip.AddrPort) (family int, address unix.Sockaddr) {
	if at.Addr().Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}
}
