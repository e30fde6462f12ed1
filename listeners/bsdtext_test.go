package listeners

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/netglance/netglance/internal/golden"
)

// textSources are the programs that are asked where the kernel was not heard.
var textSources = []struct {
	name, os, command string
	parse             func([]byte) ([]bsdSocket, int)
}{
	{"lsof", "darwin", "lsof -nP -iTCP -sTCP:LISTEN -iUDP -F pcuLftPnT", parseLsof},
	{"netstat", "darwin", "netstat -anvl", parseNetstat},
	{"sockstat", "freebsd", "sockstat -46l", parseSockstat},
	{"fstat", "openbsd", "fstat -n", parseFstat},
}

func TestSocketsAsProgramsShowThem(t *testing.T) {
	for _, source := range textSources {
		t.Run(source.name, func(t *testing.T) {
			text := readTestdata(t, "bsd/"+source.name+".in")
			h := fakeBSD{os: source.os, output: map[string]string{source.command: string(text), strings.Join(psFacts, " "): usualFacts}}
			golden.Equal(t, "bsd/"+source.name+".txt", bsdText(h))
		})
	}
}

func FuzzTextOfSockets(f *testing.F) {
	for i, source := range textSources {
		f.Add(readTestdata(f, "bsd/"+source.name+".in"), uint8(i))
	}
	f.Fuzz(func(t *testing.T, text []byte, which uint8) {
		sockets, _ := textSources[int(which)%len(textSources)].parse(text)
		checkRows(t, bsdRows(withHolders(sockets), nil))
	})
}

func FuzzPS(f *testing.F) {
	f.Add([]byte(usualFacts))
	f.Fuzz(func(t *testing.T, text []byte) {
		processes := parsePSFacts(text)
		eachPSLine(text, processes, func(p *Process, rest string) { p.Command = strings.Fields(rest) })
		for pid, p := range processes {
			if p.PID != pid || pid < 0 || p.Name == "" {
				t.Errorf("%+v", p)
			}
		}
	})
}

// What these systems printed themselves, of others' machines.
func TestSocketsAsSeenInTheWild(t *testing.T) {
	const dir = "../../shared/corpora/bsd-listeners"
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no corpus of captures beside the repository")
	}
	for file, c := range map[string]struct {
		parse func([]byte) ([]bsdSocket, int)
		rows  string // protocol, family, address and owners; a missing owner is "?"
		bad   int
	}{
		"freebsd.sockstat-4.txt": {parseSockstat, "tcp4 0.0.0.0:22 .1570|tcp4 127.0.0.1:25 .1411|udp4 0.0.0.0:514 .1305", 0},
		"freebsd.sockstat-6.txt": {parseSockstat, "tcp6 [::]:22 .1570|udp6 [::]:514 .1305", 0},
		"freebsd.sockstat-46l.txt": {parseSockstat, "tcp4 0.0.0.0:22 .1234|tcp6 [::]:22 .1234|tcp4 192.168.0.10:80 .2001|" +
			"udp6 [fe80::1%em0]:123 .800|udp4 127.0.0.1:514 .900", 0},
		"freebsd.sockstat-4-jail.txt":               {parseSockstat, "tcp4 0.0.0.0:4242 .3952|tcp4 127.0.0.1:4243 .3951 .3952", 0},
		"freebsd.sockstat-4-fat-pid.txt":            {parseSockstat, "", 0},
		"lsof-F.mixed.txt":                          {parseLsof, "tcp4 127.0.0.1:27017 mongod.949|udp6 [::]:5353 mDNSResponder.12", 0},
		"lsof-F.udp.txt":                            {parseLsof, "udp4 127.0.0.1:53 dnsmasq.200|udp6 [::]:5353 mDNSResponder.100|udp4 10.0.0.2:60000 mDNSResponder.100", 0},
		"macos-13.netstat-anv-p-tcp-pid-epid.txt":   {parseNetstat, "tcp4 0.0.0.0:80 .10521|tcp4 0.0.0.0:443 .10521|tcp6 [::]:2222 .43379", 0},
		"macos-14.netstat-anv-rxbytes-pid-epid.txt": {parseNetstat, "", 0},
		"macos-26.netstat-anv-p-tcp.txt":            {parseNetstat, "tcp6 [::]:38123 .54256|tcp6 [::]:56966 .967|tcp4 127.0.0.1:60332 .21891", 0},
		"macos.netstat-anv-udp-rows.txt":            {parseNetstat, "", 1}, // an address that netstat cut
		"openbsd.fstat.txt":                         {parseFstat, "tcp4 0.0.0.0:22 .75629|tcp6 [::]:22 .75629|tcp4 127.0.0.1:3000 .1234|udp4 127.0.0.1:53 .99", 0},
		"openbsd.fstat-n-unwind.txt":                {parseFstat, "tcp4 127.0.0.1:53 .19822|tcp6 [::1]:53 .19822|udp4 127.0.0.1:53 .19822|udp6 [::1]:53 .19822", 0},
		"tailscale-portlist.netstat-na.txt": {parseNetstat, "tcp4 0.0.0.0:23 ?|tcp6 [::]:24 ?|tcp4 0.0.0.0:8185 ?|tcp4 127.0.0.1:8186 ?|tcp6 [::1]:8187 ?|" +
			"tcp4 127.1.2.3:8188 ?|udp4 0.0.0.0:104 ?|udp6 [::]:106 ?|udp6 [::]:146 ?", 0},
	} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		sockets, bad := c.parse(text)
		var got []string
		for _, l := range bsdRows(namedHolders(sockets), nil) {
			row := strings.Fields(strings.ReplaceAll(tableLine(l), ",", ""))[:2]
			for _, p := range l.Owners {
				row = append(row, strings.TrimPrefix(p.Name, "-")+"."+strconv.Itoa(p.PID))
			}
			if len(l.Owners) == 0 {
				row = append(row, "?")
			}
			got = append(got, strings.Join(row, " "))
		}
		if rows := strings.Join(got, "|"); rows != c.rows || bad != c.bad {
			t.Errorf("%s: %d not understood, rows\n%s\nwant\n%s", file, bad, rows, c.rows)
		}
	}
}

// namedHolders names those that only have a number, so that they become owners.
func namedHolders(sockets []bsdSocket) []bsdSocket {
	for i := range sockets {
		sockets[i].holders = slices.Clone(sockets[i].holders)
		for j := range sockets[i].holders {
			if p := &sockets[i].holders[j]; p.Name == "" {
				p.Name = "-"
			}
		}
	}
	return sockets
}
