package service

import "sync"

// Payload is the first datagram for a UDP port: a question that its usual service
// answers. nil when an empty one is as good as any. The bytes are the callee's.
func Payload(port uint16) []byte {
	return payloads()[port]
}

var payloads = sync.OnceValue(func() map[uint16][]byte {
	out := map[uint16][]byte{}
	for _, d := range datagrams() {
		for _, p := range d.ports {
			out[p] = d.question
		}
	}
	for _, q := range questions {
		for _, p := range q.ports {
			out[p] = q.question
		}
	}
	return out
})

// questions are those of services that are not told further than that they answer.
var questions = []struct {
	ports    []uint16
	question []byte
}{
	{[]uint16{7}, []byte("netglance")},                      // echo, RFC 862
	{[]uint16{13, 17, 19, 37}, []byte("\r\n")},              // daytime, quote, chargen, time: any datagram
	{[]uint16{177}, []byte("\x00\x01\x00\x02\x00\x01\x00")}, // XDMCP: version 1, Query, no authentication names
	{[]uint16{427}, slpRequest},
	{[]uint16{520}, ripRequest},
	{[]uint16{1701}, l2tpRequest},
	{[]uint16{2049, 20048}, rpcNull(100003, 3)},                                          // NFS
	{[]uint16{2123, 2152}, []byte("\x32\x01\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00")},   // GTP echo request, 3GPP TS 29.060
	{[]uint16{6881}, []byte("d1:ad2:id20:netglance-netglance-e1:q4:ping1:t2:ng1:y1:qe")}, // BitTorrent DHT, BEP 5
	{[]uint16{10001}, []byte("\x01\x00\x00\x00")},                                        // Ubiquiti discovery
	{[]uint16{27015, 27016, 27017}, append([]byte("\xff\xff\xff\xffTSource Engine Query"), 0)},
	{[]uint16{19132}, unconnectedPing},
	{[]uint16{47808}, []byte("\x81\x0a\x00\x08\x01\x00\x10\x08")}, // BACnet Who-Is, ASHRAE 135
	{[]uint16{64738}, []byte("\x00\x00\x00\x00netglanc")},         // Mumble ping
}

// slpRequest is a service request for service agents (RFC 2608, 8.1).
var slpRequest = []byte("\x02\x01\x00\x00\x36\x00\x00\x00\x00\x00\x6e\x67\x00\x02en" +
	"\x00\x00\x00\x15service:service-agent\x00\x07default\x00\x00\x00\x00")

// ripRequest asks for the whole table (RFC 2453, 3.9.1).
var ripRequest = []byte("\x01\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10")

// l2tpRequest is a control message without a session: SCCRQ with protocol version,
// host name, framing capabilities, and a tunnel (RFC 2661, 6.1).
var l2tpRequest = []byte("\xc8\x02\x00\x3c\x00\x00\x00\x00\x00\x00\x00\x00" +
	"\x80\x08\x00\x00\x00\x00\x00\x01" +
	"\x80\x08\x00\x00\x00\x02\x01\x00" +
	"\x80\x0f\x00\x00\x00\x07netglance" +
	"\x80\x0a\x00\x00\x00\x03\x00\x00\x00\x03" +
	"\x80\x07\x00\x00\x00\x09\x01")

// unconnectedPing is RakNet's, which Minecraft's Bedrock servers answer.
var unconnectedPing = []byte("\x01\x00\x00\x00\x00\x00\x00\x00\x00" +
	"\x00\xff\xff\x00\xfe\xfe\xfe\xfe\xfd\xfd\xfd\xfd\x12\x34\x56\x78" + "netglanc")
