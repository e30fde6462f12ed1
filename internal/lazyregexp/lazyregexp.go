// Package lazyregexp compiles regular expressions when they are first used: a run
// that doesn't need them doesn't pay for them.
package lazyregexp

import (
	"os"
	"regexp"
	"strings"
	"sync"
)

// A Regexp is a regular expression (package regexp). It is safe for concurrent use.
type Regexp struct {
	get func() *regexp.Regexp
}

// New makes a Regexp that panics at its first use if the expression is wrong; in
// tests at once.
func New(expression string) *Regexp {
	r := &Regexp{get: sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })}
	if strings.HasSuffix(os.Args[0], ".test") {
		r.get()
	}
	return r
}

// MatchString says that s holds a match.
func (r *Regexp) MatchString(s string) bool { return r.get().MatchString(s) }

// Match says that b holds a match.
func (r *Regexp) Match(b []byte) bool { return r.get().Match(b) }

// FindString is the first match; empty if there is none.
func (r *Regexp) FindString(s string) string { return r.get().FindString(s) }

// FindStringSubmatch is the first match and its groups; nil if there is none.
func (r *Regexp) FindStringSubmatch(s string) []string { return r.get().FindStringSubmatch(s) }

// FindStringSubmatchIndex is where the first match and its groups start and end.
func (r *Regexp) FindStringSubmatchIndex(s string) []int { return r.get().FindStringSubmatchIndex(s) }

// FindSubmatch is the first match in b and its groups; nil if there is none.
func (r *Regexp) FindSubmatch(b []byte) [][]byte { return r.get().FindSubmatch(b) }

// ReplaceAllString puts by in the place of every match.
func (r *Regexp) ReplaceAllString(s, by string) string { return r.get().ReplaceAllString(s, by) }

// FindAllSubmatch is the first n matches in b with their groups, all if n < 0.
func (r *Regexp) FindAllSubmatch(b []byte, n int) [][][]byte { return r.get().FindAllSubmatch(b, n) }

// ReplaceAll puts by in the place of every match.
func (r *Regexp) ReplaceAll(b, by []byte) []byte { return r.get().ReplaceAll(b, by) }
