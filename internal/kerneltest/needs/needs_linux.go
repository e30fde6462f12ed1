// Package needs leaves tests out that ask the kernel, where it can't be asked.
package needs

import (
	"os"
	"os/exec"
	"testing"
)

// Kernel skips the test, naming what is missing, where no namespace can be
// made. With NETGLANCE_REQUIRE_KERNEL=1 the test fails instead.
func Kernel(t testing.TB) {
	t.Helper()
	missing := missingRequirement()
	if missing == "" {
		return
	}
	if os.Getenv("NETGLANCE_REQUIRE_KERNEL") == "1" {
		t.Fatalf("kernel test cannot run: %s", missing)
	}
	t.Skipf("kernel test left out: %s", missing)
}

func missingRequirement() string {
	if os.Geteuid() != 0 {
		return "needs root"
	}
	for _, tool := range []string{"nft", "ip", "tc"} {
		if _, err := exec.LookPath(tool); err != nil {
			return "needs the command " + tool
		}
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		return "needs /dev/net/tun"
	}
	return ""
}
