package packets

import (
	"net/netip"
	"slices"
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
	f.Fuzz(func(_ *testing.T, frame []byte) {
		parseFrame(frame)
		parseQuestion(frame)
	})
}

func TestNeighboursAreAnsweredWithTheFarEnd(t *testing.T) {
	asker := MAC{2, 1, 2, 3, 4, 5}
	arp := append(append(append([]byte{255, 255, 255, 255, 255, 255}, asker[:]...), 8, 6, 0, 1, 8, 0, 6, 4, 0, 1), asker[:]...)
	arp = append(arp, 172, 17, 0, 1, 0, 0, 0, 0, 0, 0, 172, 17, 0, 4)
	q, ok := parseQuestion(arp)
	if want := (question{asker, netip.MustParseAddr("172.17.0.1"), netip.MustParseAddr("172.17.0.4")}); !ok || q != want {
		t.Fatalf("%+v, %t", q, ok)
	}
	want := append(append(append(append(asker[:], FarEnd[:]...), 8, 6, 0, 1, 8, 0, 6, 4, 0, 2), FarEnd[:]...), 172, 17, 0, 4)
	want = append(append(want, asker[:]...), 172, 17, 0, 1)
	if got := q.appendReply(nil); !slices.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
	arp[28], arp[29], arp[30], arp[31] = 0, 0, 0, 0
	if _, ok := parseQuestion(arp); ok {
		t.Error("whoever looks for an address of its own was answered")
	}
	six := question{asker, netip.MustParseAddr("fd00:17::1"), netip.MustParseAddr("fd00:17::4")}.appendReply(nil)
	whole := segment{protocol: protocolICMPv6, from: netip.AddrPortFrom(netip.MustParseAddr("fd00:17::4"), 0), to: netip.AddrPortFrom(netip.MustParseAddr("fd00:17::1"), 0)}
	if body := six[ethernetHeaderLength+ipv6HeaderLength:]; fold(sum(body, pseudoHeader(whole, len(body)))) != 0xffff {
		t.Errorf("the advertisement's checksum is wrong: %x", six)
	}
	if _, ok := parseQuestion(six); ok {
		t.Error("an answer was taken for a question")
	}
}
