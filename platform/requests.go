package platform

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Netlink protocols (include/uapi/linux/netlink.h).
const (
	protocolRoute     = 0
	protocolSockDiag  = 4
	protocolXfrm      = 6
	protocolNetfilter = 12
)

// ErrNotRead says that a netlink request was not sent because it is none that only reads.
var ErrNotRead = errors.New("not a request that only reads")

// An nfnetlink message's type is its subsystem and a number within it
// (include/uapi/linux/netfilter/nfnetlink.h).
const (
	subsystemIPSet    = 6 << 8
	subsystemNFTables = 10 << 8
)

// readRequests are the only requests that are sent, by protocol and type. None
// changes the kernel's state. Left out although they are called "get":
// NFT_MSG_GET*_RESET, which zero counters, and IPSET_CMD_TYPE, which may load modules.
var readRequests = map[int]map[uint16]string{
	protocolRoute: {
		18:  "RTM_GETLINK",
		22:  "RTM_GETADDR",
		26:  "RTM_GETROUTE",
		30:  "RTM_GETNEIGH",
		34:  "RTM_GETRULE",
		38:  "RTM_GETQDISC",
		46:  "RTM_GETTFILTER",
		82:  "RTM_GETNETCONF",
		90:  "RTM_GETNSID",
		106: "RTM_GETNEXTHOP",
	},
	protocolSockDiag: {
		20: "SOCK_DIAG_BY_FAMILY",
	},
	protocolXfrm: {
		21: "XFRM_MSG_GETPOLICY",
		40: "XFRM_MSG_GETDEFAULT",
	},
	protocolNetfilter: {
		subsystemIPSet | 1:     "IPSET_CMD_PROTOCOL",
		subsystemIPSet | 7:     "IPSET_CMD_LIST",
		subsystemIPSet | 8:     "IPSET_CMD_SAVE",
		subsystemIPSet | 12:    "IPSET_CMD_HEADER",
		subsystemIPSet | 14:    "IPSET_CMD_GET_BYNAME",
		subsystemIPSet | 15:    "IPSET_CMD_GET_BYINDEX",
		subsystemNFTables | 1:  "NFT_MSG_GETTABLE",
		subsystemNFTables | 4:  "NFT_MSG_GETCHAIN",
		subsystemNFTables | 7:  "NFT_MSG_GETRULE",
		subsystemNFTables | 10: "NFT_MSG_GETSET",
		subsystemNFTables | 13: "NFT_MSG_GETSETELEM",
		subsystemNFTables | 16: "NFT_MSG_GETGEN",
		subsystemNFTables | 19: "NFT_MSG_GETOBJ",
		subsystemNFTables | 23: "NFT_MSG_GETFLOWTABLE",
	},
}

// dumpOnly are the requests that only read as a dump: to find one filter by its
// kind, the kernel may load that kind's module (tc_get_tfilter, net/sched/cls_api.c).
var dumpOnly = []string{"RTM_GETTFILTER"}

// flagDump is NLM_F_DUMP (include/uapi/linux/netlink.h).
const flagDump = 0x300

// readRequest returns the name of a request, or an error if it is more or other
// than one request that only reads. The kernel works through every message of a
// datagram, so a second one behind the first is refused too.
func readRequest(protocol int, request []byte) (string, error) {
	if len(request) < headerLength {
		return "", fmt.Errorf("netlink request of %d bytes: %w", len(request), ErrNotRead)
	}
	length := binary.NativeEndian.Uint32(request)
	if uint64(length) > uint64(len(request)) || uint64(length)+3 < uint64(len(request)) {
		return "", fmt.Errorf("netlink request of %d bytes that says %d: %w", len(request), length, ErrNotRead)
	}
	messageType := binary.NativeEndian.Uint16(request[4:])
	name, ok := readRequests[protocol][messageType]
	if !ok {
		return "", fmt.Errorf("netlink protocol %d, message type %d: %w", protocol, messageType, ErrNotRead)
	}
	if slices.Contains(dumpOnly, name) && binary.NativeEndian.Uint16(request[6:])&flagDump != flagDump {
		return "", fmt.Errorf("%s of a single one: %w", name, ErrNotRead)
	}
	return name, nil
}
