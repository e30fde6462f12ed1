package policy

import (
	"testing"

	"github.com/netglance/netglance/listeners"
)

func TestEveryOwnerMustBeTheOneThatIsAllowed(t *testing.T) {
	sshd := listeners.Process{PID: 640, Name: "sshd", Executable: "/usr/sbin/sshd", User: "root", Unit: "ssh.service"}
	systemd := listeners.Process{PID: 1, Name: "systemd", User: "root", Unit: "init.scope", SocketUnit: "ssh.socket"}
	other := listeners.Process{PID: 9, Name: "nc", Executable: "/usr/bin/nc", User: "alice", Unit: "session-3.scope"}
	inContainer := listeners.Process{PID: 10, Name: "nginx", Container: listeners.Container{ID: "0123456789abcdef0123", Runtime: "docker"}}
	named := inContainer
	named.Container.Name, named.Container.Image = "web-1", "nginx:1.25"
	for _, c := range []struct {
		name   string
		owner  Owner
		held   []listeners.Process
		kernel bool
		want   Match
	}{
		{"nothing asked", Owner{}, nil, false, Fits},
		{"by name", Owner{Process: "sshd"}, []listeners.Process{sshd}, false, Fits},
		{"by path", Owner{Process: "/usr/sbin/sshd"}, []listeners.Process{sshd}, false, Fits},
		{"by a pattern of units", Owner{Unit: "ssh*.service"}, []listeners.Process{sshd}, false, Fits},
		{"a socket that systemd holds for it", Owner{Unit: "ssh.service", User: "alice"}, []listeners.Process{systemd}, false, Fits},
		{"a socket that systemd holds for another", Owner{Unit: "cups.service"}, []listeners.Process{systemd}, false, Differs},
		{"somebody beside it", Owner{Process: "sshd"}, []listeners.Process{sshd, other}, false, Differs},
		{"somebody else", Owner{Process: "sshd"}, []listeners.Process{other}, false, Differs},
		{"another user", Owner{Process: "nc", User: "root"}, []listeners.Process{other}, false, Differs},
		{"nobody could be seen", Owner{Process: "sshd"}, nil, false, Unsure},
		{"the kernel", Owner{Process: "kernel"}, nil, true, Fits},
		{"the kernel instead", Owner{Process: "sshd"}, nil, true, Differs},
		{"a container by its first digits", Owner{Container: "0123456789ab"}, []listeners.Process{inContainer}, false, Fits},
		{"too few digits", Owner{Container: "01"}, []listeners.Process{inContainer}, false, Differs},
		{"no container", Owner{Container: "*"}, []listeners.Process{sshd}, false, Differs},
		{"a container by its name", Owner{Container: "web-*"}, []listeners.Process{named}, false, Fits},
		{"a container of another name", Owner{Container: "db"}, []listeners.Process{named}, false, Differs},
		{"an image", Owner{Image: "nginx:1.*"}, []listeners.Process{named}, false, Fits},
		{"another image", Owner{Image: "redis:*"}, []listeners.Process{named}, false, Differs},
		{"an image that can't be told", Owner{Image: "nginx:*"}, []listeners.Process{inContainer}, false, Unsure},
		{"an image, and no container", Owner{Image: "nginx:*"}, []listeners.Process{sshd}, false, Differs},
	} {
		if got := c.owner.Owns(c.held, c.kernel); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}
