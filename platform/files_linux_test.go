package platform

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

func TestFileLongerThanTheBuffer(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789"), 3*bufferSize/10+1)
	name := filepath.Join(t.TempDir(), "long")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Live().ReadFile(name)
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes of %d, error %v", len(got), len(content), err)
	}
}

func TestDirectoryLongerThanTheBuffer(t *testing.T) {
	dir := t.TempDir()
	const files = 600
	for i := range files {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%0120d", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	names, err := Live().ReadDir(dir)
	if err != nil || len(names) != files || !slices.IsSorted(names) {
		t.Errorf("%d names, sorted %v, error %v", len(names), slices.IsSorted(names), err)
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("loop", filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	host := Live()
	for _, c := range []struct {
		name, file string
		want       error
	}{
		{"missing", filepath.Join(dir, "none"), fs.ErrNotExist},
		{"a directory", dir, syscall.EISDIR},
		{"endless", "/dev/zero", ErrTooLarge},
		{"a link to itself", filepath.Join(dir, "loop"), syscall.ELOOP},
		{"a name with a zero", "/proc/\x00", syscall.EINVAL},
		{"a pipe that nobody writes does not block", pipe, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := host.ReadFile(c.file)
			if !errors.Is(err, c.want) || (c.want == nil) != (err == nil) {
				t.Errorf("error %v, want %v", err, c.want)
			}
		})
	}
	if _, err := host.ReadDir("/proc/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("directory: error %v", err)
	}
	if _, err := host.Readlink(dir); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("link: error %v", err)
	}
	if target, err := host.Readlink(filepath.Join(dir, "loop")); err != nil || target != "loop" {
		t.Errorf("link to %q, error %v", target, err)
	}
}

func TestReadingLeavesNoDescriptorOpen(t *testing.T) {
	host := Live()
	before := descriptors(t)
	const rounds = 50
	for range rounds {
		host.ReadFile("/proc/self/stat")
		host.ReadDir("/proc/self")
		host.Readlink("/proc/self/exe")
		host.SocketHolders()
	}
	// The runtime opens a few for itself in its own time; a leak shows in every round.
	if after := descriptors(t); after >= before+rounds {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
