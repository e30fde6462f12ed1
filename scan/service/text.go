package service

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// text makes what a peer said valid UTF-8 of bounded length: a byte that is not
// becomes \xff as Go writes it. Control characters stay; the report cleans them.
func text(s string, limit int) string {
	cut := s
	if len(cut) > limit {
		cut = cut[:limit]
		for n := 0; n < utf8.UTFMax && len(cut) > 0; n++ { // no half character at the end
			if r, size := utf8.DecodeLastRuneInString(cut); r != utf8.RuneError || size != 1 {
				break
			}
			cut = cut[:len(cut)-1]
		}
	}
	if utf8.ValidString(cut) {
		return strings.TrimSpace(cut)
	}
	var b strings.Builder
	for i := 0; i < len(cut); {
		r, size := utf8.DecodeRuneInString(cut[i:])
		if r == utf8.RuneError && size == 1 {
			fmt.Fprintf(&b, `\x%02x`, cut[i])
		} else {
			b.WriteString(cut[i : i+size])
		}
		i += size
	}
	return strings.TrimSpace(b.String())
}

// tidy bounds every text of a service.
func (s *Service) tidy(banner []byte) {
	for _, field := range []*string{&s.Product, &s.Version, &s.Info, &s.Hostname, &s.Title} {
		*field = text(*field, maxText)
	}
	if s.Banner == "" {
		s.Banner = string(banner)
	}
	s.Banner = text(s.Banner, maxBanner)
	if s.TLS == nil || s.TLS.Certificate == nil {
		return
	}
	c := s.TLS.Certificate
	c.Subject, c.Issuer = text(c.Subject, maxText), text(c.Issuer, maxText)
	c.Names = c.Names[:min(len(c.Names), maxNames)]
	for i, n := range c.Names {
		c.Names[i] = text(n, maxText)
	}
}

// maxNames of a certificate are kept.
const maxNames = 100

// firstLine is a text up to its first line break.
func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return strings.TrimSpace(line)
}

// productVersion takes "nginx/1.22.1" or "Dovecot 2.3" apart; without a number
// behind the separator all of it is the product.
func productVersion(s string) (product, version string) {
	for _, separator := range []string{"/", " "} {
		p, v, found := strings.Cut(s, separator)
		v, _, _ = strings.Cut(v, " ")
		if found && startsWithDigit(strings.TrimPrefix(v, "v")) {
			return p, strings.TrimPrefix(v, "v")
		}
	}
	return s, ""
}

func startsWithDigit(s string) bool { return s != "" && s[0] >= '0' && s[0] <= '9' }
