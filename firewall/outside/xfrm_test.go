package outside

import (
	"encoding/binary"
	"testing"

	"github.com/netglance/netglance/firewall"
)

// A socket for IPsec's policies is opened only where that loads no module.
func TestWhenIPsecIsAskedAbout(t *testing.T) {
	const release, builtin = "/proc/sys/kernel/osrelease", "/lib/modules/6.1.0/modules.builtin"
	const list = "sk Eth Pid Groups\n0 0 0 1\n"
	for _, c := range []struct {
		name string
		host files
		want bool
	}{
		{"a kernel without modules", files{}, true},
		{"the module is loaded", files{"/proc/modules": "", "/sys/module/xfrm_user": ""}, true},
		{"it is built in", files{"/proc/modules": "", release: "6.1.0\n", builtin: "kernel/net/xfrm/xfrm_user.ko\n"}, true},
		{"it is not there", files{"/proc/modules": "", release: "6.1.0\n", builtin: "kernel/net/xfrm/xfrm_algo.ko\n"}, false},
		{"no list of built-in modules, a socket of the kernel's", files{"/proc/modules": "", "/proc/net/netlink": list + "0 6 0 0\n"}, true},
		{"no list, a socket of a program's", files{"/proc/modules": "", "/proc/net/netlink": list + "0 6 812 0\n"}, false},
	} {
		if got, err := hasXfrm(c.host); got != c.want || err != nil {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
	if _, err := hasXfrm(files{"/proc/modules": ""}); err == nil {
		t.Error("nothing could be read, and no error")
	}
	if f := readPolicies(files{"/proc/modules": "", "/proc/net/netlink": list, "/proc/net/pfkey": ""}, &firewall.Network{}); len(f.unread) != 1 {
		t.Error("policies of PF_KEY that can't be read leave no gap")
	}
}

func FuzzMessages(f *testing.F) {
	policy := make([]byte, policyLength)
	policy[40], policy[42], policy[43] = 2, 24, 32
	f.Add(policy)
	filter := make([]byte, tcmsgLength)
	filter[8] = 1
	filter = append(filter, 8, 0, tcKind, 0, 'u', '3', '2', 0)
	f.Add(filter)
	f.Fuzz(func(t *testing.T, data []byte) {
		if p, ok, _ := decodePolicy(data); ok && p.Family != firewall.FamilyUnspecified && !p.Source.IsValid() {
			t.Error("a policy with an invalid source")
		}
		decodeFilter(files{}, data)
		attachments(data)
		parseServices(string(data))
	})
}

func TestAPolicyThatIsCutShortIsNoPolicy(t *testing.T) {
	policy := make([]byte, policyLength)
	binary.NativeEndian.PutUint16(policy[40:], 2)
	policy[42] = 33
	if _, _, err := decodePolicy(policy); err == nil {
		t.Error("a prefix of 33 bits")
	}
	if _, _, err := decodePolicy(policy[:100]); err == nil {
		t.Error("100 bytes")
	}
}
