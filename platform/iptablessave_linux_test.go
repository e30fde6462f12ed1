package platform

import (
	"bytes"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netglance/netglance/internal/kerneltest/needs"
)

func TestIptablesSaveReadsTheNamespaceAndCreatesNoTable(t *testing.T) {
	needs.Kernel(t)
	if _, err := exec.LookPath("iptables-legacy-save"); err != nil {
		t.Skip("iptables-legacy-save is not installed")
	}
	twin := newTestTwin(t)
	host := LiveIn(twin.Path())
	err := twin.Do(func() error {
		_, err := twin.Run("", "iptables-legacy", "-t", "mangle", "-A", "FORWARD", "-p", "tcp", "--dport", "4711", "-j", "DROP")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // what the first run did, the second would show
		text, err := host.IptablesSave(unix.AF_INET)
		if err != nil || !bytes.Contains(text, []byte("\n[0:0] -A FORWARD -p tcp -m tcp --dport 4711 -j DROP\n")) || bytes.Contains(text, []byte("*filter")) {
			t.Errorf("%v: %s", err, text)
		}
		names, err := host.ReadFile("/proc/net/ip_tables_names")
		if err != nil || string(names) != "mangle\n" {
			t.Errorf("tables %q, %v", names, err)
		}
	}
	if text, err := host.IptablesSave(unix.AF_INET6); err != nil || len(text) > 0 {
		t.Errorf("IPv6, which has no table: %q, %v", text, err)
	}
}

func TestIptablesSaveOfAnotherFamilyIsRefused(t *testing.T) {
	if _, err := Live().IptablesSave(unix.AF_UNIX); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("error %v", err)
	}
}

func TestWithoutIptablesTheErrorSaysSo(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := Live().IptablesSave(unix.AF_INET); !errors.Is(err, exec.ErrNotFound) || !strings.Contains(err.Error(), "iptables-legacy") {
		t.Errorf("error %v", err)
	}
}

func TestATextWithoutEndIsCutOff(t *testing.T) {
	b := &boundedBuffer{limit: 5}
	for range 3 {
		if n, err := b.Write([]byte("abc")); n != 3 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	if string(b.content) != "abcab" || !b.full {
		t.Errorf("%q, full %v", b.content, b.full)
	}
}
