package realhost

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/ipset"
	"github.com/netglance/netglance/firewall/iptables"
	"github.com/netglance/netglance/firewall/nft"
	"github.com/netglance/netglance/firewall/rtnetlink"
	"github.com/netglance/netglance/gaps"
	"github.com/netglance/netglance/listeners"
	"github.com/netglance/netglance/platform"
	"github.com/netglance/netglance/scan/packets"
	"github.com/netglance/netglance/scan/twin"
)

// twinVariable has the test binary compare the host that it runs on with its twin.
const twinVariable = "NETGLANCE_REALHOST_TWIN"

// TestTheTwinDoesWhatTheLiveKernelDoes holds the twin to hosts whose rules real
// managers keep: packets come in by the far end of the host's own eth0, and by that
// of the twin's. Docker's containers answer themselves.
func TestTheTwinDoesWhatTheLiveKernelDoes(t *testing.T) {
	requirePackages(t, managerPackages)
	for _, c := range []struct{ backend, managers string }{
		{"nft", "ufw"}, {"legacy", "ufw"}, {"nft", "firewalld"}, {"nft", "docker ufw"}, {"legacy", "docker ufw"},
	} {
		t.Run(c.backend+" "+c.managers, func(t *testing.T) {
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("bash", "testdata/managers.sh", c.backend, c.managers, "env", twinVariable+"="+netglance, self)
			cmd.Env = append(os.Environ(), "SCRATCH="+t.TempDir())
			var out, errs bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &errs
			if err := cmd.Run(); err != nil {
				t.Fatalf("%v\n%s", err, errs.String())
			}
			var found comparison
			if err := json.Unmarshal(out.Bytes(), &found); err != nil {
				t.Fatalf("%v\n%s", err, out.String())
			}
			t.Logf("live %v; verify: %d probes, %d agreed", found.Live, found.Verified.Summary.Probes, found.Verified.Summary.Agreed)
			for _, d := range found.Differences {
				t.Error(d)
			}
			if v := found.Verified.Summary; v.Disagreed > 0 || v.OtherRules > 0 || v.Agreed < v.Probes || v.Agreed < 100 {
				t.Errorf("verify: %+v", v)
			}
			if found.Live["accept"] == 0 || found.Live["drop"]+found.Live["reject"] == 0 {
				t.Errorf("the live kernel: %v: the test shows too little", found.Live)
			}
		})
	}
}

// A comparison is what the live kernel and the twin did.
type comparison struct {
	Live        map[string]int
	Differences []string
	Verified    struct {
		Summary struct {
			Probes, Agreed, Disagreed, Traced int
			OtherRules                        int `json:"other_rules"`
		}
	}
}

// compareWithTwin compares this host with its twin, and has netglance verify it.
func compareWithTwin(netglance string, out io.Writer) error {
	// The link-local address that eth0 gets with its carrier is there at once.
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/eth0/accept_dad", []byte("0"), 0); err != nil {
		return err
	}
	live, err := attach("eth0")
	if err != nil {
		return err
	}
	for _, neighbour := range []string{"192.0.2.254", "2001:db8::ff"} {
		command := exec.Command("ip", "neigh", "replace", neighbour, "lladdr", packets.FarEnd.String(), "dev", "eth0", "nud", "permanent")
		if text, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, text)
		}
	}
	for _, setting := range []string{"ipv4/icmp_ratelimit", "ipv4/icmp_msgs_per_sec", "ipv4/icmp_msgs_burst", "ipv6/icmp/ratelimit"} {
		if err := os.WriteFile("/proc/sys/net/"+setting, []byte(packets.Quiet[setting]), 0); err != nil {
			return err
		}
	}
	result := comparison{Live: map[string]int{}}
	verified, err := exec.Command(netglance, "firewall", "verify", "--json").Output()
	if err != nil {
		return err
	}
	if err := json.Unmarshal(verified, &result.Verified); err != nil {
		return err
	}
	probes := managedProbes()
	byTwin, err := probeTwin(probes)
	if err != nil {
		return err
	}
	byHost, err := packets.NewProber(live, []packets.Link{{Name: "eth0", MAC: live.mac}}, nil).Probe(probes)
	if err != nil {
		return err
	}
	for i, p := range probes {
		host, likeness := twin.FateOf(p, byHost[i]), twin.FateOf(p, byTwin[i])
		result.Live[host.String()]++
		if host != likeness {
			result.Differences = append(result.Differences, fmt.Sprintf("%s: the host: %s, the twin: %s", p, byHost[i], byTwin[i]))
		}
	}
	return json.NewEncoder(out).Encode(result)
}

