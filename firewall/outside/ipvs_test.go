package outside

import (
	"fmt"
	"testing"
)

const ipvsTable = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  CB007107:0050 rr 
  -> 0A000003:1F90      Masq    1      0          0         
  -> 0A000002:1F90      Masq    1      0          0         
  -> 0A000004:1F90      Masq    0      3          0         
UDP  [2001:0db8:0000:0000:0000:0000:0000:0007]:0035 wrr 
  -> [2001:0db8:0000:0000:0000:0000:0000:0053]:0035      Route   1      0          0         
FWM  00000007 wlc persistent 300 FFFFFFFF
  -> 0A000009:0000      Tunnel  1      0          0         
`

func TestServicesOfIPVSWithTheServersThatTakeNewFlows(t *testing.T) {
	services, err := parseServices(ipvsTable)
	want := "[{6 203.0.113.7 80 0 [10.0.0.2:8080 10.0.0.3:8080] IPVS service tcp 203.0.113.7:80 (rr)}" +
		" {17 2001:db8::7 53 0 [[2001:db8::53]:53] IPVS service udp [2001:db8::7]:53 (wrr)}" +
		" {0 invalid IP 0 7 [10.0.0.9:0] IPVS service of mark 7 (wlc)}]"
	if got := fmt.Sprint(services); err != nil || got != want {
		t.Errorf("%v\n%s, want\n%s", err, got, want)
	}
	for _, broken := range []string{"TCP  CB0071:0050 rr\n", "TCP  CB007107 rr\n", "FWM  x wlc\n", "UDP  [::1:0035 rr\nTCP 00000000:10000 rr\n"} {
		if _, err := parseServices(broken); err == nil {
			t.Errorf("%q: no error", broken)
		}
	}
}
