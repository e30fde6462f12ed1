package kerneltest

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/netglance/netglance/scan/packets"
)

// connect has a program of the host itself start the probe's flow. Its packets
// leave by the output hook and come in by lo; a failed output is a drop.
func (ns *Namespace) connect(probe Probe) (Outcome, error) {
	outcome, err := ns.prober.Local(probe, func(number uint32) (Outcome, bool, error) { return ns.start(probe, number) })
	if err != nil {
		return Outcome{}, fmt.Errorf("%s: %w", probe, err)
	}
	return outcome, nil
}

// start begins a flow. TCP tells at once what became of it.
func (ns *Namespace) start(probe Probe, number uint32) (outcome Outcome, told bool, err error) {
	kind := unix.SOCK_DGRAM
	if probe.Protocol == protocolTCP {
		kind = unix.SOCK_STREAM
	}
	family, from := socketAddress(netip.AddrPortFrom(probe.From, probe.SourcePort))
	_, to := socketAddress(netip.AddrPortFrom(probe.To, probe.Port))
	fd, err := unix.Socket(family, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, int(probe.Protocol))
	if err != nil {
		return Outcome{}, false, err
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, from); err != nil {
		return Outcome{}, false, err
	}
	if probe.Protocol != protocolTCP {
		err := unix.Sendto(fd, packets.Payload(number), 0, to)
		if errors.Is(err, unix.EPERM) {
			err = nil
		}
		if err == nil {
			err = ns.twin.Settle() // before the socket closes
		}
		return Outcome{}, false, err
	}
	outcome, err = ns.connectTCP(fd, to)
	return outcome, true, err
}

func (ns *Namespace) connectTCP(fd int, to unix.Sockaddr) (Outcome, error) {
	// A close resets: no connection stays behind.
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		return Outcome{}, err
	}
	if err := unix.Connect(fd, to); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return outcomeOf(err), nil
	}
	if err := ns.twin.Settle(); err != nil {
		return Outcome{}, err
	}
	events := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	if n, err := unix.Poll(events, 0); err != nil || n == 0 {
		return Outcome{}, err
	}
	errno, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return Outcome{}, err
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
