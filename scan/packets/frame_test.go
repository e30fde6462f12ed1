package packets

import (
	"net/netip"
	"testing"
)

var frameSegments = []segment{
	{protocol: protocolTCP, from: netip.MustParseAddrPort("198.51.100.9:1"), to: netip.MustParseAddrPort("203.0.113.7:65535"), seq: 1 << 31, ack: 7, flags: flagSYN},
	{protocol: protocolUDP, from: netip.MustParseAddrPort("198.51.100.9:1"), to: netip.MustParseAddrPort("203.0.113.7:65535"), seq: 77},
	{protocol: protocolTCP, from: netip.MustParseAddrPort("[2001:db8::1]:1"), to: netip.MustParseAddrPort("[2001:db8::2]:22"), seq: 3, flags: flagSYN | flagACK},
	{protocol: protocolUDPLite, from: netip.MustParseAddrPort("[2001:db8::1]:1"), to: netip.MustParseAddrPort("[2001:db8::2]:22"), seq: 9},
}

func frameOf(s segment) []byte {
	return appendPacket(appendEthernet(nil, MAC{2}, MAC{3}, s), s)
}

func TestAFrameReadsBackAsWritten(t *testing.T) {
	for _, want := range frameSegments {
		frame := frameOf(want)
		got, ok := parseFrame(frame)
		if !ok || got.segment != want {
			t.Errorf("got %+v, %t, want %+v", got, ok, want)
		}
	}
}

func TestTransportChecksumCoversAllOfTheSegment(t *testing.T) {
	for _, s := range frameSegments {
		length := tcpHeaderLength
		if s.protocol != protocolTCP {
			length = udpHeaderLength + 8
		}
		transport := appendTransport(nil, s, length)
		if got := fold(sum(transport, pseudoHeader(s, length))); got != 0xffff {
			t.Errorf("%s: one's complement sum %#x, want 0xffff", protocolName(s.protocol), got)
		}
	}
}

func FuzzParseFrame(f *testing.F) {
	for _, s := range frameSegments {
		frame := frameOf(s)
		f.Add(frame)
		f.Add(frame[:len(frame)-9])
	}
	f.Fuzz(func(_ *testing.T, frame []byte) { parseFrame(frame) })
}
