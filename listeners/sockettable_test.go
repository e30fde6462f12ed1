package listeners

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/netglance/netglance/internal/golden"
)

// A tableText is a host whose table is in testdata/sockettable. The tables are
// written by hand, in the form that the platform gives them: none comes from a
// machine with that system.
type tableText struct {
	text []byte
	os   string
	err  error
}

func (h tableText) SocketTable() ([]byte, error) { return h.text, h.err }
func (h tableText) OS() string                   { return h.os }

func tableOf(t testing.TB, os string) tableText {
	t.Helper()
	return tableText{text: readTestdata(t, "sockettable/"+os+".jsonl"), os: os}
}

// tableLine is what a row says, where it isn't what all rows say.
func tableLine(l Listener) string {
	line := fmt.Sprintf("%s%d %s %s %s", l.Protocol, l.Family, netip.AddrPortFrom(l.Address, l.Port), l.State, l.Role)
	if l.Family == 6 {
		line += fmt.Sprintf(", v6only %t, known %t", l.V6Only, l.V6OnlyKnown)
	}
	if l.Remote.IsValid() {
		line += " to " + l.Remote.String()
	}
	for _, p := range l.Owners {
		line += fmt.Sprintf("\n  %d %s %q %q %d %s %s", p.PID, p.Name, p.Executable, p.Command, p.UID, p.User, p.Started.Format("2006-01-02T15:04:05.0Z07"))
	}
	if l.OwnerGap != "" {
		line += "\n  ! " + l.OwnerGap + ". " + l.OwnerHint
	}
	return line
}

func TestSocketTablesOfOtherSystems(t *testing.T) {
	for _, os := range []string{"darwin", "freebsd", "openbsd"} {
		t.Run(os, func(t *testing.T) {
			rows, found := ReadTable(tableOf(t, os))
			var text bytes.Buffer
			for _, l := range rows {
				fmt.Fprintln(&text, tableLine(l))
				if !l.UIDUnknown || l.Kernel {
					t.Errorf("%s: the socket's user, or that the kernel holds it, is not told", tableLine(l))
				}
			}
			for _, g := range found {
				fmt.Fprintf(&text, "gap: %s: %s. %s\n", g.Source, g.Reason, g.Hint)
			}
			golden.Equal(t, "sockettable/"+os+".txt", text.Bytes())
		})
	}
}

func TestASocketOfSeveralProcessesIsOneRow(t *testing.T) {
	rows, _ := ReadTable(tableOf(t, "darwin"))
	i := slices.IndexFunc(rows, func(l Listener) bool { return l.Port == 5432 })
	if i < 0 || len(rows[i].Owners) != 2 || rows[i].Owners[0].PID != 701 || rows[i].Owners[1].PID != 702 {
		t.Fatalf("%v", rows)
	}
	if j := slices.IndexFunc(rows[i+1:], func(l Listener) bool { return l.Port == 5432 }); j >= 0 {
		t.Error("the socket is two rows, or its connections count as listeners")
	}
}

// Where v6only isn't told, IPv4 counts as served: leaving it out would hide a way in.
func TestAnIPv6SocketWhoseV6OnlyIsNotToldServesIPv4(t *testing.T) {
	for os, serves := range map[string]bool{"darwin": true, "freebsd": true, "openbsd": false} {
		rows, _ := ReadTable(tableOf(t, os))
		i := slices.IndexFunc(rows, func(l Listener) bool { return l.Family == 6 && l.Port == 22 })
		if i < 0 || rows[i].ServesIPv4() != serves || rows[i].V6OnlyKnown == serves {
			t.Errorf("%s: row %d, %+v", os, i, rows)
		}
	}
}

func TestAnotherSystemsAddressFamilyIsNotGuessed(t *testing.T) {
	// 24 is AF_INET6 on OpenBSD, and nothing of IP on Linux
	line := []byte(`{"socket":{"family":24,"type":1,"localaddr":{"ip":"::","port":22},"status":"LISTEN"}}`)
	for _, os := range []string{"linux", "darwin", "plan9"} {
		if rows, found := ReadTable(tableText{text: line, os: os}); len(rows) > 0 || len(found) == 0 {
			t.Errorf("%s: rows %v, gaps %v", os, rows, found)
		}
	}
}

func TestATableThatCouldNotBeReadIsNoEmptyHost(t *testing.T) {
	for os, hint := range map[string]string{"freebsd": "pkg install lsof", "darwin": "root", "windows": "--host"} {
		rows, found := ReadTable(tableText{os: os, err: fmt.Errorf("lsof: %w", exec.ErrNotFound)})
		if len(rows) > 0 || len(found) != 1 || !strings.Contains(found[0].Hint, hint) || !errors.Is(found[0].Err, exec.ErrNotFound) {
			t.Errorf("%s: rows %v, gaps %+v", os, rows, found)
		}
	}
}

// Whatever the lines hold, rows are whole and in order.
func FuzzSocketTable(f *testing.F) {
	for _, os := range []string{"darwin", "freebsd", "openbsd"} {
		f.Add(tableOf(f, os).text, os)
	}
	f.Fuzz(func(t *testing.T, text []byte, os string) {
		rows, _ := ReadTable(tableText{text: text, os: os})
		for i, l := range rows {
			if !l.Address.IsValid() || l.Port == 0 || l.Protocol != "tcp" && l.Protocol != "udp" || len(l.Owners) == 0 && l.OwnerGap == "" && l.Role != ConnectedClient {
				t.Errorf("row %+v", l)
			}
			if i > 0 && (rows[i-1].Protocol > l.Protocol || rows[i-1].Protocol == l.Protocol && rows[i-1].Port > l.Port) {
				t.Errorf("row %d is out of order", i)
			}
		}
	})
}
