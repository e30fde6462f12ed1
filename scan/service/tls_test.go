package service

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"
)

var year2030 = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// selfSigned is a certificate for web-1.example.org that ends in 2030.
func selfSigned(t *testing.T, pad int) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "web-1.example.org"},
		DNSNames: []string{"web-1.example.org", "www.example.org"}, IPAddresses: []net.IP{{192, 0, 2, 7}},
		NotBefore: year2030.AddDate(-10, 0, 0), NotAfter: year2030,
	}
	if pad > 0 {
		template.ExtraExtensions = []pkix.Extension{{Id: []int{1, 2, 3, 4}, Value: make([]byte, pad)}}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// overTLS puts a peer's words inside TLS.
func overTLS(config *tls.Config, serve func(net.Conn)) func(net.Conn) {
	return func(c net.Conn) {
		secured := tls.Server(c, config)
		if secured.Handshake() == nil {
			serve(secured)
		}
	}
}

func TestWhatIsInsideTLSIsRecognised(t *testing.T) {
	nginx := script("", "GET", "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\n\r\n")
	for _, c := range []struct {
		name  string
		port  uint16
		serve func(net.Conn)
		want  string
	}{
		{"HTTPS", 443, nginx, "http nginx 1.22.1 ()"},
		{"HTTPS where nobody expects it", 40443, nginx, "http nginx 1.22.1 ()"},
		{"IMAPS", 993, script("* OK Dovecot ready.\r\n", "CAPABILITY", "a OK\r\n"), "imap Dovecot  ()"},
		{"mail in TLS elsewhere", 40465, script("220 mail.example.org ESMTP Exim 4.96\r\n", "EHLO", "250 here\r\n"), "smtp Exim 4.96 () host mail.example.org"},
		{"Docker with TLS", 2376, script("", "GET /version", jsonPage+`{"Version":"24.0.7","ApiVersion":"1.43"}`, "GET / ", notFound), "docker Docker 24.0.7 (API 1.43) open"},
		{"something silent", 40444, silence, "tls   ()"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := &tls.Config{Certificates: []tls.Certificate{selfSigned(t, 0)}, NextProtos: []string{"h2", "http/1.1"}}
			s, _ := identify(t, &network{serve: overTLS(config, c.serve)}, "tcp", c.port)
			if got := told(s); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if s.TLS == nil || s.TLS.Certificate == nil {
				t.Fatalf("no certificate: %+v", s)
			}
			if s.TLS.Version != "TLS 1.3" || s.TLS.ALPN != "h2" || s.TLS.Cipher == "" {
				t.Errorf("%+v", s.TLS)
			}
			got := s.TLS.Certificate
			if got.Subject != "CN=web-1.example.org" || strings.Join(got.Names, " ") != "web-1.example.org www.example.org 192.0.2.7" ||
				!got.SelfSigned || got.Key != "ECDSA P-256" || !got.NotAfter.Equal(year2030) || len(got.SHA256) != 64 {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestTLSThatFailsIsStillTLS(t *testing.T) {
	certificate := []tls.Certificate{selfSigned(t, 0)}
	for _, c := range []struct {
		name   string
		config *tls.Config
		want   string
	}{
		{"a client certificate is required", &tls.Config{Certificates: certificate, ClientAuth: tls.RequireAnyClientCert}, "tls   (asks for a client certificate)"},
		{"the same of TLS 1.2", &tls.Config{Certificates: certificate, ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12}, "tls   (asks for a client certificate) denied"},
		{"only another ALPN", &tls.Config{Certificates: certificate, NextProtos: []string{"postgresql"}}, "http   ()"},
		{"old versions", &tls.Config{Certificates: certificate, MinVersion: tls.VersionTLS10}, "http   () obsolete: TLS 1.1"},
		{"no certificate at all", &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, net.ErrClosed }},
			"tls   (the TLS handshake failed: tls: internal error)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := &network{serve: overTLS(c.config, script("", "GET", "HTTP/1.1 200 OK\r\n\r\n"))}
			s, _ := identify(t, n, "tcp", 443)
			if got := told(s); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestHugeCertificatesAreNotSwallowed(t *testing.T) {
	for _, size := range []int{200 << 10, 1 << 20} {
		config := &tls.Config{Certificates: []tls.Certificate{selfSigned(t, size)}, MaxVersion: tls.VersionTLS12}
		n := &network{serve: overTLS(config, silence)}
		s, took := identify(t, n, "tcp", 443)
		if s.Name != "tls" || took > maxTime || n.read.Load() > maxConnections*maxReadTLS/4 {
			t.Errorf("%d bytes of certificate: %s after %v, %d bytes read", size, told(s), took, n.read.Load())
		}
	}
}
