package platform

import (
	"path"
	"strconv"
	"strings"
	"sync"
)

// The kinds of calls that are about network namespaces.
const (
	callNamespaces = 'U'
	// callWithin is a call that was answered by another network namespace: the key
	// is the namespace's id or path, a space, the call's own kind and its key.
	callWithin = 'W'
)

// within is a call as it is kept of a namespace. What all namespaces of a host
// share is kept once.
func within(namespace string, c call) call {
	if namespace == "" {
		return c
	}
	switch c.kind {
	case callNetlink, callSockopt, callSave, callPrograms:
	case callReadFile, callReadDir, callReadlink:
		if _, inside := insideNamespace(c.key); !inside {
			return c
		}
	default:
		return c
	}
	return call{callWithin, namespace + " " + string(rune(c.kind)) + c.key}
}

// namespaceName is what the calls within a namespace are kept under.
func namespaceName(path string, id uint64) string {
	if id == 0 {
		return path
	}
	return strconv.FormatUint(id, 10)
}

// insideNamespace says whether a file shows the network namespace of the thread
// that opens it, and its name for such a thread: /proc/net and /proc/self are
// those of the thread group's leader, which stays outside.
func insideNamespace(name string) (string, bool) {
	clean := path.Clean(name)
	for _, alias := range [...]struct{ name, inside string }{
		{"/proc/net", "/proc/thread-self/net"},
		{"/proc/self/net", "/proc/thread-self/net"},
		{"/proc/thread-self/net", "/proc/thread-self/net"},
		{"/proc/self/ns/net", "/proc/thread-self/ns/net"},
		{"/proc/thread-self/ns/net", "/proc/thread-self/ns/net"},
		{"/proc/sys/net", "/proc/sys/net"},
	} {
		rest, found := strings.CutPrefix(clean, alias.name)
		if found && (rest == "" || rest[0] == '/') {
			return alias.inside + rest, true
		}
	}
	return name, false
}

// In records another network namespace of the host into the same recording.
func (r *Recorder) In(path string, id uint64) Host {
	return &Recorder{host: r.host.In(path, id), version: r.version, time: r.time, namespace: namespaceName(path, id), kept: r.kept}
}

// Close lets go of what the recorded host holds open.
func (r *Recorder) Close() error {
	if c, ok := r.host.(interface{ Close() error }); ok {
		return c.Close()
	}
	return nil
}

func (r *Recorder) NetworkNamespaces() ([]byte, error) {
	text, err := r.host.NetworkNamespaces()
	r.keep(call{kind: callNamespaces}, text, err)
	return text, err
}

// In is what was recorded of another network namespace.
func (r *Recording) In(path string, id uint64) Host {
	return &Recording{Meta: r.Meta, answers: r.answers, namespace: namespaceName(path, id)}
}

func (r *Recording) NetworkNamespaces() ([]byte, error) {
	return r.answer(call{kind: callNamespaces}, "network namespaces of processes")
}

// answers are what the recorders of a host's namespaces keep together.
type answers struct {
	sync.Mutex
	by map[call]answer
}
