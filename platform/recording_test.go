package platform

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netglance/netglance/internal/netlink"
)

// A fakeHost answers the same on every system.
type fakeHost struct{ reads int }

func (h *fakeHost) ReadFile(name string) ([]byte, error) {
	h.reads++
	switch name {
	case "/proc/sys/kernel/hostname":
		return []byte("web-1\n"), nil
	case "/empty":
		return []byte{}, nil
	case "/count":
		return fmt.Appendf(nil, "%d", h.reads), nil
	case "/proc/1/environ":
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EACCES}
	case "/long":
		return bytes.Repeat([]byte("long "), 1000), nil
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.ENOENT}
}

func (h *fakeHost) ReadDir(name string) ([]string, error) {
	switch name {
	case "/proc":
		return []string{"1", "2 \n", "sys"}, nil
	case "/empty":
		return nil, nil
	}
	return nil, fmt.Errorf("%s: %w", name, errors.ErrUnsupported)
}

func (h *fakeHost) Readlink(name string) (string, error) { return name + "\xff (deleted)", nil }

func (h *fakeHost) Netlink(protocol int, request []byte) ([]byte, error) {
	if _, err := readRequest(protocol, request); err != nil {
		return nil, err
	}
	if protocol == protocolSockDiag {
		return nil, fmt.Errorf("netlink: %w", syscall.EPERM)
	}
	return netlink.Request(netlink.TypeDone, 0, request[headerLength:]), nil
}

func (h *fakeHost) Getsockopt(family, level, option int, argument []byte, size int) ([]byte, error) {
	if _, err := readOption(level, option, argument, size); err != nil {
		return nil, err
	}
	if family != 2 {
		return nil, fmt.Errorf("getsockopt: %w", syscall.EAFNOSUPPORT)
	}
	return append(slices.Clone(argument), make([]byte, size-len(argument))...), nil
}

func (h *fakeHost) SocketHolders() ([]byte, error) { return []byte("1 3 4711\n2 ! EACCES\n"), nil }
func (h *fakeHost) Programs(where string) ([]byte, error) {
	if _, err := parsePlace(where); err != nil {
		return nil, err
	}
	if where == "netfilter" {
		return nil, fmt.Errorf("bpf: %w", syscall.EPERM)
	}
	return []byte("ingress 12\n"), nil
}

func (h *fakeHost) IptablesSave(family int) ([]byte, error) {
	if family != 2 {
		return nil, fmt.Errorf("ip6tables-legacy-save: %w", syscall.ENOENT)
	}
	return []byte("*filter\nCOMMIT\n"), nil
}

func (h *fakeHost) SocketTable() ([]byte, error) {
	return []byte("{\"reader\":{\"tool\":\"lsof\"}}\n"), nil
}

func (h *fakeHost) Sysctl(name string) ([]byte, error) {
	if name == "kern.file" {
		return nil, fmt.Errorf("sysctl kern.file: %w", syscall.EPERM)
	}
	if err := readNode(name); err != nil {
		return nil, err
	}
	return []byte("web-1\x00"), nil
}

func (h *fakeHost) Output(command ...string) ([]byte, error) {
	if command[0] == "pfctl" {
		return nil, fmt.Errorf("pfctl: %w", syscall.ENOENT)
	}
	if err := readCommand(command); err != nil {
		return nil, err
	}
	return []byte(strings.Join(command, "+")), nil
}

func (h *fakeHost) NetworkNamespaces() ([]byte, error) {
	return []byte("1 4026531840\n812 4026532178\n"), nil
}
func (h *fakeHost) Containers() ([]byte, error) {
	return nil, fmt.Errorf("dockerd: %w", syscall.ENOENT)
}
func (h *fakeHost) In(string, uint64) Host { return h }
func (h *fakeHost) OS() string             { return "linux" }
func (h *fakeHost) Time() time.Time        { return time.Date(2026, 11, 22, 10, 0, 0, 123456789, time.UTC) }

