package report

import (
	"testing"
	"unicode"
	"unicode/utf8"
)

// FuzzClean: what is shown is printable, and cleaning it again changes nothing.
func FuzzClean(f *testing.F) {
	for _, seed := range []string{hostile, "plain", "grüße", "\x1b[2J", "\u2066x\u2069", "\xf0\x28\x8c\x28", "e\u0301", "\u00a0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		shown := Clean(s)
		if !utf8.ValidString(shown) {
			t.Errorf("%q is not UTF-8", shown)
		}
		for _, r := range shown {
			if !unicode.IsPrint(r) {
				t.Errorf("%q holds %U", shown, r)
			}
		}
		if again := Clean(shown); again != shown {
			t.Errorf("%q became %q", shown, again)
		}
	})
}
