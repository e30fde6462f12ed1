package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/netglance/netglance/report"
	"github.com/netglance/netglance/scan"
)

// A scanStore keeps the last scan of each set of targets: a file with its JSON, in
// the user's state directory.
type scanStore struct{ directory string }

// openScanStore is $XDG_STATE_HOME/netglance/scans (XDG Base Directory Specification).
func openScanStore(getenv func(string) string) (scanStore, error) {
	state := getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) {
		home := getenv("HOME")
		if home == "" {
			return scanStore{}, usage("set XDG_STATE_HOME to a directory", "scans can't be saved: there is no home directory")
		}
		state = filepath.Join(home, ".local", "state")
	}
	return scanStore{filepath.Join(state, "netglance", "scans")}, nil
}

// file names the targets so that a person finds it, and their hash so that no two are alike.
func (s scanStore) file(targets []string) string {
	sorted := slices.Sorted(slices.Values(targets))
	if len(sorted) == 0 {
		sorted = []string{"this-host"}
	}
	readable := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
			return r
		}
		return '_'
	}, strings.ToLower(sorted[0]))
	sum := sha256.Sum256([]byte(strings.Join(sorted, "\n")))
	return filepath.Join(s.directory, fmt.Sprintf("%.60s-%x.json", readable, sum[:6]))
}

// save replaces the scan of these targets.
func (s scanStore) save(targets []string, about report.Host, answer report.Scan) error {
	answer.Since = nil
	var b bytes.Buffer
	if err := report.ScanJSON(&b, about, answer); err != nil {
		return err
	}
	if err := os.MkdirAll(s.directory, 0o700); err != nil {
		return err
	}
	temporary, err := os.CreateTemp(s.directory, ".scan-*")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name()) // once renamed, it isn't there
	_, err = temporary.Write(b.Bytes())
	if err = errors.Join(err, temporary.Close()); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), s.file(targets))
}

// last is the saved scan of these targets and when it was saved.
func (s scanStore) last(targets []string) ([]scan.Host, time.Time, error) {
	file, err := os.Open(s.file(targets))
	if err != nil {
		return nil, time.Time{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, time.Time{}, err
	}
	hosts, err := report.ReadScan(file)
	return hosts, info.ModTime(), err
}

// An earlier scan is what a new one is compared with.
type earlierScan struct {
	hosts []scan.Host
	at    time.Time
}

// earlier is the scan of these targets that was saved last; nil if there is none,
// which is wrong only where nothing is about to be saved.
func (s scanStore) earlier(targets []string, saving bool) (*earlierScan, error) {
	hosts, at, err := s.last(targets)
	switch {
	case errors.Is(err, fs.ErrNotExist) && saving:
		return nil, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, usage("save one with --save first", "no scan of these targets was saved")
	case err != nil:
		return nil, usage("save a new one with --save", "the saved scan %s can't be read: %w", s.file(targets), err)
	}
	return &earlierScan{hosts, at}, nil
}

func (e *earlierScan) compare(answer *report.Scan) {
	if e != nil {
		answer.Since = &report.Comparison{Before: e.at.UTC().Format(time.RFC3339), Changes: scan.Diff(e.hosts, answer.Hosts)}
	}
}
