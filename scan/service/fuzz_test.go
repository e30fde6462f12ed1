package service

import "testing"

// FuzzBanner has a peer say the same whatever it is asked, at each kind of port.
func FuzzBanner(f *testing.F) {
	seeds := 0
	for _, c := range conversations {
		for i, words := range c.serve {
			if i == 0 || i%2 == 0 {
				f.Add(c.port, false, []byte(words))
				seeds++
			}
		}
	}
	for _, d := range datagrams() {
		f.Add(d.ports[0], true, d.question)
		seeds++
	}
	f.Add(uint16(53), true, []byte(snmpMessage("Linux", "web-1")))
	f.Add(uint16(161), true, []byte(discovered))
	if seeds < 100 {
		f.Fatalf("%d seeds", seeds)
	}
	f.Fuzz(func(t *testing.T, port uint16, udp bool, words []byte) {
		protocol := "tcp"
		if udp {
			protocol = "udp"
		}
		s, took := identify(t, &network{serve: script(string(words), "", string(words))}, protocol, port)
		if took > maxTime {
			t.Errorf("it took %v", took)
		}
		checkTexts(t, s)
		Findings(protocol, port, s)
	})
}
