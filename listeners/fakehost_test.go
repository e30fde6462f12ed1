package listeners

import (
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
)

// fakeHost is a host of literals. A file whose content is "!" may not be read.
type fakeHost struct {
	files   map[string]string
	links   map[string]string
	holders []string // one for each call, the last for all further ones
	netlink map[string]reply

	mu    sync.Mutex
	asked []string // files that were read
	walks int
}

type reply struct {
	data []byte
	err  error
}

func (h *fakeHost) ReadFile(name string) ([]byte, error) {
	h.mu.Lock()
	h.asked = append(h.asked, name)
	h.mu.Unlock()
	text, ok := h.files[name]
	switch {
	case !ok:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	case text == "!":
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return []byte(text), nil
}

func (h *fakeHost) ReadDir(name string) ([]string, error) {
	names := map[string]bool{}
	for file := range h.files {
		if rest, ok := strings.CutPrefix(file, name+"/"); ok {
			first, _, _ := strings.Cut(rest, "/")
			names[first] = true
		}
	}
	if len(names) == 0 {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return slices.Sorted(maps.Keys(names)), nil
}

func (h *fakeHost) Readlink(name string) (string, error) {
	if target, ok := h.links[name]; ok {
		return target, nil
	}
	if _, ok := h.files[name]; ok {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrNotExist}
}

func (h *fakeHost) Netlink(protocol int, request []byte) ([]byte, error) {
	answer, ok := h.netlink[string(request)]
	if !ok {
		return nil, &fs.PathError{Op: "netlink", Path: "sock_diag", Err: fs.ErrPermission}
	}
	return answer.data, answer.err
}

func (h *fakeHost) SocketHolders() ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.holders) == 0 {
		return nil, nil
	}
	text := h.holders[min(h.walks, len(h.holders)-1)]
	h.walks++
	return []byte(text), nil
}

// initialPIDs are the files of a host on which nothing hides a process.
func (h *fakeHost) withInitialPIDs() *fakeHost {
	h.files["/proc/1/stat"] = statLine(1, "systemd", 3)
	if h.links == nil {
		h.links = map[string]string{}
	}
	h.links["/proc/self/ns/pid"] = "pid:[4026531836]"
	return h
}

// recordedHost answers sock_diag with the dumps in testdata/sockdiag: one network
// namespace of Linux 6.18, recorded at one time.
func recordedHost(t testing.TB) *fakeHost {
	t.Helper()
	h := &fakeHost{files: map[string]string{}, netlink: map[string]reply{}}
	for _, table := range tables {
		if table.protocol == "raw" { // that kernel has no raw_diag
			h.netlink[string(diagRequest(table.diagFamily(), table.number, table.states, false))] = reply{err: fs.ErrNotExist}
			continue
		}
		name := table.protocol + "-" + string('0'+table.family)
		h.netlink[string(diagRequest(table.diagFamily(), table.number, table.states, false))] = reply{data: readTestdata(t, "sockdiag/"+name)}
		if strings.HasPrefix(name, "udp") {
			h.netlink[string(diagRequest(table.diagFamily(), table.number, 1<<stateClose, true))] = reply{data: readTestdata(t, "sockdiag/"+name+"-chosen")}
		}
	}
	h.netlink[string(linkRequest(77))] = reply{data: readTestdata(t, "sockdiag/link-77")}
	for _, name := range []string{"protocols", "raw", "raw6"} {
		h.files[procNet+name] = string(readTestdata(t, "procnet/"+name))
	}
	return h
}

func readTestdata(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(path.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}
