// Package golden compares what a test got with a file that was reviewed.
package golden

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew from what the tests got")

// Equal fails the test unless got is the content of testdata/name. With -update
// it writes that file instead; read the diff before you commit it.
func Equal(t testing.TB, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", filepath.FromSlash(name))
	if *update {
		write(t, file, got)
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("golden file: %v (run the test with -update to write it)", err)
	}
	if line, a, b, same := firstDifference(want, got); !same {
		t.Errorf("%s differs at line %d:\n want %q\n  got %q\n(-update writes what the test got)", file, line, a, b)
	}
}

func write(t testing.TB, file string, got []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, got, 0o644); err != nil {
		t.Fatal(err)
	}
}

// firstDifference returns the first line in which want and got differ; lines keep their end.
func firstDifference(want, got []byte) (line int, a, b []byte, same bool) {
	for line = 1; len(want) > 0 || len(got) > 0; line++ {
		a, want = cutLine(want)
		b, got = cutLine(got)
		if !bytes.Equal(a, b) {
			return line, a, b, false
		}
	}
	return 0, nil, nil, true
}

func cutLine(b []byte) (line, rest []byte) {
	n := bytes.IndexByte(b, '\n') + 1
	if n == 0 {
		n = len(b)
	}
	return b[:n], b[n:]
}
