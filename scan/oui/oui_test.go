package oui

import (
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gopacket/gopacket/macs"

	_ "github.com/netglance/netglance/internal/golden" // -update
)

// The list that is shipped is gopacket's; -update writes it anew after an upgrade.
func TestTheListIsTheLibrarys(t *testing.T) {
	var lines []string
	for prefix, name := range macs.ValidMACPrefixMap {
		lines = append(lines, fmt.Sprintf("%02X%02X%02X %s\n", prefix[0], prefix[1], prefix[2], strings.TrimSpace(name)))
	}
	slices.Sort(lines)
	want := strings.Join(lines, "")
	if flag.Lookup("update").Value.String() == "true" {
		var b bytes.Buffer
		w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
		w.Write([]byte(want))
		w.Close()
		if err := os.WriteFile("prefixes.txt.gz", b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := unpack(prefixes)
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("prefixes.txt.gz has %d lines, the library %d: run the test with -update", strings.Count(got, "\n"), len(lines))
	}
}

func TestVendor(t *testing.T) {
	for hardware, want := range map[string]string{
		"08:00:30:01:02:03": "NETWORK RESEARCH CORPORATION",
		"00:00:00:00:00:01": "XEROX CORPORATION",
		"02:00:00:00:00:01": "", // locally administered
		"ff:ff:ff:ff:ff:ff": "",
		"":                  "",
		"08:00:30":          "",
		"zz:00:30:01:02:03": "",
	} {
		if got := Vendor(hardware); got != want {
			t.Errorf("Vendor(%q) = %q, want %q", hardware, got, want)
		}
	}
}
