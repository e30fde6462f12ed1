package platform

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// A Recorder is a host that keeps every answer it gives. Of equal calls the last
// answer stays.
type Recorder struct {
	host    Host
	version string

	time time.Time
	// namespace is the network namespace that is recorded; empty for the host's own.
	namespace string
	kept      *answers
}

// NewRecorder records a host; version is that of this netglance.
func NewRecorder(host Host, version string) *Recorder {
	return &Recorder{host: host, version: version, kept: &answers{by: map[call]answer{}}, time: host.Time().Round(0)} // no monotonic part: it is not recorded
}

func (r *Recorder) keep(c call, content []byte, err error) {
	r.kept.Lock()
	defer r.kept.Unlock()
	r.kept.by[within(r.namespace, c)] = answer{slices.Clone(content), err}
}

func (r *Recorder) ReadFile(name string) ([]byte, error) {
	content, err := r.host.ReadFile(name)
	r.keep(call{callReadFile, name}, content, err)
	return content, err
}

func (r *Recorder) ReadDir(name string) ([]string, error) {
	names, err := r.host.ReadDir(name)
	r.keep(call{callReadDir, name}, []byte(strings.Join(names, "\x00")), err)
	return names, err
}

func (r *Recorder) Readlink(name string) (string, error) {
	target, err := r.host.Readlink(name)
	r.keep(call{callReadlink, name}, []byte(target), err)
	return target, err
}

func (r *Recorder) Netlink(protocol int, request []byte) ([]byte, error) {
	reply, err := r.host.Netlink(protocol, request)
	if !errors.Is(err, ErrNotRead) {
		r.keep(netlinkCall(protocol, request), reply, err)
	}
	return reply, err
}

func (r *Recorder) SocketHolders() ([]byte, error) {
	text, err := r.host.SocketHolders()
	r.keep(call{kind: callHolders}, text, err)
	return text, err
}

func (r *Recorder) SocketTable() ([]byte, error) {
	text, err := r.host.SocketTable()
	r.keep(call{kind: callTable}, text, err)
	return text, err
}

func (r *Recorder) OS() string { return r.host.OS() }

// Time is the clock when recording began, so that ages computed now and from the
// recording are the same.
func (r *Recorder) Time() time.Time { return r.time }

// Recording is what was kept so far.
func (r *Recorder) Recording() *Recording {
	r.kept.Lock()
	defer r.kept.Unlock()
	return &Recording{
		Meta: Meta{
			OS:        r.host.OS(),
			Arch:      runtime.GOARCH,
			BigEndian: bigEndian,
			Time:      r.time,
			Version:   r.version,
		},
		answers: maps.Clone(r.kept.by),
	}
}

// Save writes a recording to a file that only its owner may read: it holds
// command lines and rules. The file appears whole or not at all, in place of an
// older one; anything but a file, such as /dev/null, is never replaced.
func (r *Recording) Save(name string) error {
	if info, err := os.Lstat(name); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("recording: %s is there, and is no regular file: %w", name, fs.ErrExist)
	}
	file, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*.tmp") // mode 0600
	if err != nil {
		return fmt.Errorf("recording: %w", err)
	}
	_, err = r.WriteTo(file)
	if err == nil {
		err = file.Sync()
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("recording: %w", err), ignoreMissing(os.Remove(file.Name())))
	}
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
