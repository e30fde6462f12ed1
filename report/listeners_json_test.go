package report

import (
	"encoding/json"
	"io"
	"net/netip"
	"reflect"
	"strconv"
	"testing"

	"github.com/netglance/netglance/listeners"
)

type listenerRow struct {
	Address  string      `json:"address"`
	Port     uint16      `json:"port"`
	Device   string      `json:"device"`
	Inodes   []uint64    `json:"inodes"`
	Owners   []ownerJSON `json:"owners"`
	OwnerGap string      `json:"owner_gap"`
}

func rowsOf(t *testing.T, all []listeners.Listener) []listenerRow {
	t.Helper()
	var read struct{ Listeners []listenerRow }
	content := output(t, func(w io.Writer) error { return ListenersJSON(w, host(), all) })
	if err := json.Unmarshal(content, &read); err != nil {
		t.Fatalf("%v in %s", err, content)
	}
	return read.Listeners
}

// Interface names may have quotes and backslashes in them, and so may zones.
func TestQuotesInListenerRowsAreEscaped(t *testing.T) {
	const name = "a\"b\\c\x1bd\u2028é,"
	rows := rowsOf(t, []listeners.Listener{{
		Address: netip.MustParseAddr("fe80::1").WithZone(`x"\`), Device: name, OwnerGap: name, Inodes: []uint64{1, 1<<64 - 1},
	}})
	want := []listenerRow{{Address: `fe80::1%x"\`, Device: `a"b\c\x1bd\u2028é,`, OwnerGap: `a"b\c\x1bd\u2028é,`, Inodes: []uint64{1, 1<<64 - 1}}}
	if !reflect.DeepEqual(rows, want) {
		t.Errorf("got %+v", rows)
	}
}

func TestNoListenersAreAnEmptyArray(t *testing.T) {
	if rows := rowsOf(t, nil); rows == nil || len(rows) != 0 {
		t.Errorf("got %v", rows)
	}
}

func TestRowsThatShareTheirOwnersAllNameThem(t *testing.T) {
	shared := []listeners.Process{{PID: 7, Name: "one"}}
	two := []listeners.Process{{PID: 7, Name: "one"}, {PID: 8, Name: "two"}}
	rows := rowsOf(t, []listeners.Listener{{Port: 1, Owners: shared}, {Port: 2, Owners: shared}, {Port: 3, Owners: two}, {Port: 4, Owners: two[:1]}, {Port: 5, Owners: two[1:]}})
	want := []string{"one", "one", "one two", "one", "two"}
	for i, row := range rows {
		var names string
		for j, o := range row.Owners {
			if j > 0 {
				names += " "
			}
			names += o.Name
		}
		if names != want[i] {
			t.Errorf("port %d is owned by %q, want %q", row.Port, names, want[i])
		}
	}
}

func BenchmarkListenersJSON(b *testing.B) {
	all := make([]listeners.Listener, 5000)
	for i := range all {
		if i%10 == 0 {
			all[i].Owners = []listeners.Process{{PID: i + 1, Name: "server " + strconv.Itoa(i), Command: []string{"/usr/sbin/server", "-p"}, User: "www-data"}}
		} else {
			all[i].Owners = all[i-1].Owners
		}
		all[i].Protocol, all[i].Family, all[i].State = "tcp", 4, "listen"
		all[i].Address, all[i].Port, all[i].Inodes = netip.IPv4Unspecified(), uint16(i), []uint64{uint64(i) + 100000}
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := ListenersJSON(io.Discard, Host{}, all); err != nil {
			b.Fatal(err)
		}
	}
}
