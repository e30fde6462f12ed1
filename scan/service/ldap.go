package service

import (
	"slices"
	"strings"
)

var ldapProtocol = protocol{
	name:        "ldap",
	ports:       []uint16{389, 3268},
	securePorts: []uint16{636, 3269},
	binary:      true,
	talk:        talkLDAP,
}

// rootDSE is a search of RFC 4511 for the entry that describes the server (RFC
// 4512, 5.1), which is there to be read before a bind.
var rootDSE = ldapSearch("namingContexts", "vendorName", "vendorVersion", "dnsHostName", "objectClass", "supportedCapabilities", "supportedExtension")

func ldapSearch(attributes ...string) []byte {
	var names [][]byte
	for _, a := range attributes {
		names = append(names, berText(a))
	}
	const searchRequest, present = 0x63, 0x87
	return ber(berSequence, berSmall(1), ber(searchRequest,
		berText(""), ber(berEnum, []byte{0}), ber(berEnum, []byte{0}), berSmall(0), berSmall(5), ber(berBoolean, []byte{0}),
		ber(present, []byte("objectClass")), ber(berSequence, names...)))
}

func talkLDAP(c *conversation) (Service, bool) {
	answer := c.ask(rootDSE, func(b []byte) bool { return ldapDone(b) || len(b) > 0 && b[0] != berSequence })
	s := Service{Name: "ldap"}
	known := false
	messages, _ := elements(answer)
	for _, m := range messages {
		parts, tags := elements(m)
		if len(parts) < 2 || tags[0] != berInteger {
			return Service{}, false
		}
		const entry, done = 0x64, 0x65
		switch tags[1] {
		case entry:
			known = true
			s.describe(parts[1])
		case done:
			known = true
		}
	}
	return s, known
}

// ldapDone says that the search's result is there.
func ldapDone(b []byte) bool {
	messages, _ := elements(b)
	for _, m := range messages {
		if _, tags := elements(m); len(tags) >= 2 && tags[1] == 0x65 {
			return true
		}
	}
	return false
}

// describe reads the attributes of a SearchResultEntry.
func (s *Service) describe(entry []byte) {
	parts, _ := elements(entry)
	if len(parts) < 2 {
		return
	}
	attributes, _ := elements(parts[1])
	for _, a := range attributes {
		pair, _ := elements(a)
		if len(pair) < 2 {
			continue
		}
		values, _ := elements(pair[1])
		if len(values) == 0 {
			continue
		}
		first := string(values[0])
		switch strings.ToLower(string(pair[0])) {
		case "vendorname":
			s.Product = first
		case "vendorversion":
			s.Version = first
		case "dnshostname":
			s.Hostname = first
		case "namingcontexts":
			s.Info = join(s.Info, first)
		case "objectclass":
			if has(values, "OpenLDAProotDSE") {
				s.Product = "OpenLDAP"
			}
		case "supportedcapabilities":
			if has(values, "1.2.840.113556.1.4.800") { // LDAP_CAP_ACTIVE_DIRECTORY_OID of MS-ADTS
				s.Product = "Active Directory"
			}
		case "supportedextension":
			s.StartTLS = has(values, "1.3.6.1.4.1.1466.20037") // RFC 4511, 4.14
		}
	}
}

func has(values [][]byte, word string) bool {
	return slices.ContainsFunc(values, func(v []byte) bool { return string(v) == word })
}
