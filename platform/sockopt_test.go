package platform

import (
	"bytes"
	"errors"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// optionHost answers socket options alone.
type optionHost struct {
	Host
	asked int
}

func (*optionHost) OS() string      { return "linux" }
func (*optionHost) Time() time.Time { return time.Unix(0, 0) }

func (h *optionHost) Getsockopt(_, level, option int, argument []byte, size int) ([]byte, error) {
	h.asked++
	if option == 65 {
		return nil, syscall.EPERM
	}
	return append([]byte{byte(level)}, argument...), nil
}

func TestOnlyOptionsThatReadAreAsked(t *testing.T) {
	table := make([]byte, 32)
	for _, c := range []struct {
		what          string
		level, option int
		size          int
		argument      []byte
	}{
		{"no option of ours", 0, 1, 84, table},
		{"a level that has none", 6, 64, 84, table},
		{"ipset by IPv6", 41, 83, 84, table},
		{"less room than the argument takes", 0, 64, 8, table},
		{"nothing", 0, 64, 0, nil},
		{"more than is ever read", 0, 65, 1 << 30, table},
	} {
		for _, host := range []Host{Live(), &Recording{}} {
			value, err := host.Getsockopt(2, c.level, c.option, c.argument, c.size)
			if value != nil || !errors.Is(err, ErrNotRead) && !errors.Is(err, ErrTooLarge) && !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("%s: %v, %v", c.what, value, err)
			}
		}
	}
}

func TestRecordedOptionIsTheSameAnswer(t *testing.T) {
	host := &optionHost{}
	recorder := NewRecorder(host, "test")
	filter, nat := []byte("filter"), []byte("nat")
	for _, argument := range [][]byte{filter, nat} {
		if _, err := recorder.Getsockopt(2, 0, 64, argument, 84); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := recorder.Getsockopt(10, 41, 65, filter, 90); !errors.Is(err, syscall.EPERM) {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "host.ng")
	if err := recorder.Recording().Save(file); err != nil {
		t.Fatal(err)
	}
	recorded, err := OpenRecording(file)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := recorded.Getsockopt(2, 0, 64, nat, 84); err != nil || !bytes.Equal(got, []byte("\x00nat")) {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := recorded.Getsockopt(10, 41, 65, filter, 90); !errors.Is(err, syscall.EPERM) {
		t.Errorf("the error of the recorded host became %v", err)
	}
	if _, err := recorded.Getsockopt(2, 0, 64, []byte("raw"), 84); !errors.Is(err, ErrNotRecorded) {
		t.Errorf("an option that nobody asked for: %v", err)
	}
	if host.asked != 3 {
		t.Errorf("the host was asked %d times", host.asked)
	}
}
