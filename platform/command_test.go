package platform

import (
	"errors"
	"strings"
	"testing"
)

func TestOnlyCommandsThatShowAreRun(t *testing.T) {
	for command, allowed := range map[string]bool{
		"ifconfig -a":                         true,
		"ifconfig -a down":                    false,
		"ifconfig em0 down":                   false,
		"pfctl -s rules":                      true,
		"pfctl -s rules -d":                   false,
		"pfctl -d":                            false,
		"pfctl -F all":                        false,
		"pfctl -f /etc/pf.conf":               false,
		"pfctl -a f2b/sshd -s rules":          true,
		"pfctl -a com.apple/250.X -s nat":     true,
		"pfctl -a -F -s rules":                false,
		"pfctl -t bruteforce -T show":         true,
		"pfctl -t bruteforce -T flush":        false,
		"pfctl -t -d -T show":                 false,
		"pfctl -a blocks -t bad -T show":      true,
		"pfctl -a blocks -t bad -T add ::1":   false,
		"pfctl -a  -s rules":                  false, // an empty name
		"socketfilterfw --listapps":           true,
		"socketfilterfw --setglobalstate off": false,
		"/tmp/pfctl -s rules":                 false,
		"sh -c id":                            false,
	} {
		err := readCommand(strings.Split(command, " "))
		if (err == nil) != allowed || err != nil && !errors.Is(err, ErrNotRead) {
			t.Errorf("%s: %v", command, err)
		}
	}
	for _, name := range []string{"", "a\x00b", strings.Repeat("a", 1025)} {
		if err := readCommand([]string{"pfctl", "-a", name, "-s", "rules"}); err == nil {
			t.Errorf("%.20q is taken for an anchor", name)
		}
	}
	if err := readCommand(nil); err == nil {
		t.Error("no command at all is run")
	}
}

func TestOnlyListedNodesAreRead(t *testing.T) {
	for _, name := range []string{"", "kern.securelevel", "kern.file "} {
		if err := readNode(name); !errors.Is(err, ErrNotRead) {
			t.Errorf("%q: %v", name, err)
		}
	}
}