// observe makes every call, and says in text what came back.
func observe(host Host) string {
	var text strings.Builder
	say := func(what string, got any, err error) {
		fmt.Fprintf(&text, "%s: %q, %v; missing %v, forbidden %v, unsupported %v\n", what, got, err,
			errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission), errors.Is(err, errors.ErrUnsupported))
	}
	for _, name := range []string{"/proc/sys/kernel/hostname", "/empty", "/proc/1/environ", "/long", "/none", ""} {
		content, err := host.ReadFile(name)
		say("file "+name, content, err)
	}
	for _, name := range []string{"/proc", "/empty", "/other"} {
		names, err := host.ReadDir(name)
		say("directory "+name, names, err)
	}
	target, err := host.Readlink("/proc/1/exe")
	say("link", target, err)
	for _, request := range [][]byte{
		netlink.Request(18, netlink.FlagDump, []byte{1, 0, 0, 0}),
		netlink.Request(18, netlink.FlagDump, []byte{2, 0, 0, 0}),
		netlink.Request(20, netlink.FlagDump, nil),
	} {
		for _, protocol := range []int{protocolRoute, protocolSockDiag} {
			reply, err := host.Netlink(protocol, request)
			say(fmt.Sprintf("netlink %d % x", protocol, request), reply, err)
		}
	}
	for _, family := range []int{2, 10} {
		value, err := host.Getsockopt(family, levelIPv4, 64, []byte("filter\x00"), 84)
		say(fmt.Sprintf("socket option, family %d", family), value, err)
	}
	for _, family := range []int{2, 10} {
		text, err := host.IptablesSave(family)
		say(fmt.Sprintf("iptables-save, family %d", family), text, err)
	}
	for _, where := range []string{"link 2", "netfilter", "cgroup /", "netns 1", "program"} {
		text, err := host.Programs(where)
		say("BPF programs of "+where, text, err)
	}
	holders, err := host.SocketHolders()
	say("holders", holders, err)
	table, err := host.SocketTable()
	say("table", table, err)
	for _, name := range []string{"kern.hostname", "kern.file", "kern.secret"} {
		value, err := host.Sysctl(name)
		say("sysctl "+name, value, err)
	}
	for _, command := range [][]string{{"ps", "-axww", "-o", "pid=", "-o", "command="}, {"pfctl", "-s", "rules"}, {"reboot"}} {
		text, err := host.Output(command...)
		say(fmt.Sprintf("output of %q", command), text, err)
	}
	namespaces, err := host.NetworkNamespaces()
	say("namespaces", namespaces, err)
	containers, err := host.Containers()
	say("containers", containers, err)
	say("system", host.OS(), nil)
	say("time", host.Time().String(), nil)
	return text.String()
}

func archive(t testing.TB) []byte {
	t.Helper()
	recorder := NewRecorder(&fakeHost{}, "v1.2.3")
	observe(recorder)
	var b bytes.Buffer
	n, err := recorder.Recording().WriteTo(&b)
	if err != nil || n != int64(b.Len()) {
		t.Fatalf("%d bytes of %d, error %v", n, b.Len(), err)
	}
	return b.Bytes()
}

func TestRecordedHostAnswersLikeTheHost(t *testing.T) {
	r, err := readRecording(bytes.NewReader(archive(t)))
	if err != nil {
		t.Fatal(err)
	}
	want, got := strings.Split(observe(&fakeHost{}), "\n"), strings.Split(observe(r), "\n")
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got  %.300s\nwant %.300s", got[i], want[i])
		}
	}
	if r.Meta.Version != "v1.2.3" || r.Meta.Arch == "" {
		t.Errorf("meta %+v", r.Meta)
	}
}

func TestRecordingOfARecordingIsTheSame(t *testing.T) {
	first, err := readRecording(bytes.NewReader(archive(t)))
	if err != nil {
		t.Fatal(err)
	}
	recorder := NewRecorder(first, "v1.2.3")
	observe(recorder)
	var second bytes.Buffer
	if _, err := recorder.Recording().WriteTo(&second); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(second.Bytes(), archive(t)) {
		t.Error("the archives differ")
	}
}

func TestLastAnswerStays(t *testing.T) {
	recorder := NewRecorder(&fakeHost{}, "")
	for range 3 {
		recorder.ReadFile("/count")
	}
	content, err := recorder.Recording().ReadFile("/count")
	if err != nil || string(content) != "3" {
		t.Errorf("%q, error %v", content, err)
	}
}

func TestCallThatNobodyRecorded(t *testing.T) {
	r := NewRecorder(&fakeHost{}, "").Recording()
	for name, call := range map[string]func() error{
		"/proc/1/comm":   func() error { _, err := r.ReadFile("/proc/1/comm"); return err },
		"/proc":          func() error { _, err := r.ReadDir("/proc"); return err },
		"/proc/1/exe":    func() error { _, err := r.Readlink("/proc/1/exe"); return err },
		"RTM_GETLINK":    func() error { _, err := r.Netlink(0, netlink.Request(18, 0, nil)); return err },
		"socket holders": func() error { _, err := r.SocketHolders(); return err },
	} {
		err := call()
		if !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, ErrNotRecorded) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if _, err := r.Netlink(0, netlink.Request(17, 0, nil)); !errors.Is(err, ErrNotRead) {
		t.Errorf("a request that changes: error %v", err)
	}
}

