package service

import (
	"encoding/binary"
	"strings"

	"github.com/netglance/netglance/internal/lazyregexp"
)

var snmpDatagram = datagram{
	name:       "snmp",
	ports:      []uint16{161, 1161},
	question:   engineDiscovery,
	read:       snmpDiscovered,
	further:    snmpDescription,
	everywhere: true,
}

// engineDiscovery is what RFC 3414, 4 begins with: a version 3 message without
// engine or user, which every such agent reports on.
var engineDiscovery = ber(berSequence,
	berSmall(3),
	ber(berSequence, berSmall(1), ber(berInteger, []byte{0x7f, 0xff}), ber(berOctets, []byte{4}), berSmall(3)),
	ber(berOctets, ber(berSequence, berText(""), berSmall(0), berSmall(0), berText(""), berText(""), berText(""))),
	ber(berSequence, berText(""), berText(""), ber(snmpGet, berSmall(1), berSmall(0), berSmall(0), ber(berSequence))))

const snmpGet, snmpResponse, snmpReport = 0xa0, 0xa2, 0xa8

// publicGet asks for sysDescr and sysName with the community that devices are sold
// with: who answers, answers everybody. version is 0 for SNMP 1, 1 for 2c.
func publicGet(version byte) []byte {
	variable := func(last byte) []byte {
		return ber(berSequence, ber(berObject, []byte{0x2b, 6, 1, 2, 1, 1, last, 0}), ber(berNull))
	}
	return ber(berSequence, berSmall(version), berText("public"),
		ber(snmpGet, berSmall(1), berSmall(0), berSmall(0), ber(berSequence, variable(1), variable(5))))
}

// snmpDiscovered knows any SNMP message that is an answer.
func snmpDiscovered(b []byte) (Service, bool) {
	parts, tags := snmpParts(b)
	if len(parts) < 3 || tags[0] != berInteger || len(parts[0]) != 1 {
		return Service{}, false
	}
	if parts[0][0] < 3 {
		return Service{Name: "snmp"}, tags[2] == snmpResponse
	}
	if len(parts) < 4 {
		return Service{}, false
	}
	scoped, tags := elements(parts[3])
	if len(scoped) != 3 || tags[2] != snmpReport && tags[2] != snmpResponse || parts[0][0] != 3 {
		return Service{}, false
	}
	return Service{Name: "snmp", Product: engineMaker(parts[2]), Info: "SNMP 3"}, true
}

// Makers of agents by IANA's enterprise number, with which an engine's id begins
// (RFC 3411, 5: SnmpEngineID).
var engineMakers = map[uint32]string{
	9: "Cisco", 11: "HP", 311: "Microsoft", 2011: "Huawei", 2636: "Juniper", 8072: "net-snmp", 12356: "Fortinet", 14988: "MikroTik",
	25506: "H3C", 30065: "Arista", 41112: "Ubiquiti",
}

// engineMaker reads the security parameters of an answer: the engine's id is their first text.
func engineMaker(parameters []byte) string {
	_, body, _, _ := element(parameters)
	tag, id, _, ok := element(body)
	if !ok || tag != berOctets || len(id) < 5 {
		return ""
	}
	return engineMakers[binary.BigEndian.Uint32(id)&0x7fffffff]
}

func snmpParts(b []byte) ([][]byte, []byte) {
	tag, body, _, ok := element(b)
	if !ok || tag != berSequence {
		return nil, nil
	}
	return elements(body)
}

// snmpDescription asks in the old versions too.
func snmpDescription(p *peer, s *Service) {
	for _, version := range []byte{1, 0} {
		description, name, ok := publicValues(p.ask1(publicGet(version)))
		if !ok {
			continue
		}
		s.Access = AccessOpen
		s.Obsolete = []string{[]string{"SNMP 1", "SNMP 2c"}[version]}
		s.Hostname = name
		s.Banner = description
		if product, number := snmpProduct(description); product != "" {
			s.Product, s.Version = product, number
		}
		s.Info = join(s.Info, firstLine(description))
		return
	}
}

// publicValues are the two texts of a response without an error.
func publicValues(b []byte) (description, name string, ok bool) {
	parts, tags := snmpParts(b)
	if len(parts) < 3 || tags[2] != snmpResponse {
		return "", "", false
	}
	pdu, _ := elements(parts[2])
	if len(pdu) < 4 || len(pdu[1]) != 1 || pdu[1][0] != 0 {
		return "", "", false
	}
	var texts []string
	bindings, _ := elements(pdu[3])
	for _, v := range bindings {
		if pair, tags := elements(v); len(pair) == 2 && tags[1] == berOctets {
			texts = append(texts, string(pair[1]))
		}
	}
	if len(texts) == 0 {
		return "", "", false
	}
	return texts[0], strings.Join(texts[1:min(2, len(texts))], ""), true
}

// Descriptions that tell product and version: "Cisco IOS Software, … Version
// 15.2(4)E7, …", "RouterOS RB750". That of net-snmp is the system's uname.
var descriptions = []struct {
	product string
	words   *lazyregexp.Regexp
}{
	{"Cisco IOS", lazyregexp.New(`Cisco IOS.*?Version ([^,\s]+)`)},
	{"RouterOS", lazyregexp.New(`RouterOS ()`)},
	{"Windows", lazyregexp.New(`Windows.*?Version (\S+)`)},
	{"Junos", lazyregexp.New(`JUNOS (\d[\w.-]*)`)},
}

func snmpProduct(description string) (product, version string) {
	for _, d := range descriptions {
		if m := d.words.FindStringSubmatch(description); m != nil {
			return d.product, m[1]
		}
	}
	return "", ""
}
