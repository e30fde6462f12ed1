package bsdrecords

import (
	"encoding/binary"
	"testing"
)

// The lengths are those that the kernels state in the records (CTASSERT in
// netinet/in_pcb.c and the like); the tail of xtcpcb_n was seen to make it 204.
func TestRecordsAreAsLongAsTheKernels(t *testing.T) {
	for name, c := range map[string]struct {
		record any
		length int
	}{
		"struct xinpgen of xnu": {xinpgenN{}, 24},
		"struct xsocket_n":      {xsocketN{}, 76},
		"struct xsockbuf_n":     {xsockbufN{}, 32},
		"struct xinpcb_n":       {xinpcbN{}, 104},
		"struct xtcpcb_n":       {xtcpcbN{}, 204},
		"struct xinpgen":        {xinpgen{}, 64},
		"struct xsocket":        {xsocket{}, 240},
		"struct xinpcb":         {xinpcb{}, 400},
		"struct xtcpcb":         {xtcpcb{}, 744},
		"struct xfile":          {xfile{}, 128},
		"struct kinfo_file":     {kinfoFile{}, 632},
	} {
		if got := binary.Size(c.record); got != c.length {
			t.Errorf("%s is %d bytes, want %d", name, got, c.length)
		}
	}
}
