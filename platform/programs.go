package platform

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// callPrograms is the kind of a recorded Programs.
const callPrograms = 'P'

// A place is where BPF programs are attached, or a program itself.
type place struct {
	kind   string
	number uint64
}

// numbered are the places that have a number, and those that have none.
var numbered = map[string]bool{"cgroup": true, "link": true, "program": true, "netns": false, "netfilter": false}

// parsePlace reads the argument of Host.Programs.
func parsePlace(where string) (place, error) {
	kind, number, hasNumber := strings.Cut(where, " ")
	wants, known := numbered[kind]
	if !known || wants != hasNumber {
		return place{}, fmt.Errorf("BPF programs of %q: %w", where, ErrNotRead)
	}
	if !hasNumber {
		return place{kind: kind}, nil
	}
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return place{}, fmt.Errorf("BPF programs of %q: %w", where, ErrNotRead)
	}
	return place{kind, n}, nil
}

// Programs keeps the answer.
func (r *Recorder) Programs(where string) ([]byte, error) {
	text, err := r.host.Programs(where)
	if !errors.Is(err, ErrNotRead) {
		r.keep(call{callPrograms, where}, text, err)
	}
	return text, err
}

// Programs is the recorded answer to the same question.
func (r *Recording) Programs(where string) ([]byte, error) {
	if _, err := parsePlace(where); err != nil {
		return nil, err
	}
	return r.answer(call{callPrograms, where}, "BPF programs of "+where)
}
