package service

// The basic encoding rules of ASN.1 (X.690), as far as SNMP and LDAP use them: tags
// of one byte, definite lengths. encoding/asn1 refuses lengths that are longer than
// need be, which devices send.

func ber(tag byte, parts ...[]byte) []byte {
	var body []byte
	for _, p := range parts {
		body = append(body, p...)
	}
	switch n := len(body); {
	case n < 0x80:
		return append([]byte{tag, byte(n)}, body...)
	default:
		return append([]byte{tag, 0x82, byte(n >> 8), byte(n)}, body...)
	}
}

// Universal tags.
const (
	berBoolean, berInteger, berOctets, berNull, berObject, berEnum, berSequence = 1, 2, 4, 5, 6, 10, 0x30
)

func berText(s string) []byte { return ber(berOctets, []byte(s)) }
func berSmall(n byte) []byte  { return ber(berInteger, []byte{n}) }

// element takes the first element off. ok is false where it isn't whole.
func element(b []byte) (tag byte, body, rest []byte, ok bool) {
	if len(b) < 2 {
		return 0, nil, nil, false
	}
	tag = b[0]
	length, b := int(b[1]), b[2:]
	if length >= 0x80 {
		n := length & 0x7f
		if n == 0 || n > 4 || n > len(b) {
			return 0, nil, nil, false
		}
		length = 0
		for _, octet := range b[:n] {
			length = length<<8 | int(octet)
		}
		b = b[n:]
	}
	if length < 0 || length > len(b) {
		return 0, nil, nil, false
	}
	return tag, b[:length], b[length:], true
}

// elements are those of a body, as far as they are whole.
func elements(b []byte) (out [][]byte, tags []byte) {
	for len(b) > 0 {
		tag, body, rest, ok := element(b)
		if !ok {
			break
		}
		out, tags, b = append(out, body), append(tags, tag), rest
	}
	return out, tags
}
