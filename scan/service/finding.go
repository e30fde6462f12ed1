package service

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// A Finding is something about a service that its owner should know.
type Finding struct {
	Severity string // "high", "medium", "low" or "info"
	Code     string // stable, in kebab case: "no-authentication"
	Text     string
	Remedy   string
}

const (
	high   = "high"
	medium = "medium"
	low    = "low"
	info   = "info"
)

var severities = []string{high, medium, low, info}

// A sighting is a service at a port, at a time.
type sighting struct {
	Service
	protocol string
	port     uint16
	now      time.Time
}

// Findings are those of a service seen at a port, the worst first.
func Findings(protocol string, port uint16, s Service) []Finding {
	return findings(sighting{s, protocol, port, time.Now()})
}

func findings(s sighting) []Finding {
	var out []Finding
	for _, look := range []func(sighting) []Finding{
		openAccess, plainText, obsolete, management, certificateFaults, versionTold, unusualPort, amplifiers,
	} {
		out = append(out, look(s)...)
	}
	slices.SortStableFunc(out, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(slices.Index(severities, a.Severity), slices.Index(severities, b.Severity)),
			cmp.Compare(a.Code, b.Code), cmp.Compare(a.Text, b.Text))
	})
	return out
}

// what names the service for a sentence: its product, or its protocol.
func (s sighting) what() string {
	if s.Name == "snmp" || s.Name == "microsoft-ds" || s.Name == "http" { // whose product is the device's, or says little
		return s.spoken()
	}
	return or(s.Product, s.spoken())
}

// spoken is the protocol's name, with TLS where it is around it.
func (s sighting) spoken() string {
	name := or(s.Name, Name(s.protocol, s.port), "an unknown service")
	if s.TLS != nil && s.Name != "tls" && s.Name != "rdp" {
		return name + " over TLS"
	}
	return name
}

func (s sighting) at() string { return fmt.Sprintf("%d/%s", s.port, s.protocol) }
