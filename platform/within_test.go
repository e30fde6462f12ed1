package platform

import (
	"bytes"
	"errors"
	"io/fs"
	"testing"
	"time"

	"github.com/netglance/netglance/internal/netlink"
)

// A spacedHost answers with the name of the namespace that was asked.
type spacedHost struct {
	fakeHost
	name string
}

func (h *spacedHost) ReadFile(string) ([]byte, error) { return []byte("read in " + h.name), nil }
func (h *spacedHost) Netlink(int, []byte) ([]byte, error) {
	return []byte("asked in " + h.name), nil
}
func (h *spacedHost) In(path string, id uint64) Host { return &spacedHost{name: path} }
func (h *spacedHost) Time() time.Time                { return time.Unix(1, 0) }

func TestARecordingKeepsNamespacesApart(t *testing.T) {
	request := netlink.Request(18, netlink.FlagDump, []byte{1, 0, 0, 0})
	ask := func(h Host) (string, string) {
		reply, err1 := h.Netlink(protocolRoute, request)
		file, err2 := h.ReadFile("/proc/net/../net/dev")
		if err := errors.Join(err1, err2); err != nil {
			return err.Error(), ""
		}
		return string(reply), string(file)
	}
	recorder := NewRecorder(&spacedHost{name: "host"}, "v1")
	spaces := []struct {
		path string
		id   uint64
	}{{"/run/netns/blue", 4026532178}, {"/run/netns/red", 0}}
	ask(recorder)
	for _, s := range spaces {
		ask(recorder.In(s.path, s.id))
	}
	if _, err := recorder.In("/run/netns/blue", 4026532178).ReadFile("/etc/passwd"); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := recorder.Recording().WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	recorded, err := readRecording(&b)
	if err != nil {
		t.Fatal(err)
	}
	if reply, file := ask(recorded); reply != "asked in host" || file != "read in host" {
		t.Errorf("the host itself: %q, %q", reply, file)
	}
	for _, s := range spaces {
		if reply, file := ask(recorded.In(s.path, s.id)); reply != "asked in "+s.path || file != "read in "+s.path {
			t.Errorf("%s: %q, %q", s.path, reply, file)
		}
	}
	// By its id a namespace is known whatever leads there.
	if reply, _ := ask(recorded.In("/proc/812/ns/net", 4026532178)); reply != "asked in /run/netns/blue" {
		t.Errorf("by another path: %q", reply)
	}
	if _, err := recorded.In("/run/netns/green", 0).Netlink(protocolRoute, request); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("one that was not recorded: %v", err)
	}
	// What all namespaces share is there for all.
	if text, err := recorded.ReadFile("/etc/passwd"); err != nil || len(text) == 0 {
		t.Errorf("a file of no namespace's: %q, %v", text, err)
	}
}
