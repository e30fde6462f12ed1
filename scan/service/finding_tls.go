package service

import (
	"fmt"
	"strings"
	"time"
)

// soon is how long before its end a certificate is worth a word.
const soon = 14 * 24 * time.Hour

const day = "2006-01-02"

func certificateFaults(s sighting) []Finding {
	if s.TLS == nil || s.TLS.Certificate == nil {
		return nil
	}
	var out []Finding
	add := func(severity, code, text, remedy string) {
		out = append(out, Finding{severity, code, text, remedy})
	}
	const renew = "Renew the certificate, and have it renewed by itself (certbot, acme.sh, Caddy)."
	c := s.TLS.Certificate
	switch {
	case s.now.After(c.NotAfter):
		add(medium, "certificate-expired", fmt.Sprintf("its certificate ended on %s.", c.NotAfter.UTC().Format(day)), renew)
	case s.now.Before(c.NotBefore):
		add(medium, "certificate-not-yet-valid", fmt.Sprintf("its certificate begins on %s only.", c.NotBefore.UTC().Format(day)), "Check the clocks of both hosts.")
	case c.NotAfter.Sub(s.now) < soon:
		add(low, "certificate-ends-soon", fmt.Sprintf("its certificate ends on %s.", c.NotAfter.UTC().Format(day)), renew)
	}
	if c.SelfSigned && s.Name != "rdp" { // which Windows makes so
		add(info, "certificate-self-signed", "its certificate is signed by itself: clients can't tell it from another's.", "Use one of a public or an own authority.")
	}
	if bits := number(strings.TrimPrefix(c.Key, "RSA ")); strings.HasPrefix(c.Key, "RSA ") && bits < 2048 {
		add(medium, "certificate-weak", fmt.Sprintf("its certificate's key is %s.", c.Key), "Make a new key: RSA of 2048 bits or more, or ECDSA P-256.")
	}
	if strings.Contains(c.Signature, "SHA1") || strings.Contains(c.Signature, "MD5") || strings.Contains(c.Signature, "MD2") {
		add(medium, "certificate-weak", fmt.Sprintf("its certificate is signed with %s.", c.Signature), "Have it signed anew with SHA-256.")
	}
	return out
}
