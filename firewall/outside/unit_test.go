package outside

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// files is a host of which only files and BPF programs are known.
type files map[string]string

func (f files) ReadFile(name string) ([]byte, error) {
	if text, ok := f[name]; ok {
		return []byte(text), nil
	}
	return nil, fs.ErrNotExist
}

func (f files) ReadDir(name string) ([]string, error) {
	var names []string
	for file := range maps.Keys(f) {
		if path.Dir(file) == name {
			names = append(names, path.Base(file))
		}
	}
	slices.Sort(names)
	return names, nil
}

func (f files) Readlink(name string) (string, error) {
	if _, ok := f[name]; ok {
		return "", syscall.EINVAL
	}
	return "", fs.ErrNotExist
}

func (f files) Netlink(int, []byte) ([]byte, error) { return nil, errors.ErrUnsupported }

func (f files) Programs(where string) ([]byte, error) { return f.ReadFile(where) }

func TestSystemdsProgramsAreNamedByTheSettingsThatTheyComeFrom(t *testing.T) {
	host := files{
		"cgroup 7":                              "ingress \"/system.slice/redis.service\" 12\negress \"/system.slice/redis.service\" 13\n",
		"cgroup 8":                              "ingress \"/system.slice/web@1.service\" 12\n",
		"cgroup 9":                              "ingress \"/system.slice/nginx.service\" 12\n",
		"cgroup 10":                             "ingress \"/system.slice/app.service\" 14\ningress \"/\" 15\n",
		"cgroup 11":                             "ingress \"/system.slice/run-u1.service\" 12\n",
		"program 12":                            "cgroup_skb \"sd_fw_ingress\" \n",
		"program 13":                            "cgroup_skb \"sd_fw_egress\" \n",
		"program 14":                            "cgroup_skb \"sd_restrictif_i\" \n",
		"/usr/lib/systemd/system/redis.service": "[Service]\nIPAddressDeny=any\nIPAddressAllow=localhost\nIPAddressAllow=10.0.0.0/8\n",
		"/etc/systemd/system/redis.service.d/10-clear.conf":     "[Service]\nIPAddressAllow=\nIPAddressAllow=192.0.2.0/24 \\\n  198.51.100.0/24\n",
		"/usr/lib/systemd/system/redis.service.d/10-clear.conf": "[Service]\nIPAddressDeny=\n",
		"/etc/systemd/system/redis.service.d/notes.txt":         "IPAddressDeny=\n",
		"/etc/systemd/system/web@.service":                      "[Service]\nIPAddressDeny=203.0.113.0/24\n",
		"/etc/systemd/system/service.d/all.conf":                "[Service]\nRestrictNetworkInterfaces=eth0\n",
		"/run/systemd/transient/run-u1.service":                 "[Service]\nIPAddressDeny=any\n",
		"/usr/lib/systemd/system/run-u1.service":                "[Service]\nIPAddressDeny=\n",
		"/etc/systemd/system/nginx.service":                     "[Service]\nExecStart=/bin/true # IPAddressDeny=any\n",
	}
	for id, want := range map[uint64]string{
		7:  "systemd IPAddressDeny=any IPAddressAllow=192.0.2.0/24 198.51.100.0/24 of redis.service (ingress); systemd IPAddressDeny=any IPAddressAllow=192.0.2.0/24 198.51.100.0/24 of redis.service (egress)",
		8:  "systemd IPAddressDeny=203.0.113.0/24 of web@1.service (ingress)",
		9:  "BPF program 12 (sd_fw_ingress) of cgroup /system.slice/nginx.service (ingress)",
		10: "systemd RestrictNetworkInterfaces=eth0 of app.service (ingress); BPF program 15 of cgroup / (ingress)",
		11: "systemd IPAddressDeny=any of run-u1.service (ingress)",
	} {
		found, missing := Sockets(host, []uint64{id, id})
		var texts []string
		for _, o := range found {
			texts = append(texts, o.Text)
			if o.Cgroup != id || o.Changes {
				t.Errorf("%+v", o)
			}
		}
		if got := strings.Join(texts, "; "); got != want || len(missing) > 0 {
			t.Errorf("cgroup %d: %s, want %s (%v)", id, got, want, missing)
		}
	}
}

func TestCgroupsThatCantBeAskedMayHaveAnyProgram(t *testing.T) {
	found, missing := Sockets(files{}, []uint64{0, 5})
	if len(found) != 2 || len(missing) != 1 || !strings.Contains(found[0].Text, "could not be read") {
		t.Errorf("%+v, %+v", found, missing)
	}
}

func TestOnlyAProgramThatSurelyChangesNothingIsTakenForOne(t *testing.T) {
	for _, c := range []struct {
		name  string
		code  []byte
		plain bool
	}{
		{"returns", []byte{0xb7, 0, 0, 0, 1, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0}, true},
		{"loads a constant whose second half looks like a call", []byte{0x18, 1, 0, 0, 0, 0, 0, 0, 0x85, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0}, true},
		{"stores to its stack", []byte{0x7b, 0x1a, 0xf8, 0xff, 0, 0, 0, 0}, true},
		{"stores to a packet", []byte{0x73, 0x12, 0, 0, 0, 0, 0, 0}, false},
		{"stores a constant", []byte{0x62, 1, 8, 0, 7, 0, 0, 0}, false},
		{"counts in a map", []byte{0xdb, 0x10, 0, 0, 0, 0, 0, 0}, true},
		{"calls", []byte{0x85, 0, 0, 0, 9, 0, 0, 0}, false},
		{"not shown", nil, false},
		{"cut short", []byte{0xb7, 0, 0}, false},
	} {
		if got := leavesPackets(c.code); got != c.plain {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
