package platform

import (
	"bytes"
	"encoding/binary"
	"errors"
	"syscall"
	"testing"

	"github.com/netglance/netglance/internal/netlink"
)

const sequence = 7

// message is one message of the kernel's, its padding left out at the end.
func message(messageType uint16, number uint32, data ...byte) []byte {
	b := netlink.Request(messageType, 0, data)
	binary.NativeEndian.PutUint32(b[8:], number)
	return b[:headerLength+len(data)]
}

func errnoData(errno int32) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(errno)) }

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func TestReplyEnds(t *testing.T) {
	data := message(16, sequence, 1, 2, 3, 4)
	done := message(typeDone, sequence, errnoData(0)...)
	for _, c := range []struct {
		name     string
		datagram []byte
		reply    []byte
		ended    bool
		err      error
	}{
		{"goes on", data, data, false, nil},
		{"with NLMSG_DONE, which stays", join(data, done), join(data, done), true, nil},
		{"with an acknowledgement, which does not", join(data, message(typeError, sequence, errnoData(0)...)), data, true, nil},
		{"with an error", message(typeError, sequence, errnoData(-1)...), nil, true, syscall.EPERM},
		{"with an error in NLMSG_DONE", join(data, message(typeDone, sequence, errnoData(-int32(syscall.EINTR))...)), nil, true, syscall.EINTR},
		{"with NLMSG_DONE of no length", message(typeDone, sequence), message(typeDone, sequence), true, nil},
		{"with an errno that can't be negated", message(typeError, sequence, errnoData(-1<<31)...), nil, true, syscall.Errno(1 << 31)},
		{"not with an earlier request's error", message(typeError, sequence-1, errnoData(-1)...), nil, false, nil},
		{"not with an earlier request's rest", join(message(16, sequence-1, 9, 9, 9, 9), data), data, false, nil},
		{"with lost messages", message(typeOverrun, sequence), nil, false, errOverrun},
		{"padded", message(16, sequence, 1), append(message(16, sequence, 1), 0, 0, 0), false, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			reply, ended, err := appendReply(nil, c.datagram, sequence)
			if !bytes.Equal(reply, c.reply) || ended != c.ended || !errors.Is(err, c.err) {
				t.Errorf("reply % x, ended %v, error %v", reply, ended, err)
			}
		})
	}
}

func TestReplyThatIsNoNetlink(t *testing.T) {
	long := message(16, sequence)
	binary.NativeEndian.PutUint32(long, 17)
	short := message(16, sequence)
	binary.NativeEndian.PutUint32(short, 15)
	for name, datagram := range map[string][]byte{
		"half a header":               make([]byte, 8),
		"a length beyond the bytes":   long,
		"a length less than a header": short,
		"a length of zero":            make([]byte, 16),
	} {
		if _, ended, err := appendReply(nil, datagram, sequence); err == nil || ended {
			t.Errorf("%s: ended %v, error %v", name, ended, err)
		}
	}
}

func FuzzAppendReply(f *testing.F) {
	f.Add(message(16, sequence, 1, 2, 3, 4))
	f.Add(join(message(16, sequence, 1, 2, 3, 4), message(typeDone, sequence, errnoData(0)...)))
	f.Add(message(typeError, sequence, errnoData(-2)...))
	f.Fuzz(func(t *testing.T, datagram []byte) {
		reply, _, err := appendReply(nil, datagram, sequence)
		if err != nil {
			return
		}
		if err := netlink.Each(reply, func(netlink.Message) error { return nil }); err != nil {
			t.Errorf("the reply can't be walked: %v", err)
		}
	})
}
