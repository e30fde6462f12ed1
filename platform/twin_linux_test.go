package platform

import (
	"testing"

	"github.com/netglance/netglance/internal/kerneltest/needs"
)

func newTestTwin(t *testing.T) *Twin {
	t.Helper()
	needs.Kernel(t)
	twin, err := NewTwin()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(twin.Close)
	return twin
}