func TestRecordingCutShortAnywhere(t *testing.T) {
	whole := archive(t)
	for n := range whole {
		_, err := readRecording(bytes.NewReader(whole[:n]))
		switch {
		case err == nil:
			t.Fatalf("%d of %d bytes are taken for a whole recording", n, len(whole))
		case n > len(magic)+2 && !errors.Is(err, ErrTruncated) && !strings.Contains(err.Error(), "after the last record"):
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
}

func TestRecordingWithABitFlipped(t *testing.T) {
	whole := archive(t)
	gzipStart := len(magic) + 2
	want := observe(&fakeHost{})
	for n := gzipStart + 10; n < len(whole); n++ { // behind gzip's header, whose time and system mean nothing
		damaged := slices.Clone(whole)
		damaged[n] ^= 0x10
		// the last bits before gzip's sum may be padding: then nothing is damaged
		if r, err := readRecording(bytes.NewReader(damaged)); err == nil && observe(r) != want {
			t.Errorf("byte %d flipped: no error, but other answers", n)
		}
	}
}

// pack is an archive of the given unpacked bytes.
func pack(t testing.TB, unpacked []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s%d\n", magic, formatVersion)
	zipped := gzip.NewWriter(&b)
	if _, err := zipped.Write(unpacked); err != nil {
		t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func record(kind byte, fields ...string) []byte {
	b := []byte{kind}
	for _, f := range fields {
		b = appendField(b, f)
	}
	return b
}

func TestFilesThatAreNoRecording(t *testing.T) {
	meta := record('M', "os", "", "", "linux")
	order := record('M', "big_endian", "", "", fmt.Sprint(!bigEndian))
	claims := append(record('F', "/long", "", ""), binary.AppendUvarint(nil, 1<<30-1)...)
	for _, c := range []struct {
		name string
		file []byte
		want error
		text string
	}{
		{"nothing", nil, ErrNotRecording, "not a netglance recording"},
		{"text", []byte("*filter\n:INPUT DROP [0:0]\n"), ErrNotRecording, "not a netglance recording"},
		{"a gzip file", pack(t, nil)[len(magic)+2:], ErrNotRecording, "not a netglance recording"},
		{"version 7", []byte(magic + "7\n"), ErrNewer, "written by a newer netglance: version 7"},
		{"version 0", []byte(magic + "0\n"), ErrNotRecording, ""},
		{"a version that is too long", []byte(magic + "99999999999999999999\n"), ErrNotRecording, ""},
		{"the first line alone", []byte(magic + "1\n"), ErrTruncated, "truncated after 0 records"},
		{"no end", pack(t, meta), ErrTruncated, "truncated after 1 records"},
		{"an end that counts more records", pack(t, join(meta, record('E', "", "", "", "3"))), ErrTruncated, ""},
		{"a length without its bytes", pack(t, join(meta, claims)), ErrTruncated, "truncated after 1 records"},
		{"a length beyond every limit", pack(t, append([]byte{'F'}, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f)), ErrTooLarge, ""},
		{"a length that never ends", pack(t, append([]byte{'F'}, bytes.Repeat([]byte{0xff}, 20)...)), nil, "damaged"},
		{"a path that is too long", pack(t, record('F', strings.Repeat("/", maxKey+1), "", "", "")), ErrTooLarge, ""},
		{"no operating system", pack(t, record('E', "", "", "", "0")), nil, "operating system"},
		{"another byte order", pack(t, join(meta, order, record('E', "", "", "", "2"))), ErrByteOrder, "byte order"},
		{"a time that is none", pack(t, record('M', "time", "", "", "yesterday")), nil, "yesterday"},
		{"more behind the end", pack(t, join(meta, record('E', "", "", "", "1"), meta)), nil, "after the last record"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := readRecording(bytes.NewReader(c.file))
			if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestRecordingThatUnpacksWithoutEnd(t *testing.T) {
	records := join(record('M', "os", "", "", "linux"), bytes.Repeat(record('F', "/f", "", "", "content"), 1000))
	_, err := readRecords(bytes.NewReader(records), 5000)
	if !errors.Is(err, ErrTooLarge) {
		t.Errorf("error %v, want ErrTooLarge", err)
	}
}

func TestKindOfRecordThatIsNotKnownYetIsPassedOver(t *testing.T) {
	r, err := readRecording(bytes.NewReader(pack(t, join(
		record('M', "os", "", "", "linux"), record('M', "colour", "", "", "blue"),
		record('Z', "key", "", "", "content"), record('F', "/f", "", "", "content"),
		record('E', "", "", "", "4")))))
	if err != nil {
		t.Fatal(err)
	}
	if content, err := r.ReadFile("/f"); err != nil || string(content) != "content" {
		t.Errorf("%q, error %v", content, err)
	}
}

func TestSavedRecordingIsPrivateAndWhole(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "host.ng")
	recorder := NewRecorder(&fakeHost{}, "")
	observe(recorder)
	for range 2 { // also over an older one
		if err := recorder.Recording().Save(name); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(name)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, error %v", info.Mode(), err)
	}
	opened, err := OpenRecording(name)
	if err != nil {
		t.Fatal(err)
	}
	if observe(opened) != observe(recorder) {
		t.Error("the opened recording answers differently")
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("files left over: %v", entries)
	}
}

func TestSaveThatFailsLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	taken := filepath.Join(dir, "host.ng")
	if err := os.MkdirAll(filepath.Join(taken, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	recording := NewRecorder(&fakeHost{}, "").Recording()
	if err := recording.Save(taken); err == nil {
		t.Error("no error over a directory")
	}
	link := filepath.Join(taken, "stdout")
	if err := os.Symlink("/dev/null", link); err != nil {
		t.Fatal(err)
	}
	if err := recording.Save(link); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over what is no file, such as /dev/stdout: error %v", err)
	}
	if to, err := os.Readlink(link); err != nil || to != "/dev/null" {
		t.Errorf("it was replaced: %v", err)
	}
	if err := recording.Save(filepath.Join(dir, "none", "host.ng")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no such directory: error %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("files left over: %v", entries)
	}
}

func TestOpenRecordingNamesTheFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "rules.v4")
	if err := os.WriteFile(name, []byte("*filter\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := OpenRecording(name)
	if !errors.Is(err, ErrNotRecording) || !strings.Contains(err.Error(), name) {
		t.Errorf("error %v", err)
	}
	if _, err := OpenRecording(name + ".none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

func TestRecordingThatCouldNotBeReadAgainIsNotWritten(t *testing.T) {
	r := &Recording{answers: map[call]answer{{callReadFile, strings.Repeat("/", maxKey+1)}: {}}}
	if _, err := r.WriteTo(io.Discard); !errors.Is(err, ErrTooLarge) {
		t.Errorf("error %v", err)
	}
}

// FuzzRecords reads the unpacked stream: behind gzip's checksum a fuzzer sees nothing.
func FuzzRecords(f *testing.F) {
	for _, packed := range seeds(f) {
		unzipped, err := gzip.NewReader(bytes.NewReader(packed[len(magic)+2:]))
		if err != nil {
			f.Fatal(err)
		}
		unpacked, err := io.ReadAll(unzipped)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(unpacked)
	}
	f.Fuzz(func(t *testing.T, unpacked []byte) {
		r, err := readRecords(bytes.NewReader(unpacked), 1<<20)
		if err != nil {
			return
		}
		observe(r)
		var again bytes.Buffer
		if _, err := r.WriteTo(&again); err != nil {
			t.Fatal(err)
		}
		second, err := readRecording(&again)
		if err != nil {
			t.Fatal(err)
		}
		if observe(second) != observe(r) {
			t.Error("written and read again it answers differently")
		}
	})
}

func FuzzReadRecording(f *testing.F) {
	for _, packed := range seeds(f) {
		f.Add(packed)
	}
	f.Fuzz(func(t *testing.T, packed []byte) {
		if r, err := readRecording(bytes.NewReader(packed)); err == nil {
			observe(r)
		}
	})
}

// seeds are the archive of the fake host and the recorded hosts in testdata.
func seeds(f *testing.F) [][]byte {
	f.Helper()
	names, err := filepath.Glob("testdata/*.ng")
	if err != nil || len(names) == 0 {
		f.Fatalf("no recorded host in testdata, error %v", err)
	}
	all := [][]byte{archive(f)}
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, content)
	}
	return all
}
