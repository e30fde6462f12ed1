package report

import (
	"fmt"
	"time"

	"github.com/netglance/netglance/scan"
)

// ScanProgress is a line for a terminal: how far a scan is, its rate and the time left.
func ScanProgress(p scan.Progress) string {
	if p.Looking {
		return fmt.Sprintf("looking for hosts: %d of %d addresses", p.HostsDone, p.Hosts)
	}
	seconds := p.Elapsed.Seconds()
	if seconds <= 0 || p.Sent == 0 {
		return "starting"
	}
	rate := float64(p.Sent) / seconds
	done := 100 * float64(p.Sent) / float64(max(p.Sent+p.Remaining, 1))
	line := fmt.Sprintf("%.0f%% · %d probes · %.0f a second", done, p.Sent, rate)
	if p.Hosts > 1 {
		line += fmt.Sprintf(" · %d of %d addresses", p.HostsDone, p.Hosts)
	}
	return line + " · " + timeLeft(float64(p.Remaining)/rate)
}

func timeLeft(seconds float64) string {
	if seconds < 1 {
		return "under a second left"
	}
	return "about " + time.Duration(seconds*float64(time.Second)).Round(time.Second).String() + " left"
}
