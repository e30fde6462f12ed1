package service

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unicode/utf16"
)

var smbProtocol = protocol{
	name:   "microsoft-ds",
	ports:  []uint16{445, 139},
	plain:  true,
	binary: true,
	talk:   talkSMB,
}

// The dialects of MS-SMB2 2.2.3, by their number.
var smbDialects = map[uint16]string{
	0x0202: "2.0.2", 0x0210: "2.1", 0x0300: "3.0", 0x0302: "3.0.2", 0x0311: "3.1.1",
}

// talkSMB negotiates a dialect and asks for the challenge that begins a login,
// which names the host and its system. The login goes no further, and names nobody.
// Another connection asks whether SMB 1 is still spoken.
func talkSMB(c *conversation) (Service, bool) {
	answer := c.ask(smbNegotiate(), wholeSMB)
	if len(answer) < 4+124 || !bytes.HasPrefix(answer[4:], []byte("\xfeSMB")) {
		if port := c.peer.port(); port != 445 && port != 139 {
			return Service{}, false
		}
		return smb1Only(c.peer)
	}
	le := binary.LittleEndian
	body := answer[4+64:]
	s := Service{Name: "microsoft-ds", Info: "SMB " + or(smbDialects[le.Uint16(body[4:])], fmt.Sprintf("%#x", le.Uint16(body[4:])))}
	if le.Uint16(body[2:])&2 == 0 {
		s.Info = join(s.Info, "signing not required")
	}
	if challenge := c.ask(smbSession(), wholeSMB); len(challenge) > 0 {
		readChallenge(challenge, &s)
	}
	if speaksSMB1(c.peer) {
		s.Obsolete = []string{"SMB 1"}
	}
	return s, true
}

// wholeSMB: a byte of type and three of length (RFC 1002, 4.3.1; MS-SMB2 2.1).
func wholeSMB(b []byte) bool {
	return len(b) >= 4 && len(b)-4 >= int(b[1])<<16|int(b[2])<<8|int(b[3])
}

func framed(message []byte) []byte {
	n := len(message)
	return append([]byte{0, byte(n >> 16), byte(n >> 8), byte(n)}, message...)
}

// smb2Header is MS-SMB2 2.2.1.2 of a command and a message number.
func smb2Header(command, number byte) []byte {
	h := make([]byte, 64)
	copy(h, "\xfeSMB")
	h[4] = 64 // size
	h[12] = command
	h[14] = 1 // a credit
	h[24] = number
	return h
}

func smbNegotiate() []byte {
	le := binary.LittleEndian
	m := smb2Header(0, 0)
	m = le.AppendUint16(m, 36)
	m = le.AppendUint16(m, uint16(len(smbDialects)))
	m = le.AppendUint16(m, 1)            // signing enabled
	m = append(m, make([]byte, 2+4)...)  // reserved, capabilities
	m = append(m, "netglance scan.."...) // client's id
	m = le.AppendUint32(m, 112)          // negotiate contexts begin there
	m = le.AppendUint16(m, 1)            // one of them
	m = append(m, 0, 0)                  // reserved
	for _, d := range []uint16{0x0202, 0x0210, 0x0300, 0x0302, 0x0311} {
		m = le.AppendUint16(m, d)
	}
	m = append(m, make([]byte, 112-len(m))...)
	m = le.AppendUint16(m, 1)  // SMB2_PREAUTH_INTEGRITY_CAPABILITIES
	m = le.AppendUint16(m, 38) // its length
	m = append(m, 0, 0, 0, 0)
	m = le.AppendUint16(m, 1)  // one hash
	m = le.AppendUint16(m, 32) // bytes of salt
	m = le.AppendUint16(m, 1)  // SHA-512
	return framed(append(m, make([]byte, 32)...))
}

// ntlmNegotiate is NEGOTIATE_MESSAGE of MS-NLMP 2.2.1.1, without domain or host.
var ntlmNegotiate = append([]byte("NTLMSSP\x00\x01\x00\x00\x00\x05\x02\x08\x02"), make([]byte, 24)...)

func smbSession() []byte {
	le := binary.LittleEndian
	m := smb2Header(1, 1)
	m = le.AppendUint16(m, 25)
	m = append(m, 0, 1)                 // flags, signing enabled
	m = append(m, make([]byte, 4+4)...) // capabilities, channel
	m = le.AppendUint16(m, 88)          // the token begins there
	m = le.AppendUint16(m, uint16(len(ntlmNegotiate)))
	m = append(m, make([]byte, 8)...) // previous session
	return framed(append(m, ntlmNegotiate...))
}

// readChallenge finds CHALLENGE_MESSAGE (MS-NLMP 2.2.1.2) in an answer.
func readChallenge(b []byte, s *Service) {
	_, m, ok := bytes.Cut(b, []byte("NTLMSSP\x00\x02\x00\x00\x00"))
	if !ok || len(m) < 56-12 {
		return
	}
	le := binary.LittleEndian
	const before = 12 // what Cut took
	major, minor, build := m[48-before], m[49-before], le.Uint16(m[50-before:])
	switch {
	case major == 6 && minor == 1 && build == 0:
		s.Product = "Samba" // which always tells this
	case major > 0:
		s.Product, s.Version = "Windows", fmt.Sprintf("%d.%d.%d", major, minor, build)
	}
	length, offset := int(le.Uint16(m[40-before:])), int(le.Uint32(m[44-before:]))-before
	if offset < 0 || offset > len(m) || length > len(m)-offset {
		return
	}
	names := avPairs(m[offset : offset+length])
	s.Hostname = or(names[3], names[1])
	if domain := or(names[4], names[2]); domain != "" && domain != s.Hostname {
		s.Info = join(s.Info, "domain "+domain)
	}
}

// avPairs are the texts of MS-NLMP 2.2.2.1: 1 the computer, 2 the domain, 3 and 4 the same in DNS.
func avPairs(b []byte) map[uint16]string {
	le := binary.LittleEndian
	out := map[uint16]string{}
	for len(b) >= 4 {
		id, length := le.Uint16(b), int(le.Uint16(b[2:]))
		if b = b[4:]; id == 0 || length > len(b) {
			break
		}
		if id <= 4 {
			units := make([]uint16, length/2)
			for i := range units {
				units[i] = le.Uint16(b[2*i:])
			}
			out[id] = string(utf16.Decode(units))
		}
		b = b[length:]
	}
	return out
}

// smb1Negotiate is SMB_COM_NEGOTIATE of MS-CIFS 2.2.4.52 with one dialect.
var smb1Negotiate = framed(append(append([]byte("\xffSMB\x72\x00\x00\x00\x00\x18\x01\x28"), make([]byte, 20)...),
	"\x00\x0c\x00\x02NT LM 0.12\x00"...))

// speaksSMB1 says that the dialect is taken: word count 17, index 0.
func speaksSMB1(p *peer) bool {
	c, err := p.open()
	if err != nil {
		return false
	}
	defer c.close()
	answer := c.ask(smb1Negotiate, wholeSMB)
	return len(answer) >= 4+35 && bytes.HasPrefix(answer[4:], []byte("\xffSMB\x72")) && answer[4+32] == 17 && answer[4+33] == 0
}

func smb1Only(p *peer) (Service, bool) {
	if !speaksSMB1(p) {
		return Service{}, false
	}
	return Service{Name: "microsoft-ds", Info: "SMB 1 only", Obsolete: []string{"SMB 1"}}, true
}
