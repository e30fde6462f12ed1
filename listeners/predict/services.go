package predict

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/netglance/netglance/gaps"
)

// services are what the system starts.
type services struct {
	host Host
	// enabled are the units that a target wants, by name; text says which.
	enabled map[string]string
	// start is the command of a container.
	start []string
}

// Starts says that the system starts one of the units.
func Starts(host Host, units ...string) bool {
	return slices.ContainsFunc(units, readServices(host, nil).starts)
}

// unitDirs are where targets' wants are (systemd.unit(5)); the first masks the others.
var unitDirs = []string{"/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}

// bootTargets are reached when a server starts.
var bootTargets = []string{"default.target", "multi-user.target", "graphical.target", "basic.target", "sysinit.target", "sockets.target", "network-online.target", "network.target", "remote-fs.target", "local-fs.target"}

func readServices(host Host, start []string) *services {
	s := &services{host: host, enabled: map[string]string{}, start: start}
	for _, dir := range unitDirs {
		for _, target := range bootTargets {
			for _, kind := range []string{".wants", ".requires"} {
				names, err := host.ReadDir(dir + "/" + target + kind)
				if err != nil {
					continue
				}
				for _, name := range names {
					if s.enabled[name] == "" && !s.masked(name) {
						s.enabled[name] = target
					}
				}
			}
		}
	}
	s.readRunlevels()
	return s
}

// masked says that a unit can't start: its file is a link to /dev/null.
func (s *services) masked(name string) bool {
	target, err := s.host.Readlink("/etc/systemd/system/" + name)
	return err == nil && path.Clean(target) == "/dev/null"
}

// readRunlevels are init scripts that start in the usual runlevel, of a system
// without systemd (insserv(8)).
func (s *services) readRunlevels() {
	if s.host.Exists("/lib/systemd/systemd") {
		return
	}
	for _, dir := range []string{"/etc/rc2.d", "/etc/rc3.d", "/etc/rc.d/rc3.d"} {
		names, err := s.host.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, name := range names {
			if len(name) > 3 && name[0] == 'S' {
				s.enabled[name[3:]+".service"] = dir
			}
		}
	}
}

func (s *services) starts(unit string) bool { return s.enabled[unit] != "" }

// program is the daemon's file; empty if it isn't there.
func (s *services) program(d daemon) string {
	for _, pattern := range d.programs {
		for _, name := range glob(s.host, pattern) {
			if s.host.Exists(name) && !s.otherName(d, name) {
				return name
			}
		}
	}
	return ""
}

// otherName says that the file is a link to another daemon's: Debian's mysqld is MariaDB.
func (s *services) otherName(d daemon, name string) bool {
	target, err := s.host.Readlink(name)
	return err == nil && d.name == "mysqld" && strings.HasPrefix(path.Base(target), "mariadb")
}

// A starter is what starts a daemon.
type starter struct{ unit, text string }

func (s *services) startedBy(d daemon, program string) starter {
	for _, unit := range d.units {
		if target := s.enabled[unit]; target != "" {
			return starter{unit, fmt.Sprintf("%s is started with the system", unit)}
		}
	}
	for _, word := range s.start {
		if path.Base(word) == path.Base(program) || path.Base(word) == d.name {
			return starter{"", "the image starts it"}
		}
	}
	return starter{"", "nothing in the image starts it"}
}

// silent are services of a base system that listen nowhere, as patterns.
var silent = []string{"anacron.service", "apparmor.service", "atd.service", "auditd.service", "blk-availability.service", "cloud-*.service", "console-*.service", "containerd.service",
	"cron.service", "crond.service", "dbus*.service", "dm-event.service", "e2scrub*.service", "fail2ban.service", "firewalld.service", "fstrim.service", "getty@*.service", "grub-*.service",
	"haveged.service", "ifup@*.service", "irqbalance.service", "iscsi.service", "keyboard-setup.service", "kmod*.service", "logrotate.service", "lvm2-*.service", "man-db.service", "mdmonitor.service",
	"multipathd.service", "netfilter-persistent.service", "networkd-dispatcher.service", "networking.service", "nftables.service", "podman-*.service", "polkit.service", "procps.service", "qemu-guest-agent.service", "rsyslog.service",
	"selinux-*.service", "serial-getty@*.service", "smartd.service", "smartmontools.service", "snapd*.service", "ssh-*.service", "sshd-keygen*", "sysstat.service", "systemd-*.service", "thermald.service", "tuned.service", "udev.service",
	"udisks2.service", "ufw.service", "unattended-upgrades.service", "vgauth.service", "wpa_supplicant.service", "x11-common.service"}

// listening are services whose names fit silent's, and that listen.
var listening = []string{"systemd-resolved.service", "systemd-networkd.service", "systemd-journal-remote.service", "systemd-journal-gatewayd.service"}

// unknown are services that the system starts and that may listen, for all that is known.
func (s *services) unknown() (out []gaps.Gap) {
	for _, name := range sortedNames(s.enabled) {
		if !strings.HasSuffix(name, ".service") || s.known(name) {
			continue
		}
		out = append(out, gaps.Gap{Source: name, Reason: "it is started with the system, and netglance doesn't know where it listens", Hint: "look at a host that runs: netglance firewall", Err: ErrUnforeseen})
	}
	if len(s.start) > 0 && !s.startsDaemon() {
		out = append(out, gaps.Gap{Source: "the image's command", Reason: fmt.Sprintf("it starts %q, and netglance doesn't know where that listens", strings.Join(s.start, " ")), Hint: "look at a container that runs: netglance firewall --netns NAME", Err: ErrUnforeseen})
	}
	return out
}

func (s *services) startsDaemon() bool {
	return slices.ContainsFunc(daemons, func(d daemon) bool {
		program := s.program(d)
		return program != "" && s.startedBy(d, program).text == "the image starts it"
	})
}

func (s *services) known(unit string) bool {
	for _, d := range daemons {
		if slices.Contains(d.units, unit) && s.program(d) != "" {
			return true
		}
	}
	if slices.Contains(listening, unit) {
		return false
	}
	return slices.ContainsFunc(silent, func(pattern string) bool { ok, err := path.Match(pattern, unit); return ok && err == nil })
}

func sortedNames(m map[string]string) (out []string) {
	for name := range m {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}
