package service

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
)

var tlsProtocol = protocol{
	name: "tls",
	ports: []uint16{443, 261, 322, 465, 563, 614, 636, 853, 989, 990, 992, 993, 994, 995, 1311, 2083, 2087, 2096, 2376, 3269, 4443, 4433,
		5061, 5349, 5671, 5986, 6380, 6443, 6514, 6697, 7443, 8006, 8140, 8243, 8443, 8531, 8883, 8834, 9093, 9443, 10250, 10443, 16993},
	claims: claimsTLS,
	talk:   talkTLS,
	plain:  true,
}

// What HTTPS servers say to plain HTTP: nginx, Apache, Go.
var plainToTLS = [][]byte{
	[]byte("plain HTTP request was sent to HTTPS port"),
	[]byte("speaking plain HTTP to an SSL-enabled server port"),
	[]byte("Client sent an HTTP request to an HTTPS server"),
}

func claimsTLS(b []byte) bool {
	return spokeTLS(b) || bytes.HasPrefix(b, []byte("HTTP/1.")) &&
		(bytes.Contains(b, plainToTLS[0]) || bytes.Contains(b, plainToTLS[1]) || bytes.Contains(b, plainToTLS[2]))
}

// spokeTLS says that the first bytes are a handshake or alert record of SSL 3 or TLS (RFC 8446, 5.1).
func spokeTLS(b []byte) bool {
	return len(b) >= 3 && (b[0] == 22 || b[0] == 21) && b[1] == 3 && b[2] <= 4
}

// talkTLS looks at the handshake, and then at what is inside.
func talkTLS(c *conversation) (Service, bool) {
	facts, ok := handshake(c)
	c.close()
	if !ok {
		return Service{}, false
	}
	if facts.Info != "" && facts.TLS == nil {
		return facts, true
	}
	inner := *c.peer
	inner.secure = true
	s, err := inner.identify()
	if err != nil || s.Name == "" {
		s.Name = "tls"
	}
	s.TLS, s.Obsolete = facts.TLS, append(s.Obsolete, oldTLS(c.peer, facts.TLS)...)
	if facts.Access == AccessDenied && s.Access == AccessUnknown {
		s.Access = AccessDenied
	}
	s.Info = join(s.Info, facts.Info)
	return s, true
}

// oldTLS asks whether versions that RFC 8996 forbids are still spoken.
func oldTLS(p *peer, seen *TLS) []string {
	c, err := p.open()
	if err != nil || seen == nil {
		return nil
	}
	defer c.close()
	config := tlsConfig(p, nil)
	config.MaxVersion = tls.VersionTLS11
	state, err := c.secure(config)
	if err != nil {
		return nil
	}
	return []string{tls.VersionName(state.Version)}
}

// handshake tells of a connection's TLS. It is false when the peer does not speak it.
func handshake(c *conversation) (Service, bool) {
	s := Service{Name: "tls"}
	var shown *x509.Certificate
	config := tlsConfig(c.peer, []string{"h2", "http/1.1"})
	config.VerifyPeerCertificate = func(raw [][]byte, _ [][]*x509.Certificate) error {
		shown, _ = x509.ParseCertificate(raw[0])
		return nil
	}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		s.Info = "asks for a client certificate"
		return &tls.Certificate{}, nil
	}
	state, err := c.secure(config)
	if err != nil && remoteAlert(err) == alertNoProtocol {
		// A server of another protocol may insist on its own ALPN, or none.
		again, errOpen := c.peer.open()
		if errOpen != nil {
			return s, true
		}
		defer again.close()
		config.NextProtos = nil
		state, err = again.secure(config)
		c = again
	}
	if err != nil && !spokeTLS(c.first) {
		return Service{}, false
	}
	if state.Version == 0 && shown == nil {
		s.Info = join(s.Info, "the TLS handshake failed: "+cause(err))
		return s, true
	}
	s.TLS = &TLS{ALPN: state.NegotiatedProtocol}
	if state.Version != 0 {
		s.TLS.Version, s.TLS.Cipher = tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite)
	}
	if shown != nil {
		s.TLS.Certificate = certificate(shown)
	}
	if err != nil && s.Info != "" {
		s.Access = AccessDenied
	}
	return s, true
}

// alertNoProtocol is no_application_protocol (RFC 7301).
const alertNoProtocol = "tls: no application protocol"

func remoteAlert(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" && op.Err != nil {
		return op.Err.Error()
	}
	return ""
}

// cause is an error of crypto/tls in the words of that package.
func cause(err error) string {
	if alert := remoteAlert(err); alert != "" {
		return alert
	}
	return err.Error()
}

// tlsConfig takes every version and cipher that Go knows: the question is what the
// server does, not whether it is safe. Nothing secret is sent.
func tlsConfig(p *peer, alpn []string) *tls.Config {
	config := &tls.Config{
		InsecureSkipVerify: true,
		MinVersion:         tls.VersionTLS10,
		NextProtos:         alpn,
	}
	for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		config.CipherSuites = append(config.CipherSuites, suite.ID)
	}
	if _, err := netip.ParseAddr(p.target.Hostname); err != nil {
		config.ServerName = p.target.Hostname
	}
	return config
}

func certificate(c *x509.Certificate) *Certificate {
	sum := sha256.Sum256(c.Raw)
	out := &Certificate{
		Subject: c.Subject.String(), Issuer: c.Issuer.String(),
		NotBefore: c.NotBefore, NotAfter: c.NotAfter,
		SelfSigned: bytes.Equal(c.RawSubject, c.RawIssuer),
		Key:        keyName(c.PublicKey),
		Signature:  c.SignatureAlgorithm.String(),
		SHA256:     hex.EncodeToString(sum[:]),
	}
	out.Names = append(out.Names, c.DNSNames[:min(len(c.DNSNames), maxNames)]...)
	for _, a := range c.IPAddresses[:min(len(c.IPAddresses), maxNames)] {
		out.Names = append(out.Names, a.String())
	}
	return out
}

func keyName(key any) string {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", k.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + k.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return "unknown"
}
