package correlate

import (
	"strings"
	"testing"
)

func TestServiceNames(t *testing.T) {
	for want, port := range map[string]uint16{"ssh": 22, "https": 443, "postgresql": 5432, "redis": 6379, "": 31999} {
		if got := Service("tcp", port); got != want {
			t.Errorf("%d/tcp is %q, want %q", port, got, want)
		}
	}
	if Service("udp", 22) != "" || Service("udplite", 53) != "domain" {
		t.Error("the protocol counts")
	}
}

func TestEveryLineOfTheServicesIsRead(t *testing.T) {
	if lines := strings.Count(servicesText, "\n"); len(services()) != lines {
		t.Errorf("%d names of %d lines: one is twice or not well formed", len(services()), lines)
	}
}