// managedProbes are TCP's first packets to all ports of the managers' hosts.
func managedProbes() (list []packets.Probe) {
	sources := map[string]string{
		"192.0.2.1":   "10.0.0.0 10.255.255.255 11.0.0.0 9.255.255.255 198.51.100.9 8.8.8.8",
		"2001:db8::1": "2001:db8:51::9 fd00::1 2a00::1",
	}
	port := uint16(20000)
	for to, all := range sources {
		for from := range strings.FieldsSeq(all) {
			for _, to := range []string{to, map[string]string{"192.0.2.1": "172.17.0.2"}[to]} {
				for _, number := range []uint16{22, 80, 81, 443, 5432, 6379, 8080, 8081, 9999} {
					if to == "" {
						continue
					}
					port++
					list = append(list, packets.Probe{Via: "eth0", Protocol: 6, From: netip.MustParseAddr(from), To: netip.MustParseAddr(to), SourcePort: port, Port: number})
				}
			}
		}
	}
	return list
}

// A wire is the far end of a TAP of this host's own.
type wire struct {
	fd  int
	mac packets.MAC
}

func attach(name string) (*wire, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	var request [40]byte // struct ifreq
	copy(request[:], name)
	binary.NativeEndian.PutUint16(request[unix.IFNAMSIZ:], unix.IFF_TAP|unix.IFF_NO_PI)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TUNSETIFF, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return nil, fmt.Errorf("TUNSETIFF %s: %w", name, errno)
	}
	w := &wire{fd: fd}
	network, _ := rtnetlink.Read(platform.Live())
	for _, l := range network.Interfaces {
		if l.Name == name {
			copy(w.mac[:], l.HardwareAddr)
		}
	}
	return w, nil
}

func (w *wire) WriteFrame(_ int, frame []byte) error {
	_, err := unix.Write(w.fd, frame)
	return err
}

func (w *wire) ReadFrame(_ int, buffer []byte) (int, error) {
	n, err := unix.Read(w.fd, buffer)
	if errors.Is(err, unix.EAGAIN) {
		return 0, nil
	}
	return n, err
}

func (w *wire) Receive(func(int, []byte)) error { return nil }
func (w *wire) Pin() (func(), error)            { return func() {}, nil }
func (w *wire) ForgetFlows() error              { return nil }

// Settle waits for containers, which answer in their own time.
func (w *wire) Settle() error {
	time.Sleep(time.Second)
	return nil
}

func reasons(list []gaps.Gap) (all []string) {
	for _, g := range list {
		all = append(all, g.Source+": "+g.Reason)
	}
	return all
}

// probeTwin asks a twin of this host.
func probeTwin(probes []packets.Probe) ([]packets.Outcome, error) {
	live, tape := platform.Live(), twin.NewTape()
	host := platform.Keep(live, tape)
	sets := ipset.New(host)
	rules, missing := nft.Read(host, sets)
	legacy, more := iptables.Read(host, sets)
	rules.Tables = append(rules.Tables, legacy...)
	network, yetMore := rtnetlink.Read(host)
	found, unseen := listeners.Read(host)
	if unread := reasons(slices.Concat(missing, more, yetMore, unseen)); len(unread) > 0 {
		return nil, fmt.Errorf("not read: %q", unread)
	}
	network.Sockets = []firewall.LocalSocket{}
	for _, l := range found {
		if l.Protocol != "tcp" {
			continue
		}
		family := firewall.FamilyIPv4
		if l.Family == 6 {
			family = firewall.FamilyIPv6
		}
		network.Sockets = append(network.Sockets, firewall.LocalSocket{Protocol: 6, Family: family, Address: l.Address, Port: l.Port, V6Only: l.V6Only})
	}
	kernel, err := platform.NewTwin()
	if err != nil {
		return nil, err
	}
	defer kernel.Close()
	made, err := twin.Build(kernel, twin.Host{Tape: tape, Source: live, Network: network, Rules: rules})
	if err != nil {
		return nil, err
	}
	if len(made.Gaps) > 0 || made.Useless != nil {
		return nil, fmt.Errorf("the twin lacks %v, %w", reasons(made.Gaps), made.Useless)
	}
	return made.Probe(probes)
}
