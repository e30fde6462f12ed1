package platform

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// dockerSockets are where dockerd listens (dockerd(8)).
var dockerSockets = []string{"/run/docker.sock", "/var/run/docker.sock"}

const (
	// maxContainers bounds the API's answer: some thousand bytes a container.
	maxContainers = 16 << 20
	dockerTime    = 5 * time.Second
)

// Containers asks dockerd. Where systemd holds its socket (docker.socket), a
// connection would start it: only a running one is asked.
func (h *live) Containers() ([]byte, error) {
	if !runs("dockerd") {
		return nil, fmt.Errorf("dockerd is not running: %w", unix.ENOENT)
	}
	var failed error
	for _, name := range dockerSockets {
		text, err := askDocker(name)
		if err == nil {
			return text, nil
		}
		failed = errors.Join(failed, err)
	}
	return nil, failed
}

// runs says whether a process of this name is visible.
func runs(name string) bool {
	names, err := readDir("/proc")
	if err != nil {
		return false
	}
	for _, pid := range pidsOf(names) {
		comm, err := readFile("/proc/" + strconv.Itoa(pid) + "/comm")
		if err == nil && string(bytes.TrimSuffix(comm, []byte{'\n'})) == name {
			return true
		}
	}
	return false
}

// askDocker sends one GET. HTTP/1.0: the answer is not chunked, and ends with the
// connection (RFC 1945).
func askDocker(name string) ([]byte, error) {
	if info, err := os.Stat(name); err != nil {
		return nil, err
	} else if info.Mode().Type() != fs.ModeSocket {
		return nil, fmt.Errorf("%s is no socket: %w", name, unix.ENOENT)
	}
	connection, err := net.DialTimeout("unix", name, dockerTime)
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	if err := connection.SetDeadline(time.Now().Add(dockerTime)); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(connection, "GET /containers/json HTTP/1.0\r\nHost: docker\r\n\r\n"); err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(io.LimitReader(connection, maxContainers+1))
	if err != nil {
		return nil, err
	}
	if len(answer) > maxContainers {
		return nil, fmt.Errorf("%s: %w", name, ErrTooLarge)
	}
	return httpBody(name, answer)
}

func httpBody(name string, answer []byte) ([]byte, error) {
	head, body, found := bytes.Cut(answer, []byte("\r\n\r\n"))
	status, _, _ := bytes.Cut(head, []byte("\r\n"))
	words := bytes.Fields(status)
	if !found || len(words) < 2 || !bytes.HasPrefix(words[0], []byte("HTTP/1.")) || string(words[1]) != "200" {
		return nil, fmt.Errorf("%s: answered %.100q", name, status)
	}
	return body, nil
}
