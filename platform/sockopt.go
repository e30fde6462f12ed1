package platform

import (
	"errors"
	"fmt"
)

// callSockopt is the kind of a recorded Getsockopt.
const callSockopt = 'O'

// Levels of socket options (include/linux/socket.h).
const (
	levelIPv4 = 0
	levelIPv6 = 41
)

// readOptions are the only socket options that are asked for, by level and
// number. Asking for a legacy table that doesn't exist makes the kernel create
// it, so callers ask only for those that ip_tables_names lists.
var readOptions = map[int]map[int]string{
	levelIPv4: {64: "IPT_SO_GET_INFO", 65: "IPT_SO_GET_ENTRIES", 83: "SO_IP_SET"},
	levelIPv6: {64: "IP6T_SO_GET_INFO", 65: "IP6T_SO_GET_ENTRIES"},
}

// maxSockopt is what one option may hold: a table of about two million rules.
const maxSockopt = 512 << 20

func readOption(level, option int, argument []byte, size int) (string, error) {
	name, ok := readOptions[level][option]
	if !ok {
		return "", fmt.Errorf("socket option %d of level %d: %w", option, level, ErrNotRead)
	}
	if size < len(argument) || size <= 0 {
		return "", fmt.Errorf("%s: %d bytes where %d are given: %w", name, size, len(argument), ErrNotRead)
	}
	if size > maxSockopt {
		return "", fmt.Errorf("%s: %d bytes: %w", name, size, ErrTooLarge)
	}
	return name, nil
}

func sockoptCall(family, level, option int, argument []byte, size int) call {
	return call{callSockopt, fmt.Sprintf("%d %d %d %d %s", family, level, option, size, argument)}
}

// Getsockopt keeps the answer.
func (r *Recorder) Getsockopt(family, level, option int, argument []byte, size int) ([]byte, error) {
	value, err := r.host.Getsockopt(family, level, option, argument, size)
	if !errors.Is(err, ErrNotRead) {
		r.keep(sockoptCall(family, level, option, argument, size), value, err)
	}
	return value, err
}

// Getsockopt is the recorded answer to the same call.
func (r *Recording) Getsockopt(family, level, option int, argument []byte, size int) ([]byte, error) {
	name, err := readOption(level, option, argument, size)
	if err != nil {
		return nil, err
	}
	return r.answer(sockoptCall(family, level, option, argument, size), name)
}
