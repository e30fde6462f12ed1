package platform

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestNamespaceFilesAreNamedForTheThread(t *testing.T) {
	for _, c := range []struct {
		name, inside string
		is           bool
	}{
		{"/proc/net/tcp", "/proc/thread-self/net/tcp", true},
		{"/proc/net", "/proc/thread-self/net", true},
		{"/proc/self/net/udp6", "/proc/thread-self/net/udp6", true},
		{"/proc//net/../net/tcp", "/proc/thread-self/net/tcp", true},
		{"/proc/thread-self/net/ip_tables_names", "/proc/thread-self/net/ip_tables_names", true},
		{"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv4/ip_forward", true},
		{"/proc/self/ns/net", "/proc/thread-self/ns/net", true},
		{"/proc/network", "/proc/network", false},
		{"/proc/1/net/tcp", "/proc/1/net/tcp", false},
		{"/proc/sys/kernel/osrelease", "/proc/sys/kernel/osrelease", false},
		{"/etc/hosts", "/etc/hosts", false},
	} {
		if inside, is := insideNamespace(c.name); inside != c.inside || is != c.is {
			t.Errorf("%s: %s, %v", c.name, inside, is)
		}
	}
}

func TestNamespaceThatIsGone(t *testing.T) {
	host := LiveIn("/proc/none/ns/net")
	_, err := host.ReadFile("/proc/net/tcp")
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "/proc/none/ns/net") {
		t.Errorf("file: error %v", err)
	}
	if _, err := host.Netlink(protocolRoute, linkDump()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("netlink: error %v", err)
	}
	if _, err := host.ReadFile("/proc/self/stat"); err != nil {
		t.Errorf("what the namespace has no part in: %v", err)
	}
	_, err = LiveIn("/proc/self/stat").ReadFile("/proc/net/tcp")
	if err == nil || !strings.Contains(err.Error(), "setns") {
		t.Errorf("a file that is no namespace: error %v", err)
	}
}

func TestNamespaceIsReadBesideOurOwn(t *testing.T) {
	ns := newTestTwin(t)
	err := ns.Do(func() error {
		if _, err := ns.OpenLink("inside", 10, typeEthernet); err != nil {
			return err
		}
		return ns.WriteSetting("ipv4/ip_local_port_range", "40000 40001")
	})
	if err != nil {
		t.Fatal(err)
	}
	here, there := Live(), LiveIn(ns.Path())
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	check := func(host Host, inside bool) error {
		reply, err := host.Netlink(protocolRoute, linkDump())
		if err != nil || bytes.Contains(reply, []byte("inside\x00")) != inside {
			return fmt.Errorf("netlink: %d bytes, error %v", len(reply), err)
		}
		devices, err := host.ReadFile("/proc/net/dev")
		if err != nil || bytes.Contains(devices, []byte("inside:")) != inside {
			return fmt.Errorf("/proc/net/dev: %q, error %v", devices, err)
		}
		ports, err := host.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
		if err != nil || (string(ports) == "40000\t40001\n") != inside {
			return fmt.Errorf("ip_local_port_range: %q, error %v", ports, err)
		}
		names, err := host.ReadDir("/proc/sys/net/ipv4/conf")
		if err != nil || slices.Contains(names, "inside") != inside {
			return fmt.Errorf("conf: %q, error %v", names, err)
		}
		id, err := host.Readlink("/proc/self/ns/net")
		if err != nil || (id == own) == inside {
			return fmt.Errorf("namespace %q, our own is %q, error %v", id, own, err)
		}
		return nil
	}
	var running sync.WaitGroup
	for i := range 32 {
		running.Go(func() {
			for range 10 {
				if err := check(there, true); err != nil {
					t.Errorf("inside: %v", err)
				}
				if err := check(here, false); err != nil {
					t.Errorf("outside, reader %d: %v", i, err)
				}
			}
		})
	}
	running.Wait()
}

func TestThreadsInsideANamespaceEnd(t *testing.T) {
	ns := newTestTwin(t)
	host := LiveIn(ns.Path())
	id, err := host.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	if threadsIn(t, id) < 2 {
		t.Fatal("no thread but the test's own is inside: the test shows nothing")
	}
	for deadline := time.Now().Add(20 * workerIdle); ; time.Sleep(workerIdle / 4) {
		threads := threadsIn(t, id)
		if threads == 1 { // kerneltest's
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d threads are still inside", threads-1)
		}
	}
	if _, err := host.ReadFile("/proc/net/tcp"); err != nil {
		t.Errorf("after the threads ended: %v", err)
	}
}

// threadsIn counts this process's threads in a network namespace.
func threadsIn(t *testing.T, id string) int {
	t.Helper()
	links, err := filepath.Glob("/proc/self/task/*/ns/net")
	if err != nil || len(links) == 0 {
		t.Fatalf("%d threads, error %v", len(links), err)
	}
	count := 0
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && target == id {
			count++
		}
	}
	return count
}
