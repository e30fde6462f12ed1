package service

import (
	"bytes"
	"encoding/binary"
)

var rdpProtocol = protocol{
	name:   "rdp",
	binary: true,
	ports:  []uint16{3389, 3388},
	plain:  true,
	talk:   talkRDP,
}

// connectionRequest is X.224's within TPKT, with an RDP_NEG_REQ for TLS and CredSSP
// (MS-RDPBCGR 2.2.1.1).
var connectionRequest = []byte{
	3, 0, 0, 19, // TPKT: version, length
	14, 0xe0, 0, 0, 0, 0, 0, // X.224: length, connection request
	1, 0, 8, 0, 3, 0, 0, 0, // TYPE_RDP_NEG_REQ: PROTOCOL_SSL | PROTOCOL_HYBRID
}

// talkRDP reads which security the server chooses, and the name in its certificate.
func talkRDP(c *conversation) (Service, bool) {
	answer := c.ask(connectionRequest, func(b []byte) bool {
		return len(b) >= 4 && len(b) >= int(binary.BigEndian.Uint16(b[2:])) || len(b) > 0 && b[0] != 3
	})
	if len(answer) < 11 || answer[0] != 3 || answer[5]&0xf0 != 0xd0 {
		return Service{}, false
	}
	s := Service{Name: "rdp"}
	// A server without an answer to the negotiation knows nothing newer.
	var kind, chosen uint32
	if negotiated := answer[11:]; len(negotiated) >= 8 {
		kind, chosen = uint32(negotiated[0]), binary.LittleEndian.Uint32(negotiated[4:])
	}
	const response, failure, tlsNotAllowed = 2, 3, 2
	switch {
	case kind == failure && chosen != tlsNotAllowed:
		return s, true
	case kind != response || chosen == 0:
		s.Obsolete = []string{"standard RDP security"}
		return s, true
	case chosen == 1:
		s.Info = "TLS without network level authentication"
	default:
		s.Info, s.Access = "network level authentication", AccessDenied
	}
	if facts, ok := handshake(c); ok {
		s.TLS = facts.TLS
		s.Hostname = certificateName(facts.TLS)
	}
	return s, true
}

// certificateName is the host name that a certificate gives, "" when it gives none.
func certificateName(t *TLS) string {
	if t == nil || t.Certificate == nil {
		return ""
	}
	if len(t.Certificate.Names) > 0 {
		return t.Certificate.Names[0]
	}
	for field := range bytes.SplitSeq([]byte(t.Certificate.Subject), []byte(",")) {
		if name, ok := bytes.CutPrefix(field, []byte("CN=")); ok {
			return string(name)
		}
	}
	return ""
}
