package platform

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"syscall"
)

// The netlink header (struct nlmsghdr) and the types that every protocol has
// (include/uapi/linux/netlink.h).
const (
	headerLength = 16

	typeNoop    = 1
	typeError   = 2
	typeDone    = 3
	typeOverrun = 4

	flagRequest = 0x1
	flagAck     = 0x4
)

// errOverrun says that messages were lost on the way from the kernel.
var errOverrun = errors.New("netlink: the kernel dropped messages of its reply")

// appendReply appends the messages of a datagram that answer the request with
// this sequence number. done says that the reply ended: with NLMSG_DONE, an
// acknowledgement or an error.
func appendReply(reply, datagram []byte, sequence uint32) (all []byte, done bool, err error) {
	for len(datagram) > 0 {
		if len(datagram) < headerLength {
			return nil, false, fmt.Errorf("netlink: %d bytes where a header needs 16", len(datagram))
		}
		length := int64(binary.NativeEndian.Uint32(datagram))
		if length < headerLength || length > int64(len(datagram)) {
			return nil, false, fmt.Errorf("netlink: message of %d bytes in %d", length, len(datagram))
		}
		message := datagram[:length]
		datagram = datagram[min(int(length+3)&^3, len(datagram)):]
		if binary.NativeEndian.Uint32(message[8:]) != sequence {
			continue // answers an earlier request that was given up
		}
		switch binary.NativeEndian.Uint16(message[4:]) {
		case typeNoop:
		case typeOverrun:
			return nil, false, errOverrun
		case typeError:
			return reply, true, messageErrno(message)
		case typeDone:
			if err := messageErrno(message); err != nil {
				return nil, true, err
			}
			return appendAligned(reply, message), true, nil
		default:
			reply = appendAligned(reply, message)
		}
	}
	return reply, false, nil
}

// messageErrno is the negative errno at the start of an NLMSG_ERROR or NLMSG_DONE; zero is none.
func messageErrno(message []byte) error {
	if len(message) < headerLength+4 {
		return nil
	}
	errno := int32(binary.NativeEndian.Uint32(message[headerLength:]))
	if errno >= 0 {
		return nil
	}
	return syscall.Errno(-int64(errno))
}

// appendAligned doubles what is full: append alone would copy a long reply many
// times over.
func appendAligned(b, message []byte) []byte {
	if need := len(message) + 3; cap(b)-len(b) < need {
		b = slices.Grow(b, max(need, len(b)))
	}
	b = append(b, message...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}
