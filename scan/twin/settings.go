package twin

import (
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/scan/packets"
)

// quiet makes the namespace answer every probe, before there are links.
func (t *Twin) quiet() error {
	for _, name := range slices.Sorted(maps.Keys(packets.Quiet)) {
		err := t.kernel.WriteSetting(name, packets.Quiet[name])
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // some are newer than others
			return err
		}
	}
	return nil
}

// applySettings gives the namespace the host's settings: those for all links first,
// since they set the others too.
func (t *Twin) applySettings() error {
	settings := map[string]string{}
	maps.Copy(settings, t.host.Network.Settings)
	for _, name := range []string{"bridge/bridge-nf-call-iptables", "bridge/bridge-nf-call-ip6tables"} {
		if settings[name] == "" {
			settings[name] = "0" // the host has no br_netfilter; this kernel may, and then it is on
		}
	}
	settings["ipv4/tcp_syncookies"] = t.cookies()
	names := slices.Collect(maps.Keys(settings))
	slices.SortFunc(names, func(a, b string) int {
		if d := settingRank(a) - settingRank(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	for _, name := range names {
		err := t.kernel.WriteSetting(name, settings[name])
		if err == nil || errors.Is(err, fs.ErrNotExist) && settings[name] == "0" {
			continue
		}
		t.unlike("the setting net/"+name+" = "+strconv.Quote(settings[name]), err)
	}
	return nil
}

func settingRank(name string) int {
	switch {
	case name == "ipv4/ip_forward":
		return 0
	case strings.Contains(name, "/conf/all/"):
		return 1
	}
	return 2
}

// limitProber keeps within what the kernel has room for.
func (t *Twin) limitProber() {
	batch := 0
	if t.kernel.Cramped() {
		batch = 128
	}
	flows := 0
	if content, err := t.kernel.ReadFile("/proc/sys/net/netfilter/nf_conntrack_max"); err == nil {
		n, err := strconv.Atoi(strings.TrimSpace(string(content)))
		if err == nil && n > 0 {
			flows = n / 2
		}
	}
	t.prober.Limit(batch, flows)
}

// cookies is the setting of SYN cookies: always, so that a SYN leaves no state behind,
// unless rules ask about the socket that answers, which a cookie has not. The host's
// own choice shows only when half-open connections are too many.
func (t *Twin) cookies() string {
	t.halfOpen = t.host.Network.Settings["ipv4/tcp_syncookies"] != "2" && t.asksAboutSockets()
	if t.halfOpen {
		return "1"
	}
	return "2"
}

// asksAboutSockets says that some rule may ask about the socket that answers, or
// that one gives its packets a mark.
func (t *Twin) asksAboutSockets() bool {
	if slices.ContainsFunc(t.host.Network.Sockets, func(s firewall.LocalSocket) bool { return s.Mark != 0 }) {
		return true
	}
	for _, table := range t.host.Rules.Tables {
		for _, c := range table.Chains {
			for _, r := range c.Rules {
				text := r.Text()
				if slices.ContainsFunc(socketWords, func(word string) bool { return strings.Contains(text, word) }) {
					return true
				}
			}
		}
	}
	return false
}

// socketWords are in every rule that asks about a socket, as its owner prints it.
var socketWords = []string{"socket", "skuid", "skgid", "cgroup", "-m owner"}
