package platform

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestEveryProcessIsListedWithItsNetworkNamespace(t *testing.T) {
	text, err := Live().NetworkNamespaces()
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	line := fmt.Sprintf("\n%d %s\n", os.Getpid(), strings.Trim(own, "net:[]"))
	if !strings.Contains("\n"+string(text), line) {
		t.Errorf("no line %q in %q", line, text)
	}
}

func TestANamespaceIsNotTakenForItsSuccessor(t *testing.T) {
	ns := newTestTwin(t)
	var stat unix.Stat_t
	if err := unix.Stat(ns.Path(), &stat); err != nil {
		t.Fatal(err)
	}
	if _, err := Live().In(ns.Path(), stat.Ino).Netlink(protocolRoute, linkDump()); err != nil {
		t.Errorf("the one that was meant: %v", err)
	}
	_, err := Live().In(ns.Path(), stat.Ino+1).Netlink(protocolRoute, linkDump())
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("another that has its path now: %v", err)
	}
}

func TestWhatIsNoNamespaceIsNotOpened(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{pipe, "/dev/null", t.TempDir()} {
		if _, err := LiveIn(name).Netlink(protocolRoute, linkDump()); !errors.Is(err, unix.EINVAL) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDockersAnswerIsReadOnlyIfItIsOne(t *testing.T) {
	for answer, want := range map[string]string{
		"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n[{}]\n": "[{}]\n",
		"HTTP/1.1 403 Forbidden\r\n\r\n{}":                                "error",
		"SSH-2.0-OpenSSH_9.2\r\n":                                         "error",
		"":                                                                "error",
	} {
		name := filepath.Join(t.TempDir(), "docker.sock")
		l, err := net.Listen("unix", name)
		if err != nil {
			t.Fatal(err)
		}
		asked := make(chan string, 1)
		go func() {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b := make([]byte, 4096)
			n, _ := c.Read(b)
			asked <- string(b[:n])
			c.Write([]byte(answer))
			c.Close()
		}()
		body, err := askDocker(name)
		l.Close()
		if want == "error" && err == nil || want != "error" && string(body) != want {
			t.Errorf("%q gave %q, %v", answer, body, err)
		}
		if request := <-asked; !strings.HasPrefix(request, "GET /containers/json ") {
			t.Errorf("asked %q", request)
		}
	}
	if _, err := askDocker("/dev/null"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is no socket: %v", err)
	}
}
