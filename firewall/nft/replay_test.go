package nft_test

import (
	"bytes"
	"sync"
	"syscall"

	"github.com/netglance/netglance/firewall/nft"
	"github.com/netglance/netglance/internal/netlink"
)

// netfilter is NETLINK_NETFILTER; the names of interfaces are NETLINK_ROUTE's matter.
const netfilter = 12

// A recorder answers like its source and keeps the messages.
type recorder struct {
	source   nft.Source
	mutex    sync.Mutex
	messages []byte
}

func (r *recorder) Netlink(protocol int, request []byte) ([]byte, error) {
	answer, err := r.source.Netlink(protocol, request)
	if err == nil {
		r.mutex.Lock()
		defer r.mutex.Unlock()
		r.messages = append(r.messages, answer...)
	}
	return answer, err
}

// messages answers requests from a heap of messages: with those of the
// type that is asked for, and where the request names a table and a member of
// it, theirs.
type messages []byte

func (heap messages) Netlink(protocol int, request []byte) ([]byte, error) {
	var answer []byte
	_ = netlink.Each(request, func(asked netlink.Message) error {
		wanted := asked.Type - 1 // NFT_MSG_NEWx stands before NFT_MSG_GETx
		if protocol != netfilter {
			wanted = asked.Type - 2 // RTM_NEWx stands two before RTM_GETx
		}
		rest := []byte(heap)
		for len(rest) >= netlink.HeaderLength {
			var one netlink.Message
			length := 0
			_ = netlink.Each(rest, func(m netlink.Message) error {
				one, length = m, netlink.HeaderLength+len(m.Data)
				return syscall.ECANCELED
			})
			if length == 0 {
				answer = append(answer, rest...) // garbage at the end: the decoder's matter
				return nil
			}
			length = min((length+3)&^3, len(rest))
			if one.Type == wanted && (protocol != netfilter || answers(asked.Data, one.Data)) {
				answer = append(answer, rest[:length]...)
			}
			rest = rest[length:]
		}
		return nil
	})
	return answer, nil
}

// answers says that a message has the family, the table and the member that a
// request names.
func answers(asked, message []byte) bool {
	if len(asked) <= 4 || len(message) < 4 {
		return true
	}
	return asked[0] == message[0] &&
		bytes.Equal(attribute(asked[4:], 1), attribute(message[4:], 1)) &&
		bytes.Equal(attribute(asked[4:], 2), attribute(message[4:], 2))
}

func attribute(list []byte, number uint16) []byte {
	for a := netlink.NewAttributes(list); a.Next(); {
		if a.Type() == number {
			return a.Data()
		}
	}
	return nil
}
