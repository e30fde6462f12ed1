package listeners

import (
	"errors"
	"strings"
	"testing"
)

var procNetFiles = []string{"tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "raw", "raw6"}

const (
	tail    = " 00000000:00000000 00:00000000 00000000     0        0 7 1 0 100 0 0 10 0"
	goodTCP = "   0: 0100007F:0016 00000000:0000 0A" + tail
)

func TestOneBadLineDoesNotLoseTheOthers(t *testing.T) {
	for name, bad := range map[string]string{
		"short":               "   0: 0100007F:0016 00000000:0000 0A",
		"no port":             "   0: 0100007F 00000000:0000 0A" + tail,
		"odd address":         "   0: 0100007:0016 00000000:0000 0A" + tail,
		"no hex":              "   0: 0100007G:0016 00000000:0000 0A" + tail,
		"long address":        "   0: " + strings.Repeat("0", 40) + ":0016 00000000:0000 0A" + tail,
		"port over 65535":     "   0: 0100007F:10016 00000000:0000 0A" + tail,
		"state":               "   0: 0100007F:0016 00000000:0000 zz" + tail,
		"uid":                 strings.Replace(goodTCP, "     0        0 7", "     -1        0 7", 1),
		"inode":               strings.Replace(goodTCP, "0 7 1", "0 x 1", 1),
		"garbage":             "\x00\xff\x1b[2J",
		"only a long nothing": strings.Repeat("x", 1<<16),
	} {
		text := "header\n" + goodTCP + "\n" + bad + "\n\n" + goodTCP
		sockets, err := parseProcNet("tcp", []byte(text))
		if len(sockets) != 2 || !errors.Is(err, errLine) {
			t.Errorf("%s: %d sockets, %v; want 2 and an error", name, len(sockets), err)
		}
		if err != nil && len(err.Error()) > 500 {
			t.Errorf("%s: error of %d bytes", name, len(err.Error()))
		}
	}
}

func TestOnlyTCPListenersAreKept(t *testing.T) {
	connected := strings.Replace(goodTCP, " 0A ", " 01 ", 1)
	sockets, err := parseProcNet("tcp", []byte("h\n"+connected+"\n"+goodTCP+"\n"))
	if err != nil || len(sockets) != 1 || sockets[0].state != stateListen {
		t.Errorf("%v, %v", sockets, err)
	}
}

func TestAddressesOfProcNet(t *testing.T) {
	for text, want := range map[string]string{
		"0100007F:0016":                         "127.0.0.1:22",
		"00000000:FFFF":                         "0.0.0.0:65535",
		"00000000000000000000000000000000:0050": "[::]:80",
		"000080FE000000000000000077000000:232B": "[fe80::77]:9003",
		"0000000000000000FFFF0000070200C0:232A": "[::ffff:192.0.2.7]:9002",
	} {
		if got, ok := parseHexAddress([]byte(text)); !ok || got.String() != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func FuzzProcNet(f *testing.F) {
	for _, name := range procNetFiles {
		f.Add(readTestdata(f, "procnet/"+name))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		sockets, err := parseProcNet("udp", text)
		if lines := strings.Count(string(text), "\n") + 1; len(sockets) > lines {
			t.Errorf("%d sockets in %d lines (%v)", len(sockets), lines, err)
		}
	})
}

func FuzzProtocols(f *testing.F) {
	f.Add(readTestdata(f, "procnet/protocols"))
	f.Fuzz(func(t *testing.T, text []byte) {
		unreadSockets(parseProtocols(text))
	})
}

// A raw socket of protocol 255 only sends (raw(7)): no packet reaches it.
func TestRawSocketsThatOnlySendAreNoListeners(t *testing.T) {
	text := "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n" +
		"  1: 00000000:0001 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2 0000000000000000 0\n" +
		"  255: 00000000:00FF 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4712 2 0000000000000000 0\n"
	sockets, err := parseProcNet("raw", []byte(text))
	if err != nil || len(sockets) != 2 {
		t.Fatalf("%d sockets, %v", len(sockets), err)
	}
	if kept := withoutSenders(sockets); len(kept) != 1 || kept[0].inode != 4711 {
		t.Errorf("kept %+v, want ICMP's alone", kept)
	}
}
