package platform

import (
	"bytes"
	"strconv"

	"golang.org/x/sys/unix"
)

func (h *live) NetworkNamespaces() ([]byte, error) { return networkNamespaces("/proc") }

// networkNamespaces reads where proc/PID/ns/net of every process leads. A process
// that is gone, or about to be, has no line.
func networkNamespaces(proc string) ([]byte, error) {
	names, err := readDir(proc)
	if err != nil {
		return nil, err
	}
	root, err := openRead(proc, unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer unix.Close(root)
	var text []byte
	var target [64]byte
	for _, pid := range pidsOf(names) {
		name := append(strconv.AppendInt(nil, int64(pid), 10), "/ns/net\x00"...)
		n, errno := readlinkat(root, &name[0], target[:])
		if errno == unix.ENOENT || errno == unix.ESRCH {
			continue
		}
		text = append(strconv.AppendInt(text, int64(pid), 10), ' ')
		id, ok := namespaceID(target[:max(n, 0)])
		switch {
		case errno != 0:
			text = append(append(text, "! "...), errnoName(errno)...)
		case !ok:
			text = append(append(text, "! "...), errnoName(unix.EINVAL)...)
		default:
			text = append(text, id...)
		}
		text = append(text, '\n')
	}
	return text, nil
}

// namespaceID is the number in "net:[4026531840]".
func namespaceID(target []byte) ([]byte, bool) {
	id, ok := bytes.CutPrefix(target, []byte("net:["))
	if !ok {
		return nil, false
	}
	return bytes.CutSuffix(id, []byte{']'})
}
