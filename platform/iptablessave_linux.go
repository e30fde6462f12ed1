package platform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/coreos/go-iptables/iptables"
	"golang.org/x/sys/unix"
)

// saveTime is how long iptables-save may take; 100,000 rules take it a second.
const saveTime = 30 * time.Second

// IptablesSave runs iptables-legacy-save, or ip6tables-legacy-save.
func (h *live) IptablesSave(family int) ([]byte, error) {
	command, err := legacySave(family)
	if err != nil {
		return nil, err
	}
	return runSave(command)
}

// IptablesSave runs it in the namespace: a process starts in that of the thread
// that starts it.
func (h *namespaceHost) IptablesSave(family int) (text []byte, err error) {
	failed := h.namespace.do(func() { text, err = h.live.IptablesSave(family) })
	if failed != nil {
		return nil, failed
	}
	return text, err
}

// legacySave finds the command that saves the tables of x_tables. go-iptables
// finds the binary and asks its version; it keeps the backend to itself, but only
// 1.8.0 and later have another than x_tables, and their "iptables" may be either.
func legacySave(family int) (string, error) {
	protocol, command := iptables.ProtocolIPv4, "iptables"
	switch family {
	case unix.AF_INET:
	case unix.AF_INET6:
		protocol, command = iptables.ProtocolIPv6, "ip6tables"
	default:
		return "", fmt.Errorf("iptables-save for address family %d: %w", family, errors.ErrUnsupported)
	}
	_, err := iptables.New(iptables.IPFamily(protocol), iptables.Path(command+"-legacy"))
	if err == nil {
		return command + "-legacy-save", nil
	}
	old, oldErr := iptables.New(iptables.IPFamily(protocol), iptables.Path(command))
	if oldErr == nil {
		if major, minor, _ := old.GetIptablesVersion(); major < 1 || major == 1 && minor < 8 {
			return command + "-save", nil
		}
	}
	return "", fmt.Errorf("no iptables that reads the legacy tables: %w", err)
}

// runSave runs a save command. It reads the tables in ip_tables_names and creates
// none; a modprobe that fails keeps it from loading modules (iptables-save(8)).
func runSave(command string) ([]byte, error) {
	limit, cancel := context.WithTimeout(context.Background(), saveTime)
	defer cancel()
	text, complaint := &boundedBuffer{limit: maxFile}, &boundedBuffer{limit: 4096}
	run := exec.CommandContext(limit, command, "-c", "-M", "/bin/false")
	run.Stdout, run.Stderr = text, complaint
	run.Env = []string{"LC_ALL=C"}
	err := run.Run()
	if text.full {
		return nil, fmt.Errorf("%s: %w", command, ErrTooLarge)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %q", command, err, bytes.TrimSpace(complaint.content))
	}
	return text.content, nil
}
