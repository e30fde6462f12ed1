package platform

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrNotRecorded says that a recording has no answer to a call: nobody made it
// while the host was recorded. It satisfies errors.Is(err, fs.ErrNotExist).
var ErrNotRecorded error = notRecorded{}

type notRecorded struct{}

func (notRecorded) Error() string        { return "not in the recording" }
func (notRecorded) Is(target error) bool { return target == fs.ErrNotExist }

// The calls that a recording keeps, by the byte that a record starts with.
const (
	callMeta     = 'M'
	callReadFile = 'F'
	callReadDir  = 'D'
	callReadlink = 'L'
	callNetlink  = 'N'
	callHolders  = 'S'
	callTable    = 'T'
)

// A call is what identifies an answer: the path; for netlink the protocol in
// decimal, a space and the request.
type call struct {
	kind byte
	key  string
}

// An answer is what a host gave: content (names are joined by a zero byte), or an error.
type answer struct {
	content []byte
	err     error
}

func netlinkCall(protocol int, request []byte) call {
	return call{callNetlink, strconv.Itoa(protocol) + " " + string(request)}
}

// A Recording is a recorded host.
type Recording struct {
	// Meta says where and by what it was recorded.
	Meta    Meta
	answers map[call]answer
	// namespace is the network namespace that is asked; empty for the host's own.
	namespace string
}

// Meta says where and by what a host was recorded.
type Meta struct {
	OS        string // GOOS
	Arch      string // GOARCH
	BigEndian bool   // the machine's byte order, which netlink messages have
	Time      time.Time
	Version   string // of the netglance that recorded
}

func (r *Recording) answer(c call, what string) ([]byte, error) {
	a, ok := r.answers[within(r.namespace, c)]
	if !ok {
		return nil, fmt.Errorf("%s: %w", what, ErrNotRecorded)
	}
	return a.content, a.err
}

// ReadFile is the recorded content; the caller may keep it but not change it.
func (r *Recording) ReadFile(name string) ([]byte, error) {
	return r.answer(call{callReadFile, name}, name)
}

func (r *Recording) ReadDir(name string) ([]string, error) {
	content, err := r.answer(call{callReadDir, name}, name)
	if err != nil || len(content) == 0 {
		return nil, err
	}
	return strings.Split(string(content), "\x00"), nil
}

func (r *Recording) Readlink(name string) (string, error) {
	content, err := r.answer(call{callReadlink, name}, name)
	return string(content), err
}

// Netlink is the recorded reply to the same request.
func (r *Recording) Netlink(protocol int, request []byte) ([]byte, error) {
	name, err := readRequest(protocol, request)
	if err != nil {
		return nil, err
	}
	return r.answer(netlinkCall(protocol, request), "netlink "+name)
}

func (r *Recording) SocketHolders() ([]byte, error) {
	return r.answer(call{kind: callHolders}, "socket holders")
}

func (r *Recording) SocketTable() ([]byte, error) {
	return r.answer(call{kind: callTable}, "socket table")
}

func (r *Recording) OS() string      { return r.Meta.OS }
func (r *Recording) Time() time.Time { return r.Meta.Time }

// A recordedError has the text of the error that was met when the host was
// recorded, and its cause if that is one of the known ones.
type recordedError struct {
	text  string
	cause error
}

func (e *recordedError) Error() string { return e.text }
func (e *recordedError) Unwrap() error { return e.cause }

// errorFields are what a record keeps of an error: its text, never empty, and its cause's name.
func errorFields(err error) (text, cause string) {
	if err == nil {
		return "", ""
	}
	text = err.Error()
	if text == "" {
		text = "unnamed error"
	}
	for _, c := range causes {
		if errors.Is(err, c.err) {
			return text, c.name
		}
	}
	return text, ""
}

func errorFrom(text, cause string) error {
	if text == "" {
		return nil
	}
	i := slices.IndexFunc(causes, func(c namedCause) bool { return c.name == cause })
	if i < 0 {
		return &recordedError{text: text}
	}
	return &recordedError{text: text, cause: causes[i].err}
}
