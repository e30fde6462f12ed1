//go:build darwin || freebsd || openbsd

package platform

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// commandTime is how long a command may take. lsof may hang on a dead file server.
const commandTime = 20 * time.Second

// programDirs are where programs are looked for: PATH may be another user's.
var programDirs = []string{
	"/sbin", "/usr/sbin", "/bin", "/usr/bin", "/usr/libexec/ApplicationFirewall",
	"/usr/local/sbin", "/usr/local/bin", // FreeBSD's packages
}

// Output runs a command. What it prints doesn't depend on the language and the
// time zone of the user.
func (bsd) Output(command ...string) ([]byte, error) {
	if err := readCommand(command); err != nil {
		return nil, err
	}
	program, err := findProgram(command[0])
	if err != nil {
		return nil, err
	}
	limit, cancel := context.WithTimeout(context.Background(), commandTime)
	defer cancel()
	text, complaint := &boundedBuffer{limit: maxFile}, &boundedBuffer{limit: 4096}
	run := exec.CommandContext(limit, program, command[1:]...)
	run.Stdout, run.Stderr = text, complaint
	run.Env = []string{"LC_ALL=C", "TZ=UTC", "PATH=/usr/bin:/bin:/usr/sbin:/sbin"}
	err = run.Run()
	if text.full {
		return nil, fmt.Errorf("%s: %w", command[0], ErrTooLarge)
	}
	if err != nil {
		return nil, commandError(strings.Join(command, " "), err, bytes.TrimSpace(complaint.content))
	}
	return text.content, nil
}

func findProgram(name string) (string, error) {
	for _, dir := range programDirs {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s: no such program in %s: %w", name, strings.Join(programDirs, ", "), syscall.ENOENT)
}

// commandError tells a refusal, or that a device is missing, which programs tell in
// words, from other failures.
func commandError(command string, err error, complaint []byte) error {
	for _, errno := range []syscall.Errno{syscall.EACCES, syscall.EPERM, syscall.ENOENT} {
		if bytes.Contains(bytes.ToLower(complaint), []byte(strings.ToLower(errno.Error()))) {
			return fmt.Errorf("%s: %w: %q", command, errno, complaint)
		}
	}
	return fmt.Errorf("%s: %w: %q", command, err, complaint)
}
