package listeners

import (
	"encoding/binary"
	"fmt"

	"github.com/netglance/netglance/gaps"
	"github.com/netglance/netglance/internal/netlink"
)

// include/uapi/linux/rtnetlink.h, include/uapi/linux/if_link.h; struct ifinfomsg is
// 16 bytes, the index at 4.
const (
	newLink          = 16
	getLink          = 18
	ifinfomsgLength  = 16
	attrIfname       = 3
	attrExtMask      = 29
	extMaskSkipStats = 1 << 3
)

// deviceNames asks for the names of the devices that sockets are bound to: one
// request each, because few are and hosts of containers have many devices.
func deviceNames(host Host, sockets []socket) (map[uint32]string, []gaps.Gap) {
	names := make(map[uint32]string)
	var found []gaps.Gap
	for i := range sockets {
		index := sockets[i].device
		if _, known := names[index]; known || index == 0 {
			continue
		}
		name, err := deviceName(host, index)
		if err != nil {
			name = fmt.Sprintf("if%d", index) // as ss(8) calls it
			found = append(found, gaps.Gap{
				Source: "rtnetlink",
				Reason: fmt.Sprintf("the device with index %d, which a socket is bound to, has no name: it may be gone", index),
				Err:    err,
			})
		}
		names[index] = name
	}
	return names, found
}

func deviceName(host Host, index uint32) (string, error) {
	answer, err := host.Netlink(netlinkRoute, linkRequest(index))
	if err != nil {
		return "", err
	}
	return parseLinkName(answer)
}

func linkRequest(index uint32) []byte {
	data := make([]byte, ifinfomsgLength, ifinfomsgLength+8)
	binary.NativeEndian.PutUint32(data[4:], index)
	var mask [4]byte
	binary.NativeEndian.PutUint32(mask[:], extMaskSkipStats)
	return netlink.Request(getLink, 0, netlink.AppendAttribute(data, attrExtMask, mask[:]))
}

// parseLinkName is the name in an RTM_NEWLINK message.
func parseLinkName(buffer []byte) (string, error) {
	var name string
	err := netlink.Each(buffer, func(m netlink.Message) error {
		if m.Type != newLink {
			return nil
		}
		if len(m.Data) < ifinfomsgLength {
			return fmt.Errorf("%w: link of %d bytes", netlink.ErrTruncated, len(m.Data))
		}
		a := netlink.NewAttributes(m.Data[ifinfomsgLength:])
		for a.Next() {
			if a.Type() == attrIfname {
				name = a.String()
			}
		}
		return a.Err()
	})
	if err == nil && name == "" {
		err = fmt.Errorf("rtnetlink: link without a name: %w", errNotExist)
	}
	return name, err
}
