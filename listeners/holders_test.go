package listeners

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestHoldersText(t *testing.T) {
	const text = "1 20 7\n1 21 8\n5 3 7\n5 4 7\n6 3 9\n7 ! EACCES\n8 ! EPERM\n"
	pids, unreadable, bad := parseHolders([]byte(text), map[uint64]bool{7: true, 8: true})
	want := map[uint64][]int{7: {1, 5}, 8: {1}}
	if !reflect.DeepEqual(pids, want) || unreadable != 2 || bad != 0 {
		t.Errorf("%v, %d unreadable, %d bad", pids, unreadable, bad)
	}
	for _, line := range []string{"x", "1", "1 2", "1 2 ", "1 2 3 4", " 1 2 7", "-1 2 7", "1 2 7x", "99999999999999999999 1 7", "4194305 1 7"} {
		pids, _, bad := parseHolders([]byte("1 2 7\n"+line+"\n5 3 7"), map[uint64]bool{7: true})
		if !reflect.DeepEqual(pids[7], []int{1, 5}) || bad != 1 {
			t.Errorf("%q: %v, %d bad lines", line, pids, bad)
		}
	}
}

func FuzzHolders(f *testing.F) {
	f.Add([]byte("1 20 7\n5 3 7\n7 ! EACCES\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		pids, _, _ := parseHolders(text, map[uint64]bool{7: true})
		for inode, held := range pids {
			for _, pid := range held {
				if inode != 7 || pid < 0 || pid > maxPID || !strings.Contains(string(text), fmt.Sprint(pid)) {
					t.Errorf("inode %d, pid %d out of %q", inode, pid, text)
				}
			}
		}
	})
}

func FuzzCgroup(f *testing.F) {
	f.Add("0::/system.slice/ssh.service\n")
	f.Add("1:name=systemd:/docker/" + idA + "\n0::/\n")
	f.Add("0::/kubepods.slice/kubepods-pod0b9e3f6c_6d2f_4c1e_9f7a_3d4c5b6a7988.slice:cri-containerd:" + idA + "\n")
	f.Add(`0::/machine.slice/machine-build\x2dbox.scope/payload`)
	f.Fuzz(func(t *testing.T, text string) {
		var p Process
		parseCgroup([]byte(text), &p)
		if p.UserUnit != "" && p.Unit == "" {
			t.Errorf("a user's unit %q below none", p.UserUnit)
		}
		if p.Container.ID == "" && p.Container != (Container{}) {
			t.Errorf("container without id: %+v", p.Container)
		}
	})
}

func FuzzStat(f *testing.F) {
	f.Add([]byte(statLine(5, "a) (b", 100)))
	f.Fuzz(func(t *testing.T, text []byte) {
		if start, ok := parseStat(text, &Process{}); ok && (start < 0 || start > maxUptime) {
			t.Errorf("start %s", start)
		}
		parseStatusUID(text)
		parsePasswd(text)
		parseCommandLine(text)
	})
}
